"""Distinct bit patterns of floating-point arrays, in the order of the values they stand for."""

from __future__ import annotations

from threading import local
from typing import Any

import numpy as np
from numpy.typing import NDArray

from milpass import kernels
from milpass.paging import in_parts

# Elements looked at first when only few patterns are wanted: most weights show at once that they have more.
GLANCE = 1 << 12
# Elements from which on all of the 65,536 patterns of fp16 are looked at.
MANY = 1 << 16
# Elements that are counted at a time, a multiple of four.
PART = 1 << 22


def distinct_patterns(array: NDArray[Any], *, most: int | None = None) -> NDArray[Any] | None:
    """The distinct bit patterns of an array, as unsigned integers; None where there are more than `most`.

    They ascend as the values do: negative ones first, -0.0 before 0.0.
    """
    flat = np.ascontiguousarray(array).reshape(-1)
    if most is not None and occurrences(flat[:GLANCE])[0].size > most:
        return None
    found, _ = occurrences(flat)
    return None if most is not None and found.size > most else found


def occurrences(flat: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """The distinct bit patterns of a flat array, ascending as the values do, and how often each occurs."""
    flat = np.ascontiguousarray(flat)
    if flat.dtype != np.float16:
        return _sorted(flat)
    return _counted(flat) if flat.size >= MANY else _counted_in_blocks(flat)


class _Counters(local):
    """Zeroed counters of the 65,536 patterns and marks of blocks of 16, and room for what is found.

    One set for each thread: new memory takes longer to come than to be counted into.
    """

    def __init__(self) -> None:
        self.rows = np.zeros((2, 1 << 16), np.uint32)
        self.touched = np.zeros(1 << 12, np.uint8)
        self.patterns, self.counts = np.empty(1 << 16, np.uint16), np.empty(1 << 16)


_COUNTERS = _Counters()


def _counted(flat: NDArray[np.float16]) -> tuple[NDArray[np.uint16], NDArray[np.float64]]:
    """Count all patterns of fp16."""
    patterns, counts, found = _COUNTERS.patterns, _COUNTERS.counts, np.empty(1, np.int64)
    for part in in_parts(flat.view(np.uint16), PART):
        kernels.histogram.count_patterns(part, _COUNTERS.rows)
    kernels.histogram.collect_counts(_COUNTERS.rows, patterns, counts, found)
    size = int(found[0])
    return patterns[:size].copy(), counts[:size].copy()


def _counted_in_blocks(flat: NDArray[np.float16]) -> tuple[NDArray[np.uint16], NDArray[np.float64]]:
    """Count patterns, and look only where there are any."""
    patterns, counts = np.empty(flat.size + 1, np.uint16), np.empty(flat.size + 1)
    found, counters, touched = np.empty(1, np.int64), _COUNTERS.rows[0], _COUNTERS.touched
    kernels.histogram.count_in_blocks(flat.view(np.uint16), counters, touched)
    kernels.histogram.collect_blocks(counters, touched, patterns, counts, found)
    return patterns[: found[0]], counts[: found[0]]


def _sorted(flat: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Sort the patterns as unsigned integers; those with the sign bit come last, in the wrong order."""
    patterns = np.sort(flat.view(f"u{flat.dtype.itemsize}"))
    starts = np.flatnonzero(np.concatenate([[True], patterns[1:] != patterns[:-1]]))[: patterns.size]
    found, counts = patterns[starts], np.diff(starts, append=patterns.size)
    positive = int(np.searchsorted(found, 1 << (8 * flat.dtype.itemsize - 1)))
    ascending = np.concatenate([np.arange(positive, found.size)[::-1], np.arange(positive)])
    return found[ascending], counts[ascending].astype(np.float64)
