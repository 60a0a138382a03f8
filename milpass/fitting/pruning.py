"""Which elements are smallest, and a weight without them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from milpass.encodings import Dense, Indices, Sparse
from milpass.fitting.fitted import FittedWeight, Quality

# Elements whose ranks are counted at a time.
COUNTED = 1 << 20


def smallest(magnitudes: NDArray[Any], count: int) -> NDArray[np.bool_]:
    """Which `count` elements of each row are the smallest; of equal ones the first."""
    if count == 0:
        return np.zeros(magnitudes.shape, np.bool_)
    bits = magnitudes.view(f"u{magnitudes.dtype.itemsize}")  # ascend as magnitudes do
    limits = np.partition(bits, count - 1, axis=1)[:, count - 1, None]
    below, equal = bits < limits, bits == limits
    missing = count - np.count_nonzero(below, axis=1)[:, None]
    _add_first(below, equal, missing)
    return below


def _add_first(found: NDArray[np.bool_], equal: NDArray[np.bool_], missing: NDArray[Any]) -> None:
    """Add the first so many of each row, in parts: one sum over all would take eight bytes an element, and
    numpy lets no other thread run meanwhile, the one that hears Ctrl-C among them."""
    rows, length = equal.shape
    counted: NDArray[Any] = np.zeros((rows, 1), np.int64)
    step = max(COUNTED // max(rows, 1), 1)
    for start in range(0, length, step):
        part = equal[:, start : start + step]
        ranks = counted + np.cumsum(part, axis=1)
        found[:, start : start + step] |= part & (ranks <= missing)
        counted = ranks[:, -1:]


def axis_of(shape: tuple[int, ...], groups: tuple[int, ...]) -> int:
    """The axis along which neighbours lie: the only one with fewer groups than places."""
    pairs = enumerate(zip(shape, groups, strict=True))
    return next((axis for axis, (length, count) in pairs if length != count), 0)  # neighbours of one: any


def pruned(array: NDArray[Any], kept: NDArray[np.bool_]) -> FittedWeight:
    """The weight without what is not kept, and without zeros; nothing may be left of it."""
    mask = kept & (array != 0)
    values = np.where(mask, array, array.dtype.type(0))
    lost = np.abs(array[~mask].astype(np.float64))
    quality = Quality(
        float(np.square(lost).sum()),
        float(lost.max(initial=0.0)),
        float(np.square(array, dtype=np.float64).sum()),
    )
    return FittedWeight(Sparse(Indices.of(mask.astype(np.uint8), 1), Dense(values)), quality)
