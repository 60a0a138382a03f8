"""The values of cells that may hold a boundary, sorted, to be cut into ever smaller pieces."""

from __future__ import annotations

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from milpass.fitting.large.cells import Cells, shares

# Pieces whose values are summed at a time.
BLOCK = 1 << 12


@frozen(eq=False)
class Gathered:
    """Distinct values, ascending, and their counts; those of a cell begin at one of `starts`.

    `reaches` are those of the cells (`Cells`).
    """

    values: NDArray[np.float32]
    counts: NDArray[np.uint32]
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
        counts = np.empty(at.size, np.uint32)
        np.subtract(at[1:], at[:-1], out=counts[:-1], casting="unsafe")
        counts[-1:] = values.size - at[-1:]
        starts = np.searchsorted(at, np.cumsum(sizes) - sizes)
        return cls(values[begins] + np.float32(0), counts, starts, reaches)

    def pieces(self, most: int) -> Pieces:
        """Some `most` pieces, so that what moving a boundary in them may cost becomes alike."""
        lengths = np.diff(self.starts, append=self.values.size)
        lows = self.values[self.starts].astype(np.float64)
        masses = np.add.reduceat(self.counts, self.starts, dtype=np.float64)
        risks = masses * (self.values[self.starts + lengths - 1] - lows) * self.reaches
        steps = lengths / np.maximum(shares(risks, most), 1.0)
        return self._cut(lengths, np.maximum(steps.astype(np.int64), 1))

    def singles(self) -> Pieces:
        """Each value a piece."""
        lengths = np.diff(self.starts, append=self.values.size)
        return self._cut(lengths, np.ones_like(lengths))

    def _cut(self, lengths: NDArray[np.int64], steps: NDArray[np.int64]) -> Pieces:
        """Pieces of so many distinct values, the last of each cell of fewer."""
        parts = -(-lengths // steps)
        owners = np.repeat(np.arange(lengths.size), parts)
        inside = np.arange(owners.size) - np.repeat(np.cumsum(parts) - parts, parts)
        return Pieces(self, self.starts[owners] + inside * steps[owners], self.reaches[owners])


@frozen(eq=False)
class Pieces:
    """Gathered values cut at `starts`; `reaches` are those of the cells that they are of."""

    gathered: Gathered
    starts: NDArray[np.int64]
    reaches: NDArray[np.float64]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """The number of distinct values of each."""
        return np.diff(self.starts, append=self.gathered.values.size)

    def cells(self) -> Cells:
        """Each piece as a cell."""
        cells = Cells.none()
        for first in range(0, self.starts.size, BLOCK):
            cells = cells.followed_by(self._block(first, first + BLOCK))
        return cells

    def _block(self, first: int, last: int) -> Cells:
        """Some of the pieces as cells: sums need room for all their values in float64."""
        lengths = self.lengths[first:last]
        starts = np.cumsum(lengths) - lengths
        begin = self.starts[first]
        values = self.gathered.values[begin : begin + lengths.sum()].astype(np.float64)
        counts = self.gathered.counts[begin : begin + lengths.sum()].astype(np.float64)
        lows, highs = values[starts], values[starts + lengths - 1]
        masses = np.add.reduceat(counts, starts)
        offsets = values - np.repeat(lows, lengths)
        shifts = np.add.reduceat(counts * offsets, starts) / masses
        scatters = np.add.reduceat(counts * np.square(offsets - np.repeat(shifts, lengths)), starts)
        return Cells(lows, highs, masses, lows + shifts, scatters, self.reaches[first:last], lengths > 1)

    def only(self, chosen: NDArray[np.bool_]) -> Gathered:
        """The values of the chosen pieces, each of which becomes a cell."""
        lengths = self.lengths
        kept = np.repeat(chosen, lengths)
        starts = np.cumsum(lengths[chosen]) - lengths[chosen]
        return Gathered(self.gathered.values[kept], self.gathered.counts[kept], starts, self.reaches[chosen])
