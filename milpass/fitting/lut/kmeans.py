"""The table of least squared error: an exact optimum, then rounded to the weight's dtype."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from milpass.fitting.clustering import cluster
from milpass.fitting.distribution import Distribution
from milpass.fitting.fitted import FittedWeight, LutOptions
from milpass.fitting.nearest import stored
from milpass.fitting.streaming import best_table, is_streamed
from milpass.fitting.table import palettized

NBITS = "given"


def fit(array: NDArray[Any], options: LutOptions, legal_nbits: Sequence[int]) -> FittedWeight:
    """Fit the optimal table by exact k-means over all elements."""
    assert options.nbits is not None
    if is_streamed(array, 1 << options.nbits):
        table = best_table(array, 1 << options.nbits)
        return stored(array, table.means, options.nbits, optimum=table.cost, bound=table.bound)
    distribution = Distribution.of(array)
    best = cluster(distribution, 1 << options.nbits)
    return palettized(array, distribution, best.means, options.nbits, optimum=best.cost, bound=best.bound)
