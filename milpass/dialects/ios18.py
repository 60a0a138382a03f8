"""The constexpr operations of Core ML's iOS18 opset: operands are inputs, tables in groups, narrow types.

Source: `compression` of coremltools' iOS18 operation definitions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from attrs import evolve
from numpy.typing import NDArray

from milpass.dialects.base import Dialect
from milpass.dialects.ios16 import IOS16, read_cast, spell_cast, under_mask
from milpass.dialects.values import array_of, dense, packed, plain, stored, unpacked
from milpass.encodings import Affine, Cast, Dense, Encoding, Lut, Sparse
from milpass.encodings.dense import STORED
from milpass.records import Record, Value

# encoding -> the numbers of bits that the format can say
LEGAL: dict[str, tuple[int, ...]] = {"lut": (1, 2, 3, 4, 6, 8)}


def _spell_lut(lut: Lut) -> Record:
    """A `constexpr_lut_to_dense` with a tensor of narrow indices and a table of two axes more."""
    table = stored(lut.inner)
    operands = {"indices": packed(lut.indices), "lut": table}
    if lut.vector_axis is not None:
        operands["vector_axis"] = plain(np.array(lut.vector_axis, np.int32))
    return Record("constexpr_lut_to_dense", "inputs", table.dtype, lut.shape, operands)


def _read_lut(record: Record, operands: Mapping[str, Value]) -> Lut:
    """The tables and the indices of a `constexpr_lut_to_dense`."""
    indices, table = unpacked(operands["indices"]), dense(operands["lut"])
    *groups, entries, vector = table.shape
    if len(groups) != len(indices.shape) or entries != 1 << indices.nbits:
        raise ValueError(f"a table of shape {table.shape} for {indices.nbits}-bit indices of {indices.shape}")
    _check_blocks(tuple(groups), indices.shape)
    axis = int(operands["vector_axis"].data[0]) if "vector_axis" in operands and vector > 1 else None
    if (axis is None) != (vector == 1):
        raise ValueError(f"vectors of {vector} without their axis")
    return Lut(indices, table, axis if axis is None else axis % len(indices.shape))


def _spell_affine(affine: Affine) -> Record:
    """A `constexpr_blockwise_shift_scale`."""
    operands = {"data": stored(affine.inner), "scale": plain(affine.scale)}
    if affine.offset is not None:
        operands["offset"] = _like(operands["data"], affine.offset)
    dtype = STORED[affine.scale.dtype.name]
    return Record("constexpr_blockwise_shift_scale", "inputs", dtype, affine.shape, operands)


def _like(data: Value, offset: NDArray[Any]) -> Value:
    """Offsets as an operand: of the data's type, unless they are floating-point."""
    if offset.dtype.kind == "f":
        return plain(offset)
    return stored(Dense(offset, data.dtype))


def _read_affine(record: Record, operands: Mapping[str, Value]) -> Affine:
    """The values, scales and offsets of a `constexpr_blockwise_shift_scale`."""
    data, scale = dense(operands["data"]), array_of(operands["scale"])
    offset = array_of(operands["offset"]) if "offset" in operands else None
    _check_blocks(scale.shape, data.shape)
    if offset is not None and offset.shape != scale.shape:
        raise ValueError(f"offsets of shape {offset.shape} with scales of shape {scale.shape}")
    return Affine(data, scale, offset)


def _check_blocks(blocks: tuple[int, ...], shape: tuple[int, ...]) -> None:
    if len(blocks) != len(shape) or any(
        n == 0 or length % n for n, length in zip(blocks, shape, strict=True)
    ):
        raise ValueError(f"parameters of shape {blocks} for values of shape {shape}")


def _spell_sparse(sparse: Sparse) -> Record:
    """A `constexpr_sparse_to_dense` with a mask of one-bit elements."""
    values = plain(sparse.inner.decode()[sparse.mask.array() != 0])
    operands = {"nonzero_data": values, "mask": packed(sparse.mask)}
    return Record("constexpr_sparse_to_dense", "inputs", values.dtype, sparse.shape, operands)


def _read_sparse(record: Record, operands: Mapping[str, Value]) -> Sparse:
    """The mask and the values of a `constexpr_sparse_to_dense`."""
    return under_mask(unpacked(operands["mask"]), operands["nonzero_data"])


def _spell_cast(cast: Cast) -> Record:
    """A `constexpr_cast`, its operands as inputs."""
    return evolve(spell_cast(cast), placement="inputs")


def _read_affine_of_ios16(record: Record, operands: Mapping[str, Value]) -> Encoding:
    """A `constexpr_affine_dequantize`, which iOS18 still has as it was."""
    return IOS16.reads[record.op_type](record, operands)


IOS18 = Dialect(
    "iOS18",
    spells={"lut": _spell_lut, "affine": _spell_affine, "sparse": _spell_sparse, "cast": _spell_cast},
    reads={
        "constexpr_lut_to_dense": _read_lut,
        "constexpr_blockwise_shift_scale": _read_affine,
        "constexpr_affine_dequantize": _read_affine_of_ios16,
        "constexpr_sparse_to_dense": _read_sparse,
        "constexpr_cast": read_cast,
    },
    legal=LEGAL,
)
IOS26 = evolve(IOS18, name="iOS26")
