"""The best table for a large fp32 weight, without sorting it and with its proof.

Two passes count its values in cells, the second in finer ones where the first could not tell that no best
clustering has a boundary; a third gathers the values of those that are left, and only they are sorted.
"""

from __future__ import annotations

import numpy as np
from attrs import evolve, frozen
from numpy.typing import NDArray

from milpass import kernels
from milpass.fitting.large.cells import Cells
from milpass.fitting.large.gathered import Gathered
from milpass.fitting.large.layout import CHUNK, Layout, counted
from milpass.fitting.large.narrowing import Told, narrowed
from milpass.fitting.tables.clustering import cluster
from milpass.fitting.tables.distribution import check_filled, check_finite
from milpass.paging import in_parts

# Rounds after which values that are left are looked at one by one.
ROUNDS = 4
# Cells for each entry that the second pass makes of those that are left; rounds after it make fewer by this.
FINER = 1 << 10
COARSER = 4


@frozen(eq=False)
class Best:
    """The means of the best clustering, ascending; its squared error, and what none can go below."""

    means: NDArray[np.float64]
    cost: float
    bound: float
    way: str


def best_table(array: NDArray[np.float32], k: int, *, finer: int = FINER) -> Best:
    """The best table of k entries, k >= 2, for a weight of any shape and size, contiguous or not.

    The second pass makes some `finer` cells for each entry.  Raises `NotFittable` for NaN and infinity, and
    where there are no elements.
    """
    check_filled(array)
    patterns = np.ascontiguousarray(array).reshape(-1).view(np.uint32)
    coarse = counted(patterns, Layout.coarse())
    if not coarse.is_finite:
        check_finite(array)
    told, live = narrowed(Told(coarse.cells), k)
    layout = Layout.finer(told.cells.only(told.cells.live), coarse.uppers[live], finer * k)
    fine = counted(patterns, layout)
    told, live = narrowed(evolve(told, cells=fine.cells), k)
    left = _gathered(patterns, layout, fine.numbers[live], told.cells)
    return _refined(told, left, k, finer * k // COARSER + 1)


def _refined(told: Told, gathered: Gathered, k: int, most: int) -> Best:
    """The best table, from cells that are settled and the values of others, some `most` pieces a round."""
    for _ in range(ROUNDS):
        if gathered.values.size <= 2 * most:
            break
        pieces = gathered.pieces(most)
        cells = pieces.cells()
        merged = told.settled.merged(cells)
        told, still = narrowed(evolve(told, cells=merged), k)
        chosen = cells.live.copy()
        chosen[chosen] = still[merged.live]
        gathered = pieces.only(chosen)
    cells = told.settled.merged(gathered.singles().cells())
    cells = cells.joined(np.diff(cells.means, prepend=-np.inf, append=np.inf) != 0)  # 0.0 and -0.0
    best = cluster(cells.distribution, k, told.price)
    scatter = float(np.sum(cells.scatters))
    return Best(best.means, best.cost + scatter, best.bound + scatter, f"cells, {best.way}")


def _gathered(
    patterns: NDArray[np.uint32], layout: Layout, numbers: NDArray[np.int64], cells: Cells
) -> Gathered:
    """The values of the cells that are live, which are those of `numbers` in the layout."""
    wanted = np.zeros(layout.size, np.uint8)
    wanted[numbers] = 1
    live = cells.only(cells.live)
    counts = live.counts.astype(np.int64)
    found = np.empty(int(np.sum(counts)) + 1, np.uint32)
    number = np.zeros(1, np.int64)
    for part in in_parts(patterns, CHUNK):
        kernels.cells.gather(part, layout.places, wanted, found, number)
    return Gathered.of(found[:-1].view(np.float32), counts, live.reaches)
