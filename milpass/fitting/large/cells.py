"""Cells: neighbouring values counted together."""

from __future__ import annotations

from typing import Any

import numpy as np
from attrs import astuple, evolve, frozen
from numpy.typing import NDArray

from milpass.fitting.tables.distribution import Distribution


@frozen(eq=False)
class Cells:
    """Disjoint cells, ascending: float64 [n] each, `live` bool [n].

    `lows` and `highs` are bounds of the values, `scatters` their squared errors around `means`; no two means
    at a boundary in the cell are further apart than `reaches`.  A cell is live until it is one value or no
    optimum has a boundary inside.
    """

    lows: NDArray[np.float64]
    highs: NDArray[np.float64]
    counts: NDArray[np.float64]
    means: NDArray[np.float64]
    scatters: NDArray[np.float64]
    reaches: NDArray[np.float64]
    live: NDArray[np.bool_]

    @classmethod
    def none(cls) -> Cells:
        """No cells."""
        nothing = np.empty(0)
        return cls(nothing, nothing, nothing, nothing, nothing, nothing, nothing.astype(bool))

    @property
    def size(self) -> int:
        """The number of cells."""
        return self.means.size

    @property
    def distribution(self) -> Distribution:
        """Each cell as so many values at its mean."""
        return Distribution(self.means, self.counts)

    @property
    def risks(self) -> NDArray[np.float64]:
        """What moving a boundary in the cell to one of its ends costs at most."""
        reaches = np.where(self.live, self.reaches, 0.0)
        risks: NDArray[np.float64] = self.counts * (self.highs - self.lows) * reaches / 2
        return risks

    def only(self, chosen: NDArray[np.bool_]) -> Cells:
        """The chosen cells."""
        return Cells(*(column[chosen] for column in _columns(self)))

    def followed_by(self, other: Cells) -> Cells:
        """These cells and the others, all of which come after."""
        pairs = zip(_columns(self), _columns(other), strict=True)
        return Cells(*(np.concatenate(pair) for pair in pairs))

    def merged(self, other: Cells) -> Cells:
        """These cells and the others, none of which overlap."""
        both = self.followed_by(other)
        order = np.lexsort((both.highs, both.lows))
        return Cells(*(column[order] for column in _columns(both)))

    def joined(self, open_ends: NDArray[np.bool_]) -> Cells:
        """One cell of all between two ends that are open, of [n + 1]; it is what its first cell is."""
        open_ends = open_ends[:-1].copy()
        open_ends[:1] = True
        starts = np.flatnonzero(open_ends)
        lengths = np.diff(starts, append=self.size)
        mass = np.add.reduceat(self.counts, starts)
        offsets = self.means - np.repeat(self.means[starts], lengths)
        shifts = np.add.reduceat(self.counts * offsets, starts) / mass
        between = self.counts * np.square(offsets - np.repeat(shifts, lengths))
        return evolve(
            self.only(open_ends),
            highs=self.highs[starts + lengths - 1],
            counts=mass,
            means=self.means[starts] + shifts,
            scatters=np.add.reduceat(self.scatters + between, starts),
        )


def _columns(cells: Cells) -> tuple[NDArray[Any], ...]:
    return astuple(cells, recurse=False)


def shares(risks: NDArray[np.float64], most: int) -> NDArray[np.float64]:
    """How many parts each cell is worth, `most` in all: with n and d cut in m a risk falls by m**2."""
    roots = np.sqrt(risks)
    return roots * (most / np.sum(roots)) if roots.size else roots
