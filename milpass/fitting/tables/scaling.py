"""Tables of weights whose channels are scaled to one size first."""

from __future__ import annotations

from typing import Any

import numpy as np
from attrs import evolve
from numpy.typing import NDArray

from milpass.encodings import Affine
from milpass.fitting.finding import Fitter
from milpass.fitting.fitted import FittedWeight, Terms
from milpass.fitting.measuring import measured
from milpass.fitting.numbers.quantization import stored
from milpass.fitting.rows import joined, split
from milpass.fitting.tables.distribution import check_finite


def fit_scaled(
    fitter: Fitter, array: NDArray[Any], options: Any, terms: Terms, channels: tuple[int, ...]
) -> FittedWeight:
    """Fit a table to the weight over the greatest magnitude of each channel; `channels` are their groups.

    An error counts by the square of its channel's scale, so the table is the best for the weight itself.
    """
    check_finite(array)
    rows = split(array, channels).astype(np.float64)
    greatest = np.abs(rows).max(axis=1)
    scales = stored(np.where(greatest > 0, greatest, 1.0), array.dtype)
    even = joined((rows / scales[:, None]).astype(array.dtype), array.shape, channels)
    costs = joined(np.broadcast_to(np.square(scales)[:, None], rows.shape), array.shape, channels)
    costs = costs if terms.importance is None else costs * terms.importance
    found = fitter(options, even, evolve(terms, importance=costs))
    encoding = Affine(found.encoding, scales.astype(array.dtype).reshape(channels))
    seen = measured(array, encoding, terms.importance)
    best = found.quality
    quality = evolve(seen, optimum=best.optimum, bound=best.bound, ways=best.ways)
    return FittedWeight(encoding, quality)
