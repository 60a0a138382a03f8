"""How well any encoding meets its weight."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from milpass.encodings import Encoding
from milpass.fitting.fitted import Quality

# Elements that are compared at a time.
PART = 1 << 18


def measured(
    array: NDArray[Any], encoding: Encoding, importance: NDArray[np.float64] | None = None
) -> Quality:
    """Compare a weight with what its readers will see, element by element, in float64."""
    flat, seen = array.reshape(-1), encoding.decode().reshape(-1)
    costs = np.broadcast_to(1.0, flat.shape) if importance is None else importance.reshape(-1)
    parts = (slice(at, at + PART) for at in range(0, flat.size, PART))
    return Quality.total([_part(flat[part], seen[part], costs[part]) for part in parts])


def _part(values: NDArray[Any], seen: NDArray[Any], costs: NDArray[np.float64]) -> Quality:
    wide = values.astype(np.float64)
    errors = np.abs(wide - seen)
    return Quality(
        float((costs * np.square(errors)).sum()),
        float(errors.max()),
        float((costs * np.square(wide)).sum()),
    )
