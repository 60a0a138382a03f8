"""Half precision."""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from milpass import kernels
from milpass.encodings import Cast, Dense
from milpass.fitting.fitted import FittedWeight, NotFittable, Quality, Terms
from milpass.fitting.rows import floats
from milpass.fitting.tables.distribution import check_filled, check_finite
from milpass.paging import let_go, scratch

NBITS = "found"

# Elements that are rounded at a time: few enough to be found in the cache after their ends were.
PART = 1 << 16
# The least magnitude that is nearer to the one after fp16's greatest.
OVERFLOWS = np.float32(65520)


def fit(array: NDArray[Any], options: object, terms: Terms) -> FittedWeight:
    """Round fp32 to the nearest fp16; a weight with magnitudes that overflow is left."""
    check_filled(array)
    flat, short = np.ascontiguousarray(array).reshape(-1), scratch(array.size, np.dtype(np.float16))
    sums, over = np.zeros(3), 0
    for start in range(0, array.size, PART):
        here = slice(start, start + PART)
        part = flat[here]
        if not max(-part.min(), part.max()) < OVERFLOWS:  # nor is NaN
            if not over:
                check_finite(array)
            over += int(np.count_nonzero(np.abs(part) >= OVERFLOWS))
        if not over:
            bits, halves = part.view(np.uint32), short[here].view(np.uint16)
            kernels.halves.round_off(part, bits, floats(), halves, sums)
        let_go(flat, part)
        let_go(short, short[here])
    if over:
        raise NotFittable(_overflow(array, over))
    encoding = Cast(Dense(short.reshape(array.shape)), "fp32")
    return FittedWeight(encoding, Quality(float(sums[0]), sqrt(sums[1]), float(sums[2])))


def _overflow(array: NDArray[Any], count: int) -> str:
    first = np.unravel_index(int(np.argmax(np.abs(array) >= OVERFLOWS)), array.shape)
    return f"{count} of {array.size} elements overflow fp16, the first at {[int(i) for i in first]}"
