"""The range that whole numbers span: all of each group, or what of it makes the least squared error."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import prod
from typing import Any, TypeAlias

import numpy as np
from attrs import evolve, frozen
from numpy.typing import NDArray

from milpass import kernels
from milpass.fitting.finding import Finding, check_parameters
from milpass.fitting.fitted import AffineOptions, FittedWeight, Quality, Terms
from milpass.fitting.numbers.quantization import Grid, Parameters, encoded, errors, quality, quantized
from milpass.fitting.numbers.sections import Section, sections
from milpass.fitting.rows import joined
from milpass.fitting.tables.distribution import check_filled, check_finite
from milpass.paging import let_go, scratch

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


def fit_grid(
    array: NDArray[Any],
    options: AffineOptions,
    terms: Terms,
    spanning: Spanning,
    known: Parameters | None = None,
) -> FittedWeight:
    """Fit by a grid for each group, if it is not known; what a mask leaves out is taken for zero."""
    check_filled(array)
    low, high = _codes(options)
    numbers = scratch(array.size, _kind(options)).reshape(array.shape)
    span = partial(_spanned, spanning, low, high, array.dtype)
    parameters, qualities = [], []
    for section in sections(array, terms):
        least, greatest = _reaches(section)
        if not (np.isfinite(least).all() and np.isfinite(greatest).all()):
            check_finite(array)
        grid = span(least, greatest, 1.0)
        if known:
            grid = known.part(section.first, section.last).grid(grid)
        elif options.range == "mse":
            grid = _improved(section, grid, partial(span, least, greatest))
        parameters.append(Parameters.of(grid, numbers.dtype))
        qualities.append(quality(_written(section, grid, numbers)))
    name, whole = f"{'' if options.signed else 'u'}int{options.nbits}", Parameters.joined(parameters)
    encoding = encoded(numbers, whole, name, terms.groups, has_offset=options.has_offset)
    found = (whole.scales, whole.zeros) if searches(options) else ()
    return FittedWeight(encoding, Quality.total(qualities), found)


def searches(options: AffineOptions) -> bool:
    """Whether a range is searched for: one that spans all values is found in no time."""
    return options.range == "mse"


def grid_again(
    array: NDArray[Any], options: AffineOptions, terms: Terms, spanning: Spanning, finding: Finding
) -> FittedWeight:
    """What `fit_grid` has made, from its scales and zero points; raises `Unusable` for others."""
    count = (prod(terms.groups),)
    check_parameters(finding, (array.dtype, count), (_kind(options), count))
    scales, zeros = finding.parameters
    fitted = fit_grid(array, options, terms, spanning, Parameters(scales, zeros))
    return evolve(fitted, quality=finding.quality)


def _kind(options: AffineOptions) -> np.dtype[Any]:
    """The type of the numbers."""
    return np.dtype(np.int8 if options.signed else np.uint8)


def _reaches(section: Section) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The least and the greatest value of each group."""
    found = [(values.min(axis=1), values.max(axis=1)) for _, values in section.parts()]
    least, greatest = zip(*found, strict=True)
    return np.min(least, axis=0).astype(np.float64), np.max(greatest, axis=0).astype(np.float64)


def _spanned(
    spanning: Spanning,
    low: int,
    high: int,
    dtype: np.dtype[Any],
    least: NDArray[np.float64],
    greatest: NDArray[np.float64],
    part: float,
) -> Grid:
    """The grid over a part of the range of each group."""
    return spanning(least * part, greatest * part, low, high, dtype)


def _written(section: Section, grid: Grid, numbers: NDArray[Any]) -> NDArray[np.float64]:
    """Write the numbers of a section, and give the errors of its groups."""

    def write(rows: slice, codes: NDArray[np.uint8]) -> None:
        part = numbers[rows]
        shifted = (codes + np.uint8(grid.low & 0xFF)).view(numbers.dtype)
        part[...] = joined(shifted, part.shape, section.groups)
        let_go(numbers, part)

    return _errors(section, grid, write)


def _errors(
    section: Section, grid: Grid, use: Callable[[slice, NDArray[np.uint8]], None] | None = None
) -> NDArray[np.float64]:
    """For each group the squared error, the greatest error and the sum of squares; `use` gets the codes."""
    totals = np.zeros((grid.scales.size, 3))
    for rows, values in section.parts():
        codes = quantized(values, grid)
        found = errors(values, codes, grid)
        totals[:, ::2] += found[:, ::2]
        totals[:, 1] = np.maximum(totals[:, 1], found[:, 1])
        if use:
            use(rows, codes)
    return totals


def _codes(options: AffineOptions) -> tuple[int, int]:
    """The lowest and the highest whole number."""
    assert options.nbits is not None
    count = 1 << options.nbits
    return (-count // 2, count // 2 - 1) if options.signed else (0, count - 1)


def _improved(section: Section, grid: Grid, narrowed: Callable[[float], Grid]) -> Grid:
    """The grid that a search finds, for each group where its squared error is less than the whole range's."""
    best = _searched(section, narrowed)
    better = _errors(section, best)[:, 0] < _errors(section, grid)[:, 0]
    return best.where(better, grid)


def _searched(section: Section, narrowed: Callable[[float], Grid]) -> Grid:
    """From several parts of the range: round, take the best scale for the rounded, round again."""
    best = narrowed(1.0)
    least = np.full(best.scales.size, np.inf)
    for part in PARTS:
        grid = narrowed(part)
        for _ in range(STEPS):
            sums = _assessed(section, grid)
            best = grid.where(sums[:, 0] < least, best)
            least = np.minimum(least, sums[:, 0])
            with np.errstate(divide="ignore", invalid="ignore"):
                grid = grid.scaled(np.where(sums[:, 1] > 0, sums[:, 1] / sums[:, 2], grid.scales))
    return best


def _assessed(section: Section, grid: Grid) -> NDArray[np.float64]:
    """For each group the squared error of rounding, and the sums that tell the best scale."""
    totals, sums = np.zeros((grid.scales.size, 3)), np.empty((grid.scales.size, 3))
    for _, values in section.parts():
        kernels.quantization.assess(values, grid.scales, grid.zeros, grid.low, grid.high, sums)
        totals += sums
    return totals
