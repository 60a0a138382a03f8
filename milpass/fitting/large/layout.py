"""How fp32 bit patterns are dealt to cells: by their upper 16 bits, and where it matters by some more."""

from __future__ import annotations

import numpy as np
from attrs import evolve, frozen
from numpy.typing import NDArray

from milpass import kernels
from milpass.fitting.large.cells import Cells, shares
from milpass.paging import in_parts

# Patterns whose sums one number holds (`kernels.cells.add_moments`).
CHUNK = 1 << 23
UPPER = 1 << 16
SIGN = 1 << 15
# The upper 16 bits, without the sign, from which on patterns are infinity and NaN.
NOT_FINITE = 0x7F80


@frozen(eq=False)
class Layout:
    """For all upper 16 bits of a pattern, how many of the lower 16 choose a cell, uint8 [65536].

    `live` and `reaches` are what is known of the cells of each already.
    """

    bits: NDArray[np.uint8]
    live: NDArray[np.bool_]
    reaches: NDArray[np.float64]

    @classmethod
    def coarse(cls) -> Layout:
        """One cell for all patterns of the same upper 16 bits."""
        return cls(np.zeros(UPPER, np.uint8), np.ones(UPPER, bool), np.full(UPPER, np.inf))

    @classmethod
    def finer(cls, live: Cells, uppers: NDArray[np.int64], most: int) -> Layout:
        """Coarse cells that are live, split into some `most`, so that their risks become alike."""
        wanted = np.maximum(shares(live.risks, most), 1.0)
        useful = np.minimum(np.rint(np.log2(wanted)), np.ceil(np.log2(live.counts)) + 1)
        layout = cls(np.zeros(UPPER, np.uint8), np.zeros(UPPER, bool), np.full(UPPER, np.inf))
        layout.bits[uppers] = np.minimum(useful, 16).astype(np.uint8)
        layout.live[uppers] = True
        layout.reaches[uppers] = live.reaches
        return layout

    @property
    def places(self) -> NDArray[np.int32]:
        """What the kernels look up: 32 times the first cell, plus how many bits do not choose it."""
        sizes = 1 << self.bits.astype(np.int32)
        places: NDArray[np.int32] = ((np.cumsum(sizes) - sizes) * 32 + (16 - self.bits)).astype(np.int32)
        return places

    @property
    def size(self) -> int:
        """The number of cells."""
        return int(np.sum(1 << self.bits.astype(np.int64)))


@frozen(eq=False)
class Counted:
    """The cells of a weight that have values, and what each is in the layout.

    `numbers` are their numbers, `uppers` the upper 16 bits of their patterns.
    """

    cells: Cells
    numbers: NDArray[np.int64]
    uppers: NDArray[np.int64]

    @property
    def is_finite(self) -> bool:
        """Whether no value is NaN or infinite."""
        return not bool(np.any((self.uppers & ~SIGN) >= NOT_FINITE))


def counted(patterns: NDArray[np.uint32], layout: Layout) -> Counted:
    """Count the values of a weight, in one pass."""
    counts, firsts, squares = _summed(patterns, layout)
    present = np.flatnonzero(counts)
    firsts_of_upper = layout.places[:] >> 5
    uppers = np.searchsorted(firsts_of_upper, present, side="right") - 1
    negative = int(np.searchsorted(uppers, SIGN))
    # magnitudes ascend with patterns, values below zero the other way
    order = np.concatenate([np.arange(present.size)[negative:][::-1], np.arange(negative)])
    numbers, uppers = present[order], uppers[order]
    lower = (numbers - firsts_of_upper[uppers]) << (16 - layout.bits[uppers].astype(np.int64))
    cells = _cells(
        (uppers << 16) + lower,
        1 << (16 - layout.bits[uppers].astype(np.int64)),
        (counts[numbers], firsts[numbers], squares[numbers]),
    )
    return Counted(_known(cells, layout, uppers), numbers, uppers)


def _summed(patterns: NDArray[np.uint32], layout: Layout) -> tuple[NDArray[np.uint64], ...]:
    """The sums of 1, r and r**2 of each cell, r the lower 16 bits."""
    places = layout.places
    counts, firsts, squares = (np.zeros(layout.size, np.uint64) for _ in range(3))
    for part in in_parts(patterns, CHUNK):
        moments = np.zeros((layout.size, 2), np.uint64)
        kernels.cells.add_moments(part, places, moments)
        counts += moments[:, 0] >> 40
        firsts += moments[:, 0] & ((1 << 40) - 1)
        squares += moments[:, 1]
    return counts, firsts, squares


def _cells(
    starts: NDArray[np.int64], widths: NDArray[np.int64], sums: tuple[NDArray[np.uint64], ...]
) -> Cells:
    """Cells that begin at the patterns `starts` and hold so many patterns."""
    whole, firsts, squares = sums
    middles = (firsts + whole // 2) // whole  # the whole number next to the mean, from which all stays exact
    rests = (firsts - middles * whole).view(np.int64).astype(np.float64)
    around = (squares - 2 * middles * firsts + middles * middles * whole).astype(np.float64)
    counts = whole.astype(np.float64)
    single = around == 0
    magnitudes = (starts & 0x7FFFFFFF).astype(np.uint32)
    unit = np.ldexp(1.0, np.maximum(magnitudes >> 23, 1).astype(np.int64) - 150)
    with np.errstate(invalid="ignore"):  # patterns of NaN, which are told apart elsewhere
        lows = magnitudes.view(np.float32).astype(np.float64)
    highs = lows + unit * (widths - 1)
    means = lows + unit * ((middles.astype(np.int64) - (starts & 0xFFFF)) + rests / counts)
    lows, highs = np.where(single, means, lows), np.where(single, means, highs)
    negative = starts > 0x7FFFFFFF
    lows, highs = np.where(negative, -highs, lows), np.where(negative, -lows, highs)
    means = np.where(negative, -means, means) + 0.0
    scatters = (around - rests * rests / counts) * unit**2
    reaches = np.full(counts.size, np.inf)
    return Cells(lows + 0.0, highs + 0.0, counts, means, scatters, reaches, ~single)


def _known(cells: Cells, layout: Layout, uppers: NDArray[np.int64]) -> Cells:
    """The cells with what the layout knows of them; no two means are further apart than all values."""
    reaches = np.minimum(layout.reaches[uppers], cells.highs[-1] - cells.lows[0])
    return evolve(cells, reaches=reaches, live=cells.live & layout.live[uppers])
