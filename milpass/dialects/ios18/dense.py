"""Tables, scales and casts of dense weights: operands are inputs, tables in groups, narrow types."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from attrs import evolve
from numpy.typing import NDArray

from milpass.dialects.base import Operands, value
from milpass.dialects.ios16 import IOS16, spell_cast
from milpass.dialects.values import array_of, dense, number, packed, plain, stored, unpacked
from milpass.encodings import Affine, Cast, Dense, Encoding, Lut
from milpass.encodings.dense import STORED
from milpass.records import Record, Result, Value


def nested(encoding: Encoding) -> Value | Result:
    """What an operation decompresses: stored, or another operation's result."""
    return stored(encoding) if isinstance(encoding, Dense) else _SPELLS[encoding.kind](encoding).result()


def read_nested(operand: Value | Result) -> Encoding:
    """The inverse of `nested`; raises `ValueError` for an operation that may not stand there."""
    if isinstance(operand, Value):
        return dense(operand)
    record = operand.record
    if record.op_type not in _READS:
        raise ValueError(f"a {record.op_type} as an operand")
    return _READS[record.op_type](record, record.operands)


def dtype_of(operand: Value | Result) -> str:
    """The type of an operand's elements."""
    return operand.dtype if isinstance(operand, Value) else operand.record.dtype


def spell_lut(lut: Lut) -> Record:
    """A `constexpr_lut_to_dense` with a tensor of narrow indices and a table of two axes more."""
    operands = {"indices": packed(lut.indices), **table_operands(lut)}
    return Record("constexpr_lut_to_dense", "inputs", dtype_of(operands["lut"]), lut.shape, operands)


def table_operands(lut: Lut) -> dict[str, Value | Result]:
    """The tables, and the axis of their vectors."""
    operands = {"lut": nested(lut.inner)}
    if lut.vector_axis is not None:
        operands["vector_axis"] = plain(np.array(lut.vector_axis, np.int32))
    return operands


def read_lut(record: Record, operands: Operands) -> Lut:
    """The tables and the indices of a `constexpr_lut_to_dense`."""
    indices, table = unpacked(value(operands, "indices")), read_nested(operands["lut"])
    *groups, entries, vector = table.shape if len(table.shape) > 1 else (0, 0)
    if len(groups) != len(indices.shape) or entries != 1 << indices.nbits:
        raise ValueError(f"a table of shape {table.shape} for {indices.nbits}-bit indices of {indices.shape}")
    check_blocks(tuple(groups), indices.shape)
    axis = number(value(operands, "vector_axis")) if "vector_axis" in operands and vector > 1 else None
    if (axis is None) != (vector == 1):
        raise ValueError(f"vectors of {vector} without their axis")
    if axis is not None and not -len(groups) <= axis < len(groups):
        raise ValueError(f"vectors along axis {axis} of indices of shape {indices.shape}")
    return Lut(indices, table, axis if axis is None else axis % len(groups))


def spell_affine(affine: Affine) -> Record:
    """A `constexpr_blockwise_shift_scale`."""
    data = nested(affine.inner)
    operands = {"data": data, **scale_operands(affine, dtype_of(data))}
    dtype = STORED[affine.scale.dtype.name]
    return Record("constexpr_blockwise_shift_scale", "inputs", dtype, affine.shape, operands)


def scale_operands(affine: Affine, dtype: str) -> dict[str, Value | Result]:
    """Scales and offsets; these of the numbers' type, unless they are floating-point."""
    operands: dict[str, Value | Result] = {"scale": plain(affine.scale)}
    if affine.offset is not None:
        whole = affine.offset.dtype.kind != "f"
        operands["offset"] = stored(Dense(affine.offset, dtype)) if whole else plain(affine.offset)
    return operands


def read_affine(record: Record, operands: Operands) -> Affine:
    """The values, scales and offsets of a `constexpr_blockwise_shift_scale`."""
    data = read_nested(operands["data"])
    return Affine(data, *read_scales(operands, data.shape))


def read_scales(
    operands: Operands, shape: tuple[int, ...]
) -> tuple[NDArray[np.floating], NDArray[np.generic] | None]:
    """The scales and the offsets of numbers of a shape."""
    scale = array_of(value(operands, "scale"))
    offset = array_of(value(operands, "offset")) if "offset" in operands else None
    check_blocks(scale.shape, shape)
    if offset is not None and offset.shape != scale.shape:
        raise ValueError(f"offsets of shape {offset.shape} with scales of shape {scale.shape}")
    return scale, offset


def check_blocks(blocks: tuple[int, ...], shape: tuple[int, ...]) -> None:
    """Refuse parameters whose axes do not divide those of the values; raises `ValueError`."""
    if len(blocks) != len(shape) or any(
        n == 0 or length % n for n, length in zip(blocks, shape, strict=True)
    ):
        raise ValueError(f"parameters of shape {blocks} for values of shape {shape}")


def spell_cast_as_inputs(cast: Cast) -> Record:
    """A `constexpr_cast`, its operands as inputs."""
    return evolve(spell_cast(cast), placement="inputs")


def read_as_ios16(record: Record, operands: Operands) -> Encoding:
    """Operations that iOS18 still has as they were."""
    return IOS16.reads[record.op_type](record, operands)


# What may be nested in another operation.
_SPELLS: dict[str, Callable[[Any], Record]] = {"lut": spell_lut, "affine": spell_affine}
_READS: dict[str, Callable[[Record, Operands], Encoding]] = {
    "constexpr_lut_to_dense": read_lut,
    "constexpr_blockwise_shift_scale": read_affine,
}
