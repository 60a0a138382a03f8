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


def palettized(
    array: NDArray[Any],
    distribution: Distribution,
    entries: NDArray[np.float64],
    nbits: int,
    *,
    optimum: float | None = None,
    bound: float | None = None,
) -> FittedWeight:
    """Store ascending `entries` in the weight's dtype and assign each element its nearest, ties to the lower.

    A table with fewer than 2**nbits entries is filled up with its last one, which is never chosen twice.
    """
    table = np.empty(1 << nbits, array.dtype)
    table[: entries.size] = entries
    table[entries.size :] = table[entries.size - 1]
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
    indices = _INDEXING[array.dtype.type](array, distribution, ends, nbits)
    shaped = table.reshape((1,) * array.ndim + (-1, 1))
    return FittedWeight(Lut(indices, Dense(shaped)), quality)


def _of_fp16(
    array: NDArray[np.float16], distribution: Distribution, ends: NDArray[np.intp], nbits: int
) -> Indices:
    """Look up each bit pattern in a table of all 65,536."""
    index_of = np.zeros(1 << 16, np.uint8)
    indices = np.searchsorted(ends, np.arange(distribution.values.size), side="right")
    patterns = distribution.values.astype(np.float16).view(np.uint16)
    index_of[patterns] = indices
    index_of[0x8000] = index_of[0x0000]  # -0.0 goes where 0.0 goes
    flat = np.ascontiguousarray(array).reshape(-1).view(np.uint16)

    def part(start: int, stop: int) -> NDArray[np.uint8]:
        found = np.empty(stop - start, np.uint8)
        kernels.assignment.look_up(flat[start:stop], index_of, found)
        return found

    return Indices(array.shape, nbits, part)


def _of_fp32(
    array: NDArray[np.float32], distribution: Distribution, ends: NDArray[np.intp], nbits: int
) -> Indices:
    """Count the cuts below each value; a cut is the last value that an entry takes."""
    cuts = np.full((1 << nbits) - 1, -np.inf, np.float32)
    taken = ends > 0
    cuts[taken] = distribution.values[ends[taken] - 1]
    flat = np.ascontiguousarray(array).reshape(-1)

    def part(start: int, stop: int) -> NDArray[np.uint8]:
        found = np.empty(stop - start, np.uint8)
        kernels.assignment.count_cuts(flat[start:stop], cuts, found)
        return found

    return Indices(array.shape, nbits, part)


_Indexing: TypeAlias = Callable[[NDArray[Any], Distribution, NDArray[np.intp], int], Indices]
_INDEXING: dict[type, _Indexing] = {
    np.float16: _of_fp16,
    np.float32: _of_fp32,
}
