"""The weight's own distinct values, if a table holds them: nothing is lost, the fewest bits are found."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from milpass.encodings import Dense, Indices, Lut
from milpass.fitting.fitted import FittedWeight, LutOptions, NotFittable, Quality, Terms, fewest_nbits
from milpass.fitting.tables.distribution import check_finite
from milpass.fitting.tables.patterns import distinct_patterns
from milpass.fitting.tables.table import indexed_by_pattern

NBITS = "found"


def fit(array: NDArray[Any], options: LutOptions, terms: Terms) -> FittedWeight:
    """Fit a table of the distinct bit patterns, ascending as values (-0.0 before 0.0, which are two)."""
    check_finite(array)
    most = 1 << max(terms.legal_nbits)
    patterns = distinct_patterns(array, most=most)
    if patterns is None:
        raise NotFittable(f"more than {most} distinct values")
    nbits = fewest_nbits(patterns.size, terms.legal_nbits)
    table = np.full(1 << nbits, patterns[-1], patterns.dtype)
    table[: patterns.size] = patterns
    shaped = table.view(array.dtype).reshape((1,) * array.ndim + (-1, 1))
    indices = Indices(array.shape, nbits, indexed_by_pattern(array, patterns))
    signal = float(np.sum(np.square(array, dtype=np.float64)))
    return FittedWeight(Lut(indices, Dense(shaped)), Quality(0.0, 0.0, signal, optimum=0.0, bound=0.0))
