"""Distinct bit patterns of floating-point arrays, in the order of the values they stand for."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from milpass import kernels

# Elements looked at first when only few patterns are wanted: most weights show at once that they have more.
GLANCE = 1 << 12


def distinct_patterns(array: NDArray[Any], *, most: int | None = None) -> NDArray[Any] | None:
    """The distinct bit patterns of an array, as unsigned integers; None where there are more than `most`.

    They ascend as the values do: negative ones first, -0.0 before 0.0.
    """
    flat = np.ascontiguousarray(array).reshape(-1)
    if most is not None and _sorted_distinct(flat[:GLANCE]).size > most:
        return None
    found = _counted_distinct(flat) if flat.dtype == np.float16 else _sorted_distinct(flat)
    return None if most is not None and found.size > most else found


def count_patterns(flat: NDArray[np.float16]) -> NDArray[np.int64]:
    """The count of each of the 65,536 bit patterns of fp16."""
    counters = np.zeros((4, 1 << 16), np.uint32)
    kernels.histogram.count_patterns(np.ascontiguousarray(flat).view(np.uint16), counters)
    counts: NDArray[np.int64] = counters.sum(axis=0, dtype=np.int64)
    return counts


@cache
def ascending_patterns() -> NDArray[np.uint16]:
    """The 65,536 bit patterns of fp16 in the order of their values, -infinity first, NaN at both ends.

    Made from integers, since sorting fp16 itself goes wrong in some numpy builds.
    """
    negative = np.arange(0xFFFF, 0x7FFF, -1)
    return np.concatenate([negative, np.arange(0x8000)]).astype(np.uint16)


def _counted_distinct(flat: NDArray[np.float16]) -> NDArray[np.uint16]:
    ascending = ascending_patterns()
    return ascending[np.flatnonzero(count_patterns(flat)[ascending])]


def _sorted_distinct(flat: NDArray[Any]) -> NDArray[Any]:
    patterns = np.sort(flat.view(f"u{flat.dtype.itemsize}"))
    found = patterns[np.flatnonzero(np.concatenate([[True], patterns[1:] != patterns[:-1]]))[: patterns.size]]
    positive = int(np.searchsorted(found, 1 << (8 * flat.dtype.itemsize - 1)))
    ascending: NDArray[Any] = np.concatenate([found[positive:][::-1], found[:positive]])
    return ascending
