"""Quantized weights: whole numbers, a scale and an offset for each block of elements."""

from __future__ import annotations

from math import lcm
from typing import Any, ClassVar

import numpy as np
from attrs import cmp_using, field, frozen
from numpy.typing import NDArray

from milpass.encodings.base import Encoding, rows_of, together
from milpass.encodings.equality import same_bits


def _same_or_none(left: NDArray[Any] | None, right: NDArray[Any] | None) -> bool:
    return left is right or (left is not None and right is not None and same_bits(left, right))


@frozen
class Affine(Encoding):
    """w = scale * (inner - offset), or scale * inner + bias, computed in the dtype of the scale.

    `scale` and `offset` have the weight's rank and one shape, each length a divisor of the weight's: so many
    blocks lie along each axis.  `offset` is None (zero), of the inner's dtype, or floating-point; `bias`, of
    the scale's shape and dtype, is what neural networks have in its place: a scale may be zero beside it.
    Source: `constexpr_affine_dequantize` (iOS16) and `constexpr_blockwise_shift_scale` (iOS18) of Core ML;
    `LinearQuantizationParams` of its neural networks.
    """

    inner: Encoding
    scale: NDArray[Any] = field(eq=cmp_using(eq=same_bits))
    offset: NDArray[Any] | None = field(default=None, eq=cmp_using(eq=_same_or_none))
    bias: NDArray[Any] | None = field(default=None, eq=cmp_using(eq=_same_or_none))
    kind: ClassVar[str] = "affine"

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the quantized values."""
        return self.inner.shape

    def decode(self) -> NDArray[Any]:
        """The dequantized values; what a model holds may be NaN or infinite, or become so."""
        numbers, dtype = self.inner.decode(), self.scale.dtype
        with np.errstate(over="ignore", invalid="ignore"):
            wide = self._type_of_sums(numbers)
            values = numbers.astype(wide)
            if self.offset is not None:
                values -= self._spread(self.offset).astype(wide)
            values *= self._spread(self.scale).astype(wide)
            if self.bias is not None:
                values = values.astype(dtype, copy=False) + self._spread(self.bias)
            return values.astype(dtype, copy=False)

    def _type_of_sums(self, numbers: NDArray[Any]) -> np.dtype[Any]:
        """The scale's dtype; fp32 for fp16 where that rounds no earlier, and takes a quarter of the time.

        A difference of bytes is a whole number of nine bits, so its product with a scale fits fp32.
        """
        whole = all(each is None or each.dtype.kind in "iu" for each in (numbers, self.offset))
        is_exact = self.scale.dtype == np.float16 and numbers.dtype.itemsize == 1 and whole
        return np.dtype(np.float32) if is_exact else self.scale.dtype

    @property
    def end(self) -> NDArray[Any]:
        """The inner's."""
        return self.inner.end

    @property
    def step(self) -> int:
        """The rows of a block, and of what the inner has together."""
        return lcm(self.inner.step, together(self.scale.shape[0], self.shape[0]))

    def rows(self, start: int, stop: int) -> Affine:
        """The numbers of these rows with their scales and offsets."""
        scale, offset, bias = (
            None if each is None else rows_of(each, self.shape[0], start, stop)
            for each in (self.scale, self.offset, self.bias)
        )
        assert scale is not None
        return Affine(self.inner.rows(start, stop), scale, offset, bias)

    def _spread(self, parameters: NDArray[Any]) -> NDArray[Any]:
        """One parameter for each element along every axis that has more than one block."""
        for axis, (count, length) in enumerate(zip(parameters.shape, self.shape, strict=True)):
            if 1 < count < length:
                parameters = np.repeat(parameters, length // count, axis)
        return parameters
