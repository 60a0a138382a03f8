"""Whole numbers with scales and zero points: ranges, rounding, and what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from attrs import evolve, frozen
from numpy.typing import NDArray

from milpass import kernels
from milpass.encodings import Affine, Dense
from milpass.fitting.fitted import Quality


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

    def row(self, number: int) -> Grid:
        """The grid of one row alone."""
        at = slice(number, number + 1)
        return evolve(self, scales=self.scales[at], zeros=self.zeros[at])

    def seen(self) -> NDArray[np.float32]:
        """What each code of each row stands for, computed in the weight's type; (rows, codes)."""
        numbers = np.arange(self.low, self.high + 1) - self.zeros[:, None]
        with np.errstate(over="ignore"):  # codes past the type's range, which no value gets
            products = self.scales.astype(np.float32)[:, None] * numbers.astype(np.float32)
            return products.astype(self.dtype).astype(np.float32)


def stored(scales: NDArray[np.float64], dtype: np.dtype[Any]) -> NDArray[np.float64]:
    """Scales as the weight's type holds them; where they would vanish, the least that does not."""
    info = np.finfo(dtype)
    bounded = np.clip(scales, float(info.smallest_subnormal), float(info.max))
    return bounded.astype(dtype).astype(np.float64)


def spanning(widths: NDArray[np.float64], steps: int, dtype: np.dtype[Any]) -> NDArray[np.float64]:
    """Scales by which so many steps span each width, to the type's precision.

    They are the nearest of the type; the next greater where it is coarse and steps would be missing, the next
    smaller where all steps would overflow it.
    """
    nearest = stored(widths / steps, dtype).astype(dtype)
    with np.errstate(over="ignore"):
        overflows = np.isinf(nearest * dtype.type(steps))
    short = nearest.astype(np.float64) * steps * (1 + float(np.finfo(dtype).eps)) < widths
    towards = np.where(overflows, 0, np.where(short, np.inf, nearest)).astype(dtype)
    with np.errstate(over="ignore"):
        scales: NDArray[np.float64] = np.nextafter(nearest, towards).astype(np.float64)
    return scales


def quantized(values: NDArray[np.float32], grid: Grid) -> NDArray[np.uint8]:
    """The code of each value less the lowest code; none that would overflow the weight's type."""
    codes = np.empty(values.shape, np.uint8)
    kernels.quantization.quantize(values, grid.scales, grid.zeros, grid.low, grid.high, codes)
    reach = grid.scales * np.maximum(grid.zeros - grid.low, grid.high - grid.zeros)
    for row in np.flatnonzero(reach > float(np.finfo(grid.dtype).max)).tolist():
        finite = np.flatnonzero(np.isfinite(grid.row(row).seen()[0]))
        codes[row] = np.clip(codes[row], finite[0], finite[-1])
    return codes


def errors(values: NDArray[np.float32], codes: NDArray[np.uint8], grid: Grid) -> NDArray[np.float64]:
    """For each row the squared error, the greatest error and the sum of squares; (rows, 3)."""
    found = np.empty((len(values), 3))
    kernels.quantization.compare(values, codes, grid.seen(), found)
    found[:, 1] = np.sqrt(found[:, 1])  # exactly the error that was squared
    return found


class Parameters(NamedTuple):
    """The scales and zero points of groups as they are stored: of the weight's type, and of the numbers'."""

    scales: NDArray[Any]
    zeros: NDArray[Any]

    @classmethod
    def of(cls, grid: Grid, kind: np.dtype[Any]) -> Parameters:
        """Those of a grid's rows."""
        return cls(grid.scales.astype(grid.dtype), grid.zeros.astype(kind))

    @classmethod
    def joined(cls, parts: Sequence[Parameters]) -> Parameters:
        """Those of several, one after the other."""
        scales, zeros = zip(*((each.scales, each.zeros) for each in parts), strict=True)
        return cls(np.concatenate(scales), np.concatenate(zeros))

    def part(self, first: int, last: int) -> Parameters:
        """Those of some groups."""
        return Parameters(self.scales[first:last], self.zeros[first:last])

    def grid(self, like: Grid) -> Grid:
        """The grid that they were made of, but for what it has in common with another."""
        return evolve(like, scales=self.scales.astype(np.float64), zeros=self.zeros.astype(np.float64))


def encoded(
    numbers: NDArray[Any], parameters: Parameters, name: str, groups: tuple[int, ...], *, has_offset: bool
) -> Affine:
    """The encoding of a weight of so many groups; `name` is the type of the numbers, such as "int4"."""
    offset = parameters.zeros.reshape(groups) if has_offset else None
    return Affine(Dense(numbers, name), parameters.scales.reshape(groups), offset)


def quality(found: NDArray[np.float64]) -> Quality:
    """The rows' errors together."""
    return Quality(float(found[:, 0].sum()), float(found[:, 1].max()), float(found[:, 2].sum()))
