"""The table of least squared error."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from milpass.fitting.clustering import cluster
from milpass.fitting.distribution import Distribution
from milpass.fitting.fitted import FittedWeight, LutOptions
from milpass.fitting.table import palettized


def fit(array: NDArray[Any], options: LutOptions) -> FittedWeight:
    """Fit the optimal table: exact k-means over all elements, then rounded to the weight's dtype."""
    assert options.nbits is not None
    distribution = Distribution.of(array)
    best = cluster(distribution, 1 << options.nbits)
    return palettized(array, distribution, best.means, options.nbits, optimum=best.cost, bound=best.bound)
