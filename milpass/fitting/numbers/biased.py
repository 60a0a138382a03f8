"""Whole numbers with a scale and a bias, as neural networks have them: w = scale * number + bias.

A channel of equal values has scale 0, and its bias is the value; no scale is too small.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from attrs import evolve, frozen
from numpy.typing import NDArray

from milpass import kernels
from milpass.encodings import Affine, Dense
from milpass.fitting.fitted import AffineOptions, FittedWeight, NotFittable, Quality, Terms
from milpass.fitting.measuring import measured
from milpass.fitting.numbers.quantization import quality, spanning
from milpass.fitting.numbers.ranges import PARTS, STEPS
from milpass.fitting.rows import joined, split, widened
from milpass.fitting.tables.distribution import check_filled, check_finite


@frozen(eq=False)
class Lines:
    """What the numbers up to `steps` stand for, for each row: scale * number + bias; (rows,) each, fp32."""

    steps: int
    scales: NDArray[np.float32]
    biases: NDArray[np.float32]

    @classmethod
    def between(cls, least: NDArray[np.float64], greatest: NDArray[np.float64], steps: int) -> Lines:
        """From the least value of each row to the greatest."""
        widths = greatest - least
        scales = np.where(widths > 0, spanning(widths, steps, np.dtype(np.float32)), 0)
        return cls(steps, scales.astype(np.float32), least.astype(np.float32))

    def numbers(self, values: NDArray[np.float32]) -> tuple[NDArray[np.uint8], Quality]:
        """The number that is nearest to each value, and how good they are."""
        numbers, found = np.empty(values.shape, np.uint8), np.empty((len(values), 3))
        kernels.quantization.quantize_biased(values, self.scales, self.biases, self.steps, numbers, found)
        found[:, 1] = np.sqrt(found[:, 1])
        return numbers, quality(found)

    def greatest(self) -> NDArray[np.float32]:
        """What the greatest number of each row stands for, computed as readers do; (rows,)."""
        with np.errstate(over="ignore", invalid="ignore"):
            found: NDArray[np.float32] = self.scales * np.float32(self.steps) + self.biases
            return found

    def improved(self, values: NDArray[np.float32]) -> tuple[Lines, NDArray[np.float64]]:
        """The best lines for the numbers that are nearest now, and the squared errors of these lines."""
        sums = np.empty((len(values), 5))
        scales, biases = self.scales.astype(np.float64), self.biases.astype(np.float64)
        kernels.quantization.assess_biased(values, scales, biases, self.steps, sums)
        count = max(values.shape[1], 1)
        of_values, of_numbers, products, squares = sums[:, 1:].T
        spread = squares - of_numbers * of_numbers / count
        tilt = products - of_numbers * of_values / count
        better = np.where((spread > 0) & (tilt > 0), tilt / np.where(spread > 0, spread, 1), scales)
        least = np.where(better > 0, (of_values - better * of_numbers) / count, biases)
        return evolve(self, scales=better.astype(np.float32), biases=least.astype(np.float32)), sums[:, 0]

    def where(self, chosen: NDArray[np.bool_], other: Lines) -> Lines:
        """These lines in the chosen rows, others in the rest."""
        return evolve(
            self,
            scales=np.where(chosen, self.scales, other.scales),
            biases=np.where(chosen, self.biases, other.biases),
        )


def fit_biased(array: NDArray[Any], options: AffineOptions, terms: Terms) -> FittedWeight:
    """Fit a scale and a bias to each group."""
    assert options.nbits is not None
    check_filled(array)
    values = widened(split(array, terms.groups))
    least, greatest = values.min(axis=1).astype(np.float64), values.max(axis=1).astype(np.float64)
    if not (np.isfinite(least).all() and np.isfinite(greatest).all()):
        check_finite(array)
    steps = (1 << options.nbits) - 1
    lines = Lines.between(least, greatest, steps)
    if options.range == "mse":
        lines = _searched(values, least, greatest, lines)
    _check_range(lines.greatest())
    numbers, found = lines.numbers(values)
    held = Dense(joined(numbers, array.shape, terms.groups), f"uint{options.nbits}")
    scale, bias = (each.reshape(terms.groups) for each in (lines.scales, lines.biases))
    return FittedWeight(Affine(held, scale, bias=bias), found)


def with_bias(array: NDArray[Any], fitted: FittedWeight) -> FittedWeight:
    """The same numbers and scales with biases in the place of zero points, measured anew."""
    affine = fitted.encoding
    assert isinstance(affine, Affine) and isinstance(affine.inner, Dense) and affine.offset is not None
    scale = affine.scale.astype(np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        bias = -scale * affine.offset.astype(np.float32)
        _check_range(scale * np.float32(affine.inner.array.max()) + bias)
    encoding = Affine(affine.inner, scale, bias=bias)
    return FittedWeight(encoding, measured(array, encoding))


def _check_range(seen: NDArray[np.float32]) -> None:
    if not np.isfinite(seen).all():
        raise NotFittable("its values span more than fp32 holds")


def _searched(
    values: NDArray[np.float32], least: NDArray[np.float64], greatest: NDArray[np.float64], whole: Lines
) -> Lines:
    """From several parts of the range about the mean: round, take the best lines, round again."""
    means = values.mean(axis=1, dtype=np.float64)
    best, errors = whole, whole.improved(values)[1]
    for part in PARTS:
        low, high = (means + (end - means) * part for end in (least, greatest))
        lines = Lines.between(low, high, whole.steps)
        for _ in range(STEPS):
            following, found = lines.improved(values)
            best, errors = lines.where(found < errors, best), np.minimum(found, errors)
            lines = following
    return best
