"""Half precision."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from milpass.encodings import Cast, Dense
from milpass.fitting.fitted import FittedWeight, NotFittable, Terms
from milpass.fitting.measuring import measured
from milpass.fitting.tables.distribution import check_finite

NBITS = "found"


def fit(array: NDArray[Any], options: object, terms: Terms) -> FittedWeight:
    """Round fp32 to the nearest fp16; a weight with magnitudes that overflow is left."""
    check_finite(array)
    with np.errstate(over="ignore"):
        short = array.astype(np.float16)
    over = np.flatnonzero(np.isinf(short.reshape(-1)))
    if over.size:
        first = [int(i) for i in np.unravel_index(over[0], array.shape)]
        raise NotFittable(f"{over.size} of {array.size} elements overflow fp16, the first at {first}")
    encoding = Cast(Dense(short), "fp32")
    return FittedWeight(encoding, measured(array, encoding))
