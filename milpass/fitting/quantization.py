"""Whole numbers with scales and zero points: ranges, rounding, and what it costs."""

from __future__ import annotations

from typing import Any

import numpy as np
from attrs import evolve, frozen
from numpy.typing import NDArray

from milpass import kernels
from milpass.encodings import Affine, Dense
from milpass.fitting.fitted import Quality
from milpass.fitting.rows import joined


@frozen(eq=False)
class Grid:
    """What whole numbers of a type can stand for, for each row: scale * (code - zero), low <= code <= high.

    `scales` are numbers of the weight's type, kept in float64.
    """

    dtype: np.dtype[Any]
    low: int
    high: int
    scales: NDArray[np.float64]
    zeros: NDArray[np.float64]

    def scaled(self, scales: NDArray[np.float64]) -> Grid:
        """The same with other scales, rounded to the weight's type and never zero."""
        return evolve(self, scales=stored(scales, self.dtype))

    def where(self, chosen: NDArray[np.bool_], other: Grid) -> Grid:
        """This grid in the chosen rows, another in the rest."""
        return evolve(
            self,
            scales=np.where(chosen, self.scales, other.scales),
            zeros=np.where(chosen, self.zeros, other.zeros),
        )

    def seen(self) -> NDArray[np.float32]:
        """What each code of each row stands for, computed in the weight's type; (rows, codes)."""
        numbers = np.arange(self.low, self.high + 1) - self.zeros[:, None]
        products = self.scales.astype(np.float32)[:, None] * numbers.astype(np.float32)
        with np.errstate(over="ignore"):  # codes past the type's range, which no finite value gets
            return products.astype(self.dtype).astype(np.float32)


def stored(scales: NDArray[np.float64], dtype: np.dtype[Any]) -> NDArray[np.float64]:
    """Scales as the weight's type holds them; where they would vanish, the least that does not."""
    info = np.finfo(dtype)
    bounded = np.clip(scales, float(info.smallest_subnormal), float(info.max))
    return bounded.astype(dtype).astype(np.float64)


def quantized(values: NDArray[np.float32], grid: Grid) -> NDArray[np.uint8]:
    """The code of each value less the lowest code."""
    codes = np.empty(values.shape, np.uint8)
    kernels.quantization.quantize(values, grid.scales, grid.zeros, grid.low, grid.high, codes)
    return codes


def errors(values: NDArray[np.float32], codes: NDArray[np.uint8], grid: Grid) -> NDArray[np.float64]:
    """For each row the squared error, the greatest error and the sum of squares; (rows, 3)."""
    found = np.empty((len(values), 3))
    kernels.quantization.compare(values, codes, grid.seen(), found)
    return found


def encoded(
    codes: NDArray[np.uint8],
    grid: Grid,
    name: str,
    shape: tuple[int, ...],
    groups: tuple[int, ...],
    *,
    has_offset: bool,
) -> Affine:
    """The encoding of a weight whose groups are rows; `name` is the type of the numbers, such as "int4"."""
    kind = np.uint8 if name.startswith("u") else np.int8
    numbers = joined((codes + np.uint8(grid.low & 0xFF)).view(kind), shape, groups)
    scale = grid.scales.astype(grid.dtype).reshape(groups)
    offset = grid.zeros.astype(kind).reshape(groups) if has_offset else None
    return Affine(Dense(numbers, name), scale, offset)


def quality(found: NDArray[np.float64]) -> Quality:
    """The rows' errors together."""
    return Quality(float(found[:, 0].sum()), float(found[:, 1].max()), float(found[:, 2].sum()))
