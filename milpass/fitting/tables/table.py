"""From real-numbered table entries to a stored table and the index of each element."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from milpass import kernels
from milpass.encodings import Dense, Indices, Lut
from milpass.fitting.fitted import FittedWeight, Quality
from milpass.fitting.tables.distribution import Distribution
from milpass.paging import let_go

Part: TypeAlias = Callable[[int, int], NDArray[np.uint8]]


class Entries(NamedTuple):
    """Ascending real-numbered entries, with the squared error of the best ones and what is proven of it."""

    reals: NDArray[np.float64]
    optimum: float | None = None
    bound: float | None = None
    way: str | None = None

    @property
    def ways(self) -> tuple[tuple[str, int], ...]:
        """The way in which they were proven, once."""
        return () if self.way is None else ((self.way, 1),)


class Table(NamedTuple):
    """A stored table (flat, of the weight's dtype), the index of each element, and how good they are."""

    stored: NDArray[Any]
    part: Part
    quality: Quality


def palettized(array: NDArray[Any], distribution: Distribution, entries: Entries, nbits: int) -> FittedWeight:
    """One table for a whole weight."""
    found = table_of(array, distribution, entries, nbits)
    shaped = found.stored.reshape((1,) * array.ndim + (-1, 1))
    return FittedWeight(Lut(Indices(array.shape, nbits, found.part), Dense(shaped)), found.quality)


def table_of(array: NDArray[Any], distribution: Distribution, entries: Entries, nbits: int) -> Table:
    """Store entries in the weight's dtype; each element gets its nearest, of two the lower."""
    table = filled(entries.reals, nbits, array.dtype)
    reals = table.astype(np.float64)
    middles = np.where(reals[:-1] < reals[-1], (reals[:-1] + reals[1:]) / 2, np.inf)
    chosen, sums = np.empty(distribution.values.size, np.uint8), np.empty(3)
    kernels.assignment.choose(distribution.values, distribution.counts, reals, middles, chosen, sums)
    squared, greatest, signal = map(float, sums)
    quality = Quality(squared, greatest, signal, entries.optimum, entries.bound, entries.ways)
    return Table(table, _INDEXING[array.dtype.type](array, distribution, chosen, nbits), quality)


def filled(entries: NDArray[Any], nbits: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """A table of 2**nbits entries, filled up with the last one, which is never chosen twice."""
    table = np.empty(1 << nbits, dtype)
    table[: entries.size] = np.rint(entries) if dtype.kind in "iu" else entries
    table[entries.size :] = table[entries.size - 1]
    return table


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
        let_go(patterns, patterns[start:stop])
        return found

    return part


def _of_fp16(
    array: NDArray[np.float16], distribution: Distribution, chosen: NDArray[np.uint8], nbits: int
) -> Part:
    """Look up each bit pattern."""
    index_of = np.empty(1 << 16, np.uint8)
    patterns = _cuts(distribution, chosen, nbits).astype(np.float16).view(np.uint16).astype(np.int64)
    kernels.assignment.spread(np.where(patterns >> 15, 0xFFFF - patterns, 0x8000 + patterns), index_of)
    return _looked_up(np.ascontiguousarray(array).reshape(-1).view(np.uint16), index_of)


def _of_fp32(
    array: NDArray[np.float32], distribution: Distribution, chosen: NDArray[np.uint8], nbits: int
) -> Part:
    """Count the cuts below each value."""
    cuts = _cuts(distribution, chosen, nbits).astype(np.float32)
    return by_cuts(np.ascontiguousarray(array).reshape(-1), cuts)


def _cuts(distribution: Distribution, chosen: NDArray[np.uint8], nbits: int) -> NDArray[np.float64]:
    """The last value that each entry but the last takes, or one before it."""
    ends = np.searchsorted(chosen, np.arange((1 << nbits) - 1, dtype=np.uint8), side="right")
    cuts: NDArray[np.float64] = np.where(ends > 0, distribution.values[ends - 1], -np.inf)
    return cuts


def by_cuts(flat: NDArray[np.float32], cuts: NDArray[np.float32]) -> Part:
    """How many cuts lie below each element."""

    def part(start: int, stop: int) -> NDArray[np.uint8]:
        found = np.empty(stop - start, np.uint8)
        kernels.assignment.count_cuts(flat[start:stop], cuts, found)
        let_go(flat, flat[start:stop])
        return found

    return part


def _of_bytes(array: NDArray[Any], distribution: Distribution, chosen: NDArray[np.uint8], nbits: int) -> Part:
    """Look up each of the 256 values."""
    least = np.iinfo(array.dtype).min
    index_of = np.zeros(256, np.uint8)
    index_of[distribution.values.astype(np.intp) - least] = chosen
    flat = np.ascontiguousarray(array).reshape(-1)

    def part(start: int, stop: int) -> NDArray[np.uint8]:
        return index_of[flat[start:stop].astype(np.int16) - least]

    return part


_Indexing: TypeAlias = Callable[[NDArray[Any], Distribution, NDArray[np.uint8], int], Part]
_INDEXING: dict[type, _Indexing] = {
    np.float16: _of_fp16,
    np.float32: _of_fp32,
    np.int8: _of_bytes,
    np.uint8: _of_bytes,
}
