"""The range that whole numbers span: all of each group, or what of it makes the least squared error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from milpass import kernels
from milpass.fitting.fitted import AffineOptions, FittedWeight, Terms
from milpass.fitting.numbers.quantization import Grid, encoded, errors, quality, quantized
from milpass.fitting.rows import split, widened
from milpass.fitting.tables.distribution import check_filled, check_finite

# (least, greatest value of each row, lowest, highest code, the weight's type) -> a grid that spans them
Spanning: TypeAlias = Callable[[NDArray[np.float64], NDArray[np.float64], int, int, np.dtype[Any]], Grid]

# The parts of the range from which the search for the least error starts, and its steps from each.
PARTS = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3)
STEPS = 3


@frozen
class Options:
    """Options of a fit but for the sign, which its mode or its format chooses."""

    nbits: int | None
    range: str
    signed: bool

    @classmethod
    def of(cls, options: AffineOptions, *, signed: bool) -> Options:
        """The options that a pass was given, with another sign."""
        return cls(options.nbits, options.range, signed)

    @property
    def has_offset(self) -> bool:
        """Unsigned numbers have a zero point."""
        return not self.signed


def fit_grid(array: NDArray[Any], options: AffineOptions, terms: Terms, spanning: Spanning) -> FittedWeight:
    """Fit by a grid for each group; what a mask leaves out is taken for zero."""
    check_filled(array)
    shown = array if terms.mask is None else np.where(terms.mask, array, array.dtype.type(0))
    values = widened(split(shown, terms.groups))
    low, high = _codes(options)
    least, greatest = values.min(axis=1).astype(np.float64), values.max(axis=1).astype(np.float64)
    if not (np.isfinite(least).all() and np.isfinite(greatest).all()):
        check_finite(array)
    grid = spanning(least, greatest, low, high, array.dtype)
    codes = quantized(values, grid)
    found = errors(values, codes, grid)
    if options.range == "mse":
        grid, codes, found = _improved(
            values,
            grid,
            codes,
            found,
            lambda part: spanning(least * part, greatest * part, low, high, array.dtype),
        )
    name = f"{'' if options.signed else 'u'}int{options.nbits}"
    encoding = encoded(codes, grid, name, array.shape, terms.groups, has_offset=options.has_offset)
    return FittedWeight(encoding, quality(found))


def _codes(options: AffineOptions) -> tuple[int, int]:
    """The lowest and the highest whole number."""
    assert options.nbits is not None
    count = 1 << options.nbits
    return (-count // 2, count // 2 - 1) if options.signed else (0, count - 1)


_Fitted: TypeAlias = tuple[Grid, NDArray[np.uint8], NDArray[np.float64]]


def _improved(
    values: NDArray[np.float32],
    grid: Grid,
    codes: NDArray[np.uint8],
    found: NDArray[np.float64],
    spanning_part: Callable[[float], Grid],
) -> _Fitted:
    """The grid that a search finds, in each row where its squared error is less than the whole range's."""
    best = _searched(values, spanning_part)
    narrow = quantized(values, best)
    those = errors(values, narrow, best)
    better = those[:, 0] < found[:, 0]
    return (
        best.where(better, grid),
        np.where(better[:, None], narrow, codes),
        np.where(better[:, None], those, found),
    )


def _searched(values: NDArray[np.float32], spanning_part: Callable[[float], Grid]) -> Grid:
    """From several parts of the range: round, take the best scale for the rounded, round again."""
    best, least = spanning_part(1.0), np.full(len(values), np.inf)
    for part in PARTS:
        grid = spanning_part(part)
        for _ in range(STEPS):
            sums = np.empty((len(values), 3))
            kernels.quantization.assess(values, grid.scales, grid.zeros, grid.low, grid.high, sums)
            best = grid.where(sums[:, 0] < least, best)
            least = np.minimum(least, sums[:, 0])
            with np.errstate(divide="ignore", invalid="ignore"):
                grid = grid.scaled(np.where(sums[:, 1] > 0, sums[:, 1] / sums[:, 2], grid.scales))
    return best
