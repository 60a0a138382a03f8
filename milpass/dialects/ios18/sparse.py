"""Pruned weights: one operation makes values of what is stored under the mask, the last one spreads them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from milpass.dialects.base import Operands, value
from milpass.dialects.ios16 import spread, under_mask
from milpass.dialects.ios18.dense import (
    check_blocks,
    dtype_of,
    read_nested,
    read_scales,
    scale_operands,
    table_operands,
)
from milpass.dialects.values import array_of, packed, stored, unpacked, values_under
from milpass.encodings import Affine, Dense, Indices, Lut, Sparse
from milpass.encodings.dense import STORED
from milpass.records import Record, Result, Value


def spell_sparse(sparse: Sparse) -> Record:
    """A `constexpr_sparse_to_dense` with a mask of one-bit elements, over values or what makes them."""
    mask = packed(sparse.mask)
    if isinstance(sparse.inner, Dense):
        values: Value | Result = values_under(sparse.mask, sparse.inner.array)
        operands: dict[str, Value | Result] = {"nonzero_data": values, "mask": mask}
    else:
        under = _SPELLS[sparse.inner.kind](sparse, mask)
        values = under.result()
        operands = {"nonzero_data": values, "mask": under.result(0)}
    return Record("constexpr_sparse_to_dense", "inputs", dtype_of(values), sparse.shape, operands)


def _chosen(sparse: Sparse) -> NDArray[np.bool_]:
    chosen: NDArray[np.bool_] = sparse.mask.array() != 0
    return chosen


def _spell_lut(sparse: Sparse, mask: Value) -> Record:
    """A `constexpr_lut_to_sparse`: the indices under the mask, and the tables."""
    lut = sparse.inner
    assert isinstance(lut, Lut) and lut.vector_axis is None
    chosen = Indices.of(lut.indices.array()[_chosen(sparse)], lut.indices.nbits)
    operands = {"indices_mask": mask, "indices_nonzero_data": packed(chosen), **table_operands(lut)}
    return _sparse_record("constexpr_lut_to_sparse", dtype_of(operands["lut"]), operands, mask, chosen.size)


def _spell_affine(sparse: Sparse, mask: Value) -> Record:
    """A `constexpr_sparse_blockwise_shift_scale`: the numbers under the mask, scales and offsets."""
    affine = sparse.inner
    assert isinstance(affine, Affine) and isinstance(affine.inner, Dense)
    numbers = stored(Dense(affine.inner.array[_chosen(sparse)], affine.inner.dtype))
    scales = scale_operands(affine, numbers.dtype)
    operands = {"data_mask": mask, "nonzero_data": numbers, **scales}
    dtype = STORED[affine.scale.dtype.name]
    return _sparse_record("constexpr_sparse_blockwise_shift_scale", dtype, operands, mask, numbers.shape[0])


def _sparse_record(
    op_type: str, dtype: str, operands: Mapping[str, Value | Result], mask: Value, count: int
) -> Record:
    """An operation that yields a mask and the values under it."""
    return Record(op_type, "inputs", dtype, (count,), operands, before=((mask.dtype, mask.shape),))


_SPELLS: dict[str, Callable[[Sparse, Value], Record]] = {"lut": _spell_lut, "affine": _spell_affine}


def read_sparse(record: Record, operands: Operands) -> Sparse:
    """The mask and the values of a `constexpr_sparse_to_dense`, or what makes them."""
    values = operands["nonzero_data"]
    if isinstance(values, Value):
        return under_mask(unpacked(value(operands, "mask")), values)
    under = values.record
    if under.op_type not in _READS:
        raise ValueError(f"values of a {under.op_type}")
    return _READS[under.op_type](under.operands)


def _read_lut(operands: Operands) -> Sparse:
    mask, chosen = (
        unpacked(value(operands, "indices_mask")),
        unpacked(value(operands, "indices_nonzero_data")),
    )
    table = read_nested(operands["lut"])
    if len(table.shape) != len(mask.shape) + 2 or table.shape[-2:] != (1 << chosen.nbits, 1):
        raise ValueError(f"a table of shape {table.shape} for a mask of {mask.shape}")
    check_blocks(table.shape[:-2], mask.shape)
    return Sparse(mask, Lut(Indices.of(spread(mask, chosen.array().reshape(-1)), chosen.nbits), table))


def _read_affine(operands: Operands) -> Sparse:
    mask, numbers = unpacked(value(operands, "data_mask")), value(operands, "nonzero_data")
    whole = Dense(spread(mask, array_of(numbers).reshape(-1)), numbers.dtype)
    return Sparse(mask, Affine(whole, *read_scales(operands, mask.shape)))


_READS: dict[str, Callable[[Operands], Sparse]] = {
    "constexpr_lut_to_sparse": _read_lut,
    "constexpr_sparse_blockwise_shift_scale": _read_affine,
}
