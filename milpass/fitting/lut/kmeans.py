"""The table of least squared error: an exact optimum, then rounded to the weight's dtype."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from milpass.fitting.finding import Finding
from milpass.fitting.fitted import FittedWeight, LutOptions, Terms
from milpass.fitting.large import is_streamed
from milpass.fitting.tables.clustering import cluster
from milpass.fitting.tables.distribution import Distribution
from milpass.fitting.tables.grouped import fit_tables, tables_again, with_tables
from milpass.fitting.tables.table import Entries

NBITS = "given"
DIVIDES = True

# Groups whose prices make the first guess for the next.
RECENT = 16


def fit(array: NDArray[Any], options: LutOptions, terms: Terms) -> FittedWeight:
    """Fit the optimal table of each group by exact k-means over its elements."""
    assert options.nbits is not None
    if options.cluster_dim > 1:
        from milpass.fitting.vectors.tables import fit_vector_tables

        return fit_vector_tables(array, options.nbits, options.cluster_dim, terms)
    if terms.are_plain and is_streamed(array, 1 << options.nbits):
        return with_tables(_streamed(array, options.nbits))
    return with_tables(fit_tables(array, options.nbits, terms, _Best()))


def searches(options: LutOptions) -> bool:
    """Always: the entries are what takes time, and what is small."""
    return True


def again(array: NDArray[Any], options: LutOptions, terms: Terms, finding: Finding) -> FittedWeight:
    """The fit from its tables; raises `Unusable` for tables of something else."""
    assert options.nbits is not None
    if options.cluster_dim > 1:
        from milpass.fitting.vectors.tables import vector_tables_again

        return vector_tables_again(array, options.nbits, options.cluster_dim, terms, finding)
    if terms.are_plain and is_streamed(array, 1 << options.nbits):
        from milpass.fitting.large.nearest import stored_again

        return stored_again(array, options.nbits, finding)
    return tables_again(array, options.nbits, terms, finding)


def _streamed(array: NDArray[Any], nbits: int) -> FittedWeight:
    """The same without a sort; imported where it is needed, as it takes longer than a small fit."""
    from milpass.fitting.large.nearest import stored
    from milpass.fitting.large.streaming import best_table

    table = best_table(array, 1 << nbits)
    return stored(array, Entries(table.means, table.cost, table.bound, table.way), nbits)


class _Best:
    """The best entries; each first guess of a price is corrected as it was right for the groups before.

    They count in the mean, since each price is somewhere between that of one cluster less and of one more.
    """

    def __init__(self) -> None:
        self._rates: list[float] = []

    def __call__(self, distribution: Distribution, k: int) -> Entries:
        recent = self._rates[-RECENT:]
        best = cluster(distribution.counted, k, rate=sum(recent) / len(recent) if recent else 1.0)
        if best.guess:
            self._rates.append(best.price / best.guess)
        return Entries(best.means, best.cost, best.bound, best.way)
