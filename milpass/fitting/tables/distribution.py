"""The distinct values of a weight and how often each occurs: all that a scalar fit looks at."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from math import isfinite
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from milpass.fitting.fitted import NotFittable
from milpass.fitting.tables.patterns import occurrences
from milpass.paging import in_parts

# Elements that are looked at a time.
PART = 1 << 22
# The bits of the exponent of fp16, all of them set in infinity and NaN alone.
INFINITE = 0x7C00


class Distribution(NamedTuple):
    """Distinct finite values, ascending, and their counts, both float64; 0.0 and -0.0 are one value."""

    values: NDArray[np.float64]
    counts: NDArray[np.float64]

    @classmethod
    def of(cls, array: NDArray[Any], importance: NDArray[np.float64] | None = None) -> Distribution:
        """The distribution of a weight (fp16, fp32 or (u)int8); raises `NotFittable` for NaN and infinity.

        With `importance`, of one shape with it, the counts are its sums over equal elements.
        """
        check_filled(array)
        if importance is not None:
            return _weighed(array.reshape(-1), importance.reshape(-1))
        with np.errstate(invalid="ignore"):  # a signalling NaN, which is told below
            values, counts = _READINGS[array.dtype.type](array.reshape(-1))
        if not (isfinite(values[0]) and isfinite(values[-1])):
            raise NotFittable(_non_finite(array))
        return cls(values, counts)

    @property
    def counted(self) -> Distribution:
        """The values whose count is not zero."""
        if self.counts.all():
            return self
        return Distribution(self.values[self.counts > 0], self.counts[self.counts > 0])

    @property
    def signal(self) -> float:
        """The sum of the squares of all elements."""
        return float(np.sum(self.counts * np.square(self.values)))


def _of_fp16(flat: NDArray[np.float16]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Count bit patterns: an fp16 has 65,536 of them whatever the size of the weight."""
    patterns, counts = occurrences(flat)
    return _merge_zeros(_reals()[patterns], counts)


@cache
def _reals() -> NDArray[np.float64]:
    """What each bit pattern of fp16 stands for, 0.0 for -0.0."""
    reals: NDArray[np.float64] = np.arange(1 << 16, dtype=np.uint16).view(np.float16).astype(np.float64)
    return reals + 0.0


def _of_fp32(flat: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sort; NaN comes last."""
    ascending = np.sort(flat)
    starts = np.flatnonzero(np.concatenate([[True], ascending[1:] != ascending[:-1]]))
    counts = np.diff(np.append(starts, ascending.size)).astype(np.float64)
    return ascending[starts].astype(np.float64) + 0.0, counts


def _of_bytes(flat: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Count the 256 values."""
    least = np.iinfo(flat.dtype).min
    counts = np.bincount(flat.astype(np.int16) - least, minlength=256)
    values = np.flatnonzero(counts)
    return (values + least).astype(np.float64), counts[values].astype(np.float64)


_READINGS: dict[type, Callable[[NDArray[Any]], tuple[NDArray[np.float64], NDArray[np.float64]]]] = {
    np.float16: _of_fp16,
    np.float32: _of_fp32,
    np.int8: _of_bytes,
    np.uint8: _of_bytes,
}


def _weighed(flat: NDArray[Any], importance: NDArray[np.float64]) -> Distribution:
    """Sums of importance over equal elements."""
    check_finite(flat)
    values, places = np.unique(flat.astype(np.float64) + 0.0, return_inverse=True)
    return Distribution(values, np.bincount(places.reshape(-1), importance, values.size).astype(np.float64))


def _merge_zeros(
    values: NDArray[np.float64], counts: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Make one value of two zeros, which stand side by side."""
    zero = int(np.searchsorted(values, 0.0))
    if values[zero : zero + 2].tolist() != [0.0, 0.0]:
        return values, counts
    counts[zero + 1] += counts[zero]
    values[1 : zero + 1], counts[1 : zero + 1] = values[:zero], counts[:zero]
    return values[1:], counts[1:]


def check_filled(array: NDArray[Any]) -> None:
    """Refuse an array without elements."""
    if array.size == 0:
        raise NotFittable("it has no elements")


def check_finite(array: NDArray[Any]) -> None:
    """Refuse an array without elements, or with NaN or infinity among them."""
    check_filled(array)
    flat = array.reshape(-1) if array.flags.c_contiguous else array
    if not all(_are_finite(part) for part in in_parts(flat, PART)):
        raise NotFittable(_non_finite(array))


def _are_finite(part: NDArray[Any]) -> bool:
    """Whether no element is NaN or infinite; numpy takes fp16 one by one, whole numbers not."""
    if part.dtype != np.float16:
        return bool(np.isfinite(part).all())
    return bool((part.view(np.uint16) & INFINITE).max() < INFINITE)


def _non_finite(array: NDArray[Any]) -> str:
    """How many elements are not finite, and where the first is."""
    bad = np.flatnonzero(~np.isfinite(array.reshape(-1)))
    first = [int(i) for i in np.unravel_index(bad[0], array.shape)]
    return f"{bad.size} of {array.size} elements are not finite, the first at {first}"
