"""The values of cells that may hold a boundary, sorted, to be cut into ever smaller pieces."""

from __future__ import annotations

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from milpass.fitting.cells import Cells


@frozen(eq=False)
class Gathered:
    """Distinct values, ascending, and their counts, both float64; those of a cell begin at one of `starts`.

    `reaches` are those of the cells (`Cells`).
    """

    values: NDArray[np.float64]
    counts: NDArray[np.float64]
    starts: NDArray[np.int64]
    reaches: NDArray[np.float64]

    @classmethod
    def of(
        cls, values: NDArray[np.float32], sizes: NDArray[np.int64], reaches: NDArray[np.float64]
    ) -> Gathered:
        """Sort the values in place; `sizes` are how many are of each cell, all of them in ascending order."""
        values.sort()
        begins = np.ones(values.size, bool)
        np.not_equal(values[1:], values[:-1], out=begins[1:])
        begins[np.cumsum(sizes) - sizes] = True  # 0.0 and -0.0 are of different cells
        at = np.flatnonzero(begins)
        counts = np.diff(at, append=values.size).astype(np.float64)
        starts = np.searchsorted(at, np.cumsum(sizes) - sizes)
        return cls(values[at].astype(np.float64) + 0.0, counts, starts, reaches)

    def pieces(self, step: int) -> Cells:
        """Cells of so many distinct values each, the last of each of the cells before of fewer."""
        starts, owners = self._cut(step)
        lengths = np.diff(starts, append=self.values.size)
        if not starts.size:
            return Cells.none()
        lows, highs = self.values[starts], self.values[starts + lengths - 1]
        mass = np.add.reduceat(self.counts, starts)
        offsets = self.values - np.repeat(lows, lengths)
        shifts = np.add.reduceat(self.counts * offsets, starts) / mass
        scatters = np.add.reduceat(self.counts * np.square(offsets - np.repeat(shifts, lengths)), starts)
        return Cells(lows, highs, mass, lows + shifts, scatters, self.reaches[owners], lengths > 1)

    def only(self, chosen: NDArray[np.bool_], step: int) -> Gathered:
        """The values of the chosen ones of the pieces, each of which becomes a cell."""
        starts, owners = self._cut(step)
        lengths = np.diff(starts, append=self.values.size)
        kept = np.repeat(chosen, lengths)
        ends = np.cumsum(lengths[chosen])
        return Gathered(
            self.values[kept], self.counts[kept], ends - lengths[chosen], self.reaches[owners[chosen]]
        )

    def _cut(self, step: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Where pieces start, and the cell that each is of."""
        lengths = np.diff(self.starts, append=self.values.size)
        parts = -(-lengths // step)
        owners = np.repeat(np.arange(lengths.size), parts)
        inside = np.arange(owners.size) - np.repeat(np.cumsum(parts) - parts, parts)
        return self.starts[owners] + inside * step, owners
