"""Half precision."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from milpass.encodings import Cast, Dense
from milpass.fitting.fitted import FittedWeight, NotFittable, Terms
from milpass.fitting.measuring import measured
from milpass.fitting.tables.distribution import check_finite
from milpass.paging import let_go, scratch

NBITS = "found"

# Elements that are rounded at a time.
PART = 1 << 20


def fit(array: NDArray[Any], options: object, terms: Terms) -> FittedWeight:
    """Round fp32 to the nearest fp16; a weight with magnitudes that overflow is left."""
    check_finite(array)
    flat, short = np.ascontiguousarray(array).reshape(-1), scratch(array.size, np.dtype(np.float16))
    over: list[int] = []
    for start in range(0, array.size, PART):
        here = slice(start, start + PART)
        with np.errstate(over="ignore"):
            short[here] = flat[here]
        over += (start + np.flatnonzero(np.isinf(short[here]))).tolist()
        let_go(flat, flat[here])
        let_go(short, short[here])
    if over:
        first = [int(i) for i in np.unravel_index(over[0], array.shape)]
        raise NotFittable(f"{len(over)} of {array.size} elements overflow fp16, the first at {first}")
    encoding = Cast(Dense(short.reshape(array.shape)), "fp32")
    return FittedWeight(encoding, measured(array, encoding))
