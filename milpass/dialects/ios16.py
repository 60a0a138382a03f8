"""The constexpr operations of Core ML's iOS16 opset: operands are attributes, one level, flat tables.

iOS17 spells as iOS16 does.  Source: `constexpr_ops` of coremltools' iOS16 operation definitions.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from attrs import evolve
from numpy.typing import NDArray

from milpass.dialects.base import Dialect, Operands, value
from milpass.dialects.values import (
    array_of,
    dense,
    number,
    numbers,
    octets,
    packed_bytes,
    plain,
    spell_dense,
    stored,
    text,
    values_under,
)
from milpass.encodings import Affine, Cast, Dense, Indices, Lut, Sparse
from milpass.encodings.dense import STORED
from milpass.links import Link
from milpass.paging import let_go, scratch
from milpass.records import Record, Value

# encoding -> the numbers of bits that the format can say
LEGAL: dict[str, tuple[int, ...]] = {
    "dense": (),
    "lut": (1, 2, 4, 6, 8),
    "affine": (8,),
    "sparse": (),
    "cast": (),
}


def _shape(shape: tuple[int, ...]) -> Value:
    return plain(np.array(shape, np.uint32))


def _spell_lut(lut: Lut) -> Record:
    """A `constexpr_lut_to_dense` with packed indices, flat table and shape."""
    assert isinstance(lut.inner, Dense)
    table = plain(lut.inner.array.reshape(-1))
    operands = {"indices": packed_bytes(lut.indices), "lut": table, "shape": _shape(lut.shape)}
    return Record("constexpr_lut_to_dense", "attributes", table.dtype, lut.shape, operands)


def _read_lut(record: Record, operands: Operands) -> Lut:
    """The table and the indices of a `constexpr_lut_to_dense`."""
    table, packed = array_of(value(operands, "lut")).reshape(-1), octets(value(operands, "indices"))
    shape = numbers(value(operands, "shape"))
    nbits = max(int(table.size).bit_length() - 1, 0)
    if nbits not in LEGAL["lut"] or 1 << nbits != table.size or packed.size != -(-prod(shape) * nbits // 8):
        raise ValueError(f"a table of {table.size} entries with {packed.size} bytes of indices")
    indices = Indices.unpacked(packed, shape, nbits)
    return Lut(indices, Dense(table.reshape((1,) * len(shape) + (-1, 1))))


def _spell_affine(affine: Affine) -> Record:
    """A `constexpr_affine_dequantize`: scale and zero point for the tensor, or for each place on an axis."""
    offset = np.zeros(affine.scale.shape, np.int8) if affine.offset is None else affine.offset
    axes = [axis for axis, count in enumerate(affine.scale.shape) if count > 1]
    assert len(axes) <= 1
    flat = (-1,) if axes else ()
    operands = {
        "quantized_data": stored(affine.inner),
        "scale": plain(affine.scale.reshape(flat)),
        "zero_point": plain(offset.reshape(flat)),
        "axis": plain(np.array(axes[0] if axes else 0, np.int32)),
    }
    dtype = STORED[affine.scale.dtype.name]
    return Record("constexpr_affine_dequantize", "attributes", dtype, affine.shape, operands)


def _read_affine(record: Record, operands: Operands) -> Affine:
    """The values, scales and zero points of a `constexpr_affine_dequantize`."""
    data = dense(value(operands, "quantized_data"))
    rank = len(data.shape)
    axis = number(value(operands, "axis"))
    if not -rank <= axis < max(rank, 1):
        raise ValueError(f"axis {axis} of a tensor of rank {rank}")
    scale, zero = array_of(value(operands, "scale")), array_of(value(operands, "zero_point"))
    lengths = [1] * rank
    if rank and (scale.size > 1 or zero.size > 1):
        lengths[axis] = data.shape[axis]
    if {scale.size, zero.size} - {1, prod(lengths)}:
        raise ValueError(f"{scale.size} scales and {zero.size} zero points along axis {axis}")
    whole = [np.broadcast_to(a.reshape(-1), (prod(lengths),)).reshape(lengths) for a in (scale, zero)]
    return Affine(data, *whole)


def _spell_sparse(sparse: Sparse) -> Record:
    """A `constexpr_sparse_to_dense`: the values under the mask, the packed mask, the shape."""
    values = values_under(sparse.mask, sparse.inner.decode())
    operands = {"nonzero_data": values, "mask": packed_bytes(sparse.mask), "shape": _shape(sparse.shape)}
    return Record("constexpr_sparse_to_dense", "attributes", values.dtype, sparse.shape, operands)


def _read_sparse(record: Record, operands: Operands) -> Sparse:
    """The mask and the values of a `constexpr_sparse_to_dense`."""
    shape, packed = numbers(value(operands, "shape")), octets(value(operands, "mask"))
    if packed.size != -(-prod(shape) // 8):
        raise ValueError(f"{packed.size} bytes of mask for the shape {shape}")
    return under_mask(Indices.unpacked(packed, shape, 1), value(operands, "nonzero_data"))


def under_mask(mask: Indices, values: Value) -> Sparse:
    """A sparse encoding of the values where the mask is set."""
    return Sparse(mask, Dense(spread(mask, array_of(values).reshape(-1)), values.dtype))


def spread(mask: Indices, values: NDArray[Any]) -> NDArray[Any]:
    """Values in the places of their mask, zeros elsewhere."""
    count = mask.count()
    if count != values.size:
        raise ValueError(f"{values.size} values under a mask of {count}")
    whole, at, used = scratch(mask.size, values.dtype), 0, 0
    for marks in mask.parts():
        part, number = whole[at : at + marks.size], int(np.count_nonzero(marks))
        part[...] = 0
        part[marks != 0] = values[used : used + number]
        let_go(whole, part)
        let_go(values, values[used : used + number])
        at, used = at + marks.size, used + number
    found: NDArray[Any] = whole.reshape(mask.shape)
    return found


def spell_cast(cast: Cast) -> Record:
    """A `constexpr_cast` to fp32."""
    operands = {"source_val": stored(cast.inner), "output_dtype": text(cast.dtype)}
    return Record("constexpr_cast", "attributes", cast.dtype, cast.shape, operands)


def read_cast(record: Record, operands: Operands) -> Cast:
    """The values of a `constexpr_cast`."""
    wanted = value(operands, "output_dtype").data
    if wanted.tolist() not in (["fp16"], ["fp32"]):
        raise ValueError(f"a cast to {wanted.tolist()!r}")
    return Cast(dense(value(operands, "source_val")), str(wanted[0]))


def one_table(link: Link) -> str | None:
    """No groups of tables, no vectors."""
    if link.encoding != "lut" or (prod(link.groups) == 1 and link.vector == 1):
        return None
    if link.vector > 1:
        return "no tables of vectors; iOS18 has"
    return f"one table for a weight, not {prod(link.groups)}; iOS18 has several"


def _scales_along_one_axis(link: Link) -> str | None:
    """Scales for the tensor or for each place along one axis."""
    counts = [(n, length) for n, length in zip(link.groups, link.shape, strict=True) if n > 1]
    if link.encoding != "affine" or not counts or counts == [(counts[0][1],) * 2]:
        return None
    return f"scales for a tensor or a channel, not {link.groups} for {link.shape}; iOS18 has blocks"


IOS16 = Dialect(
    "iOS16",
    spells={
        "dense": spell_dense,
        "lut": _spell_lut,
        "affine": _spell_affine,
        "sparse": _spell_sparse,
        "cast": spell_cast,
    },
    reads={
        "constexpr_lut_to_dense": _read_lut,
        "constexpr_affine_dequantize": _read_affine,
        "constexpr_sparse_to_dense": _read_sparse,
        "constexpr_cast": read_cast,
    },
    legal=LEGAL,
    rules=(one_table, _scales_along_one_axis),
    always_offset=True,
)
IOS17 = evolve(IOS16, name="iOS17")
