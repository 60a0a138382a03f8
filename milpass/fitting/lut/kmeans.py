"""The table of least squared error: an exact optimum, then rounded to the weight's dtype."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from milpass.fitting.clustering import cluster
from milpass.fitting.distribution import Distribution
from milpass.fitting.fitted import FittedWeight, LutOptions, Terms
from milpass.fitting.grouped import fit_tables
from milpass.fitting.nearest import stored
from milpass.fitting.streaming import best_table, is_streamed
from milpass.fitting.table import Entries

NBITS = "given"
DIVIDES = True


def fit(array: NDArray[Any], options: LutOptions, terms: Terms) -> FittedWeight:
    """Fit the optimal table of each group by exact k-means over its elements."""
    assert options.nbits is not None
    if terms.are_plain and is_streamed(array, 1 << options.nbits):
        table = best_table(array, 1 << options.nbits)
        return stored(array, Entries(table.means, table.cost, table.bound), options.nbits)
    return fit_tables(array, options.nbits, terms, _Best())


class _Best:
    """The best entries; each search for a price starts from the one before it."""

    def __init__(self) -> None:
        self._price: float | None = None

    def __call__(self, distribution: Distribution, k: int) -> Entries:
        best = cluster(distribution.counted, k, self._price)
        self._price = best.price or self._price
        return Entries(best.means, best.cost, best.bound)
