"""From real-numbered table entries to a stored table and the index of each element."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from milpass import kernels
from milpass.encodings import Dense, Indices, Lut
from milpass.fitting.distribution import Distribution
from milpass.fitting.fitted import FittedWeight, Quality

Part: TypeAlias = Callable[[int, int], NDArray[np.uint8]]


def palettized(
    array: NDArray[Any],
    distribution: Distribution,
    entries: NDArray[np.float64],
    nbits: int,
    *,
    optimum: float | None = None,
    bound: float | None = None,
) -> FittedWeight:
    """Store ascending `entries` in the weight's dtype; each element gets its nearest, of two the lower."""
    table = filled(entries, nbits, array.dtype)
    reals = table.astype(np.float64)
    ends = np.searchsorted(distribution.values, (reals[:-1] + reals[1:]) / 2, side="right")
    lengths = np.diff(ends, prepend=0, append=distribution.values.size)
    errors = np.abs(distribution.values - np.repeat(reals, lengths))
    quality = Quality(
        squared_error=float(np.sum(distribution.counts * np.square(errors))),
        max_error=float(errors.max()),
        signal=distribution.signal,
        optimum=optimum,
        bound=bound,
    )
    part = _INDEXING[array.dtype.type](array, distribution, ends, nbits)
    shaped = table.reshape((1,) * array.ndim + (-1, 1))
    return FittedWeight(Lut(Indices(array.shape, nbits, part), Dense(shaped)), quality)


def filled(entries: NDArray[Any], nbits: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """A table of 2**nbits entries, filled up with the last one, which is never chosen twice."""
    table = np.empty(1 << nbits, dtype)
    table[: entries.size] = entries
    table[entries.size :] = table[entries.size - 1]
    return table


def measured(array: NDArray[Any], lut: Lut) -> Quality:
    """How well a table with its indices meets the weight, element by element."""
    table = lut.inner.decode().reshape(-1).astype(np.float64)
    flat = array.reshape(-1)
    squared, greatest, signal, start = 0.0, 0.0, 0.0, 0
    for indices in lut.indices.parts():
        values = flat[start : start + indices.size].astype(np.float64)
        errors = np.abs(values - table[indices])
        squared += float(np.sum(np.square(errors)))
        signal += float(np.sum(np.square(values)))
        greatest = max(greatest, float(errors.max()))
        start += indices.size
    return Quality(squared, greatest, signal)


def indexed_by_pattern(array: NDArray[Any], patterns: NDArray[Any]) -> Part:
    """The place of each element's bit pattern among `patterns`, which hold them all."""
    flat = np.ascontiguousarray(array).reshape(-1).view(patterns.dtype)
    order = np.argsort(patterns)
    if patterns.dtype == np.uint16:
        index_of = np.zeros(1 << 16, np.uint8)
        index_of[patterns] = np.arange(patterns.size)
        return _looked_up(flat, index_of)

    def part(start: int, stop: int) -> NDArray[np.uint8]:
        return order[np.searchsorted(patterns[order], flat[start:stop])].astype(np.uint8)

    return part


def _looked_up(patterns: NDArray[np.uint16], index_of: NDArray[np.uint8]) -> Part:
    """The index of each 16-bit pattern, from a table of all 65,536."""

    def part(start: int, stop: int) -> NDArray[np.uint8]:
        found = np.empty(stop - start, np.uint8)
        kernels.assignment.look_up(patterns[start:stop], index_of, found)
        return found

    return part


def _of_fp16(
    array: NDArray[np.float16], distribution: Distribution, ends: NDArray[np.intp], nbits: int
) -> Part:
    """Look up each bit pattern."""
    index_of = np.zeros(1 << 16, np.uint8)
    indices = np.searchsorted(ends, np.arange(distribution.values.size), side="right")
    patterns = distribution.values.astype(np.float16).view(np.uint16)
    index_of[patterns] = indices
    index_of[0x8000] = index_of[0x0000]  # -0.0 goes where 0.0 goes
    return _looked_up(np.ascontiguousarray(array).reshape(-1).view(np.uint16), index_of)


def _of_fp32(
    array: NDArray[np.float32], distribution: Distribution, ends: NDArray[np.intp], nbits: int
) -> Part:
    """Count the cuts below each value; a cut is the last value that an entry takes."""
    cuts = np.full((1 << nbits) - 1, -np.inf, np.float32)
    taken = ends > 0
    cuts[taken] = distribution.values[ends[taken] - 1]
    flat = np.ascontiguousarray(array).reshape(-1)

    def part(start: int, stop: int) -> NDArray[np.uint8]:
        found = np.empty(stop - start, np.uint8)
        kernels.assignment.count_cuts(flat[start:stop], cuts, found)
        return found

    return part


_Indexing: TypeAlias = Callable[[NDArray[Any], Distribution, NDArray[np.intp], int], Part]
_INDEXING: dict[type, _Indexing] = {
    np.float16: _of_fp16,
    np.float32: _of_fp32,
}
