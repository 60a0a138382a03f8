"""Which elements are smallest, and a weight without them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from milpass.encodings import Dense, Indices, Sparse
from milpass.fitting.fitted import FittedWeight
from milpass.fitting.measuring import measured
from milpass.paging import in_parts, let_go, scratch

# Where a flat part starts, the part -> which of it is kept
Kept: TypeAlias = Callable[[int, "NDArray[Any]"], "NDArray[np.bool_]"]

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
    flat = np.ascontiguousarray(kept).reshape(-1)
    return pruned_in_parts(array, lambda start, part: flat[start : start + part.size])


def pruned_in_parts(array: NDArray[Any], kept: Kept) -> FittedWeight:
    """The same where `kept` tells for one flat part after the other, from where it starts, what stays."""
    flat, start = np.ascontiguousarray(array).reshape(-1), 0
    mask = scratch(array.size, np.dtype(np.uint8))
    for part in in_parts(flat, COUNTED):
        marks = mask[start : start + part.size]
        np.logical_and(kept(start, part), part != 0, out=marks, casting="unsafe")
        let_go(mask, marks)
        start += part.size
    encoding = Sparse(Indices.of(mask.reshape(array.shape), 1), Dense(array))
    return FittedWeight(encoding, measured(array, encoding))


@frozen(eq=False)
class Cut:
    """The magnitude, as a bit pattern, below which all are smallest, and how many of equal ones are."""

    pattern: int
    equal: int

    @classmethod
    def of(cls, flat: NDArray[Any], count: int) -> Cut:
        """The cut that leaves `count` elements below, some but not all; found 16 bits at a time."""
        halves = flat.dtype.itemsize // 2
        prefix = 0
        for half in reversed(range(halves)):
            counts = np.zeros(1 << 16, np.int64)
            for part in in_parts(flat, COUNTED):
                counts += _digits(_magnitudes(part), half, prefix)
            below = np.cumsum(counts)
            digit = int(np.searchsorted(below, count))
            count -= int(below[digit] - counts[digit])
            prefix = prefix << 16 | digit
        return cls(prefix, count)

    def kept(self) -> Kept:
        """What stays: greater ones, and equal ones but the first."""
        missing = self.equal

        def kept(start: int, part: NDArray[Any]) -> NDArray[np.bool_]:
            nonlocal missing
            patterns = _magnitudes(part)
            stays: NDArray[np.bool_] = patterns >= self.pattern
            if missing:
                first = np.flatnonzero(patterns == self.pattern)[:missing]
                stays[first] = False
                missing -= first.size
            return stays

        return kept


def _magnitudes(part: NDArray[Any]) -> NDArray[Any]:
    """Bit patterns without the sign, which ascend as magnitudes do."""
    width = 8 * part.dtype.itemsize
    patterns: NDArray[Any] = part.view(f"u{part.dtype.itemsize}") & ((1 << (width - 1)) - 1)
    return patterns


def _digits(patterns: NDArray[Any], half: int, prefix: int) -> NDArray[np.int64]:
    """How often each 16 bits occur at a place, among the patterns that begin with a prefix."""
    if 8 * patterns.dtype.itemsize > 16 * (half + 1):
        patterns = patterns[patterns >> (16 * (half + 1)) == prefix]
    digits = (patterns >> (16 * half)).astype(np.uint16)
    return np.bincount(digits, minlength=1 << 16)
