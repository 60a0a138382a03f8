"""A stored table for a large fp32 weight: each element's nearest entry, measured element by element."""

from __future__ import annotations

import numpy as np
from attrs import evolve
from numpy.typing import NDArray

from milpass import kernels
from milpass.encodings import Dense, Indices, Lut
from milpass.fitting.finding import Finding, Unusable, check_parameters
from milpass.fitting.fitted import FittedWeight, Quality
from milpass.fitting.tables.table import Entries, by_cuts, filled
from milpass.paging import LARGE, let_go


def stored(array: NDArray[np.float32], entries: Entries, nbits: int) -> FittedWeight:
    """Store ascending entries as fp32; each element gets its nearest, of two the lower (`palettized`)."""
    table = filled(entries.reals, nbits, array.dtype)
    flat = np.ascontiguousarray(array).reshape(-1)
    lut = _lut(flat, table, array.shape, nbits)
    if flat.nbytes < LARGE:  # what is looked at twice is searched for once
        lut = evolve(lut, indices=Indices.of(lut.indices.array(), nbits))
    squared, signal, greatest = _measured(flat, lut.indices, table.astype(np.float64))
    quality = Quality(squared, greatest, signal, entries.optimum, entries.bound, entries.ways)
    return FittedWeight(lut, quality)


def stored_again(array: NDArray[np.float32], nbits: int, finding: Finding) -> FittedWeight:
    """What `stored` has made, from its table; raises `Unusable` for a table of something else."""
    check_parameters(finding, (array.dtype, (*(1,) * array.ndim, 1 << nbits, 1)))
    table = finding.parameters[0].reshape(-1)
    if (np.diff(table) < 0).any():
        raise Unusable("a table that does not ascend")
    lut = _lut(np.ascontiguousarray(array).reshape(-1), table, array.shape, nbits)
    return FittedWeight(lut, finding.quality, finding.parameters)


def _lut(flat: NDArray[np.float32], table: NDArray[np.float32], shape: tuple[int, ...], nbits: int) -> Lut:
    shaped = table.reshape((1,) * len(shape) + (-1, 1))
    return Lut(Indices(shape, nbits, by_cuts(flat, cuts(table))), Dense(shaped))


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
