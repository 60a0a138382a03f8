"""A stored table for a large fp32 weight: each element's nearest entry, measured element by element."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from milpass import kernels
from milpass.encodings import Dense, Indices, Lut
from milpass.fitting.fitted import FittedWeight, Quality
from milpass.fitting.tables.table import Entries, by_cuts, filled
from milpass.paging import let_go


def stored(array: NDArray[np.float32], entries: Entries, nbits: int) -> FittedWeight:
    """Store ascending entries as fp32; each element gets its nearest, of two the lower (`palettized`)."""
    table = filled(entries.reals, nbits, array.dtype)
    flat = np.ascontiguousarray(array).reshape(-1)
    indices = Indices(array.shape, nbits, by_cuts(flat, cuts(table)))
    shaped = table.reshape((1,) * array.ndim + (-1, 1))
    squared, signal, greatest = _measured(flat, indices, table.astype(np.float64))
    quality = Quality(squared, greatest, signal, entries.optimum, entries.bound, entries.ways)
    return FittedWeight(Lut(indices, Dense(shaped)), quality)


def cuts(table: NDArray[np.float32]) -> NDArray[np.float32]:
    """The greatest fp32 that is no nearer to the upper one of each two neighbours."""
    reals = table.astype(np.float64)
    middles = (reals[:-1] + reals[1:]) / 2
    found = middles.astype(np.float32)
    with np.errstate(over="ignore"):  # below the least of all, where it is not wanted
        below = np.nextafter(found, np.float32(-np.inf))
    return np.where(found > middles, below, found)


def _measured(
    flat: NDArray[np.float32], indices: Indices, table: NDArray[np.float64]
) -> tuple[float, float, float]:
    """The squared error, the sum of squares, and the greatest error; each part is summed on its own."""
    totals, start = np.zeros(3), 0
    for part in indices.parts():
        sums = np.zeros(3)
        values = flat[start : start + part.size]
        kernels.assignment.measure(values, part, table, sums)
        let_go(flat, values)
        totals[:2] += sums[:2]
        totals[2] = max(totals[2], sums[2])
        start += part.size
    return float(totals[0]), float(totals[1]), float(totals[2])
