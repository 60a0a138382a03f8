"""A weight's groups as the rows of a matrix, and back."""

from __future__ import annotations

from functools import cache
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from milpass import kernels


def split(array: NDArray[Any], groups: tuple[int, ...]) -> NDArray[Any]:
    """A row for each group, in row-major order of both groups and their elements; shape (groups, size)."""
    count = prod(groups)
    return np.ascontiguousarray(
        array.reshape(_folded(array.shape, groups)).transpose(_order(array.ndim))
    ).reshape(count, array.size // max(count, 1))


def joined(rows: NDArray[Any], shape: tuple[int, ...], groups: tuple[int, ...]) -> NDArray[Any]:
    """The weight of `shape` whose groups are rows: the inverse of `split`."""
    folded = _folded(shape, groups)
    apart = rows.reshape((*folded[::2], *folded[1::2]))
    return np.ascontiguousarray(apart.transpose(np.argsort(_order(len(shape))))).reshape(shape)


def widened(rows: NDArray[Any]) -> NDArray[np.float32]:
    """fp16 as fp32; other types as they are."""
    if rows.dtype != np.float16:
        return rows.astype(np.float32, copy=False)
    values = np.empty(rows.shape, np.float32)
    kernels.quantization.widen(rows.view(np.uint16).reshape(-1), floats(), values.reshape(-1))
    return values


@cache
def floats() -> NDArray[np.float32]:
    """The values of all 65,536 patterns of fp16."""
    return np.arange(1 << 16, dtype=np.uint16).view(np.float16).astype(np.float32)


def _folded(shape: tuple[int, ...], groups: tuple[int, ...]) -> tuple[int, ...]:
    """Each axis as two: groups, and places in a group."""
    pairs = ((count, length // max(count, 1)) for count, length in zip(groups, shape, strict=True))
    return tuple(n for pair in pairs for n in pair)


def _order(rank: int) -> tuple[int, ...]:
    return (*range(0, 2 * rank, 2), *range(1, 2 * rank, 2))
