"""How well any encoding meets its weight."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from milpass.encodings import Encoding
from milpass.fitting.fitted import Quality

# Elements that are compared at a time.
PART = 1 << 18


def measured(array: NDArray[Any], encoding: Encoding) -> Quality:
    """Compare a weight with what its readers will see, element by element, in float64."""
    flat, seen = array.reshape(-1), encoding.decode().reshape(-1)
    parts = [_part(flat[at : at + PART], seen[at : at + PART]) for at in range(0, flat.size, PART)]
    return Quality.total(parts)


def _part(values: NDArray[Any], seen: NDArray[Any]) -> Quality:
    wide = values.astype(np.float64)
    errors = np.abs(wide - seen)
    return Quality(float(np.square(errors).sum()), float(errors.max()), float(np.square(wide).sum()))
