"""How far squared errors lie over the true optimum: before the table is rounded to fp16, and as stored."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks import models, peer
from benchmarks.exact import least_errors
from benchmarks.rows import Row, at_most
from benchmarks.timing import Samples
from milpass import fit_lut
from milpass.fitting import mode_of
from milpass.fitting.fitted import Terms

SIDE = 2000
BITS = (1, 2, 4, 6, 8)
QUICK_BITS = (2, 4)


def rows(quick: bool, folder: Path) -> Iterator[Row]:
    """Each number of bits: the relative excess over the optimum, ours and theirs."""
    weight = models.layered_weight(0, SIDE, SIDE)
    bits = QUICK_BITS if quick else BITS
    optima = least_errors(weight, [1 << nbits for nbits in bits])
    for nbits in bits:
        yield from _rows(weight, nbits, optima[1 << nbits])


def _rows(weight: NDArray[np.float16], nbits: int, optimum: float) -> Iterator[Row]:
    """Before rounding, which the target is about, and after."""
    fitted = mode_of("lut", "kmeans").fit(weight, fit_lut(nbits=nbits), Terms(range(1, 9)))
    table, indices = peer.fit(weight, nbits)
    assert fitted.quality.optimum is not None

    def excess(error: float) -> Samples:
        return Samples((error / optimum - 1,))

    what = f"4M fp16, {nbits} bits: squared error over the optimum"
    ours, theirs = excess(fitted.quality.optimum), excess(_unrounded_error(weight, indices))
    yield Row(f"{what}, before rounding", "excess", ours, theirs, target=at_most(1e-9))
    ours, theirs = (excess(_error(weight, read)) for read in (fitted.encoding.decode(), table[indices]))
    yield Row(f"{what}, stored table", "excess", ours, theirs)


def _error(weight: NDArray[np.float16], decoded: NDArray[np.float16] | NDArray[np.float64]) -> float:
    """The squared error of all elements, in float64."""
    differences = weight.reshape(-1).astype(np.float64) - decoded.reshape(-1)
    return float(np.sum(np.square(differences)))


def _unrounded_error(weight: NDArray[np.float16], indices: NDArray[np.uint8]) -> float:
    """The squared error around the means of the groups that the indices make."""
    values = weight.reshape(-1).astype(np.float64)
    counts = np.maximum(np.bincount(indices), 1)
    means = np.bincount(indices, weights=values) / counts
    means += np.bincount(indices, weights=values - means[indices]) / counts  # what the first sum rounded off
    return _error(weight, means[indices])
