"""The weight's own distinct values, if a table holds them: nothing is lost, the fewest bits are found."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from milpass.encodings import Dense, Indices, Lut
from milpass.fitting.fitted import FittedWeight, LutOptions, NotFittable, Quality, Terms, fewest_nbits
from milpass.fitting.tables.distribution import check_finite
from milpass.fitting.tables.grouped import Place, indexed, parts
from milpass.fitting.tables.patterns import distinct_patterns
from milpass.fitting.tables.table import Table, indexed_by_pattern

NBITS = "found"
DIVIDES = True


def fit(array: NDArray[Any], options: LutOptions, terms: Terms) -> FittedWeight:
    """Fit tables of distinct bit patterns, ascending as values (-0.0 before 0.0, which are two).

    All tables have as many entries as the group with the most distinct values needs.
    """
    check_finite(array)
    most = 1 << max(terms.legal_nbits)
    if terms.are_plain:
        return _whole(array, _distinct(array, most), terms)
    patterns = {place: _distinct(values, most) for place, values, _ in parts(array, terms)}
    nbits = fewest_nbits(max((found.size for found in patterns.values()), default=1), terms.legal_nbits)
    tables = np.zeros((*terms.groups, 1 << nbits, 1), array.dtype)

    def table(place: Place, values: NDArray[Any], importance: NDArray[np.float64] | None) -> Table:
        tables[place][:, 0] = _stored(patterns[place], nbits).view(array.dtype)
        return Table(tables[place], indexed_by_pattern(values, patterns[place]), _lossless(values))

    indices, quality = indexed(array, terms, table)
    return FittedWeight(Lut(Indices.of(indices, nbits), Dense(tables)), quality)


def _distinct(values: NDArray[Any], most: int) -> NDArray[Any]:
    """The distinct bit patterns of a group."""
    patterns = distinct_patterns(values, most=most)
    if patterns is None:
        raise NotFittable(f"more than {most} distinct values")
    return patterns


def _whole(array: NDArray[Any], patterns: NDArray[Any], terms: Terms) -> FittedWeight:
    """One table for a whole weight, whose indices need not stand in memory at once."""
    nbits = fewest_nbits(patterns.size, terms.legal_nbits)
    shaped = _stored(patterns, nbits).view(array.dtype).reshape((1,) * array.ndim + (-1, 1))
    indices = Indices(array.shape, nbits, indexed_by_pattern(array, patterns))
    return FittedWeight(Lut(indices, Dense(shaped)), _lossless(array))


def _stored(patterns: NDArray[Any], nbits: int) -> NDArray[Any]:
    """A table filled up with its last entry."""
    table = np.full(1 << nbits, patterns[-1], patterns.dtype)
    table[: patterns.size] = patterns
    return table


def _lossless(values: NDArray[Any]) -> Quality:
    signal = float(np.sum(np.square(values, dtype=np.float64)))
    return Quality(0.0, 0.0, signal, optimum=0.0, bound=0.0)
