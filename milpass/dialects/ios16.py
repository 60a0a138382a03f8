"""The constexpr operations of Core ML's iOS16 opset: operands are attributes, one level, flat tables.

Source: `constexpr_ops` of coremltools' iOS16 operation definitions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

import numpy as np

from milpass.dialects.base import Dialect, Fit
from milpass.encodings import Dense, Encoding, Indices, Lut
from milpass.records import Record, Value

# encoding -> the numbers of bits that the format can say
LEGAL: dict[str, tuple[int, ...]] = {"lut": (1, 2, 4, 6, 8)}

FLOATS = {"float16": "fp16", "float32": "fp32"}


def _spell_lut(lut: Encoding) -> Record:
    """A `constexpr_lut_to_dense` with packed indices, flat table and shape."""
    assert isinstance(lut, Lut) and isinstance(lut.inner, Dense)
    packed = lut.indices.packed()
    table = lut.inner.array.reshape(-1)
    shape = np.array(lut.shape, np.uint32)
    dtype = FLOATS[table.dtype.name]
    operands = {
        "indices": Value("uint8", packed.shape, packed),
        "lut": Value(dtype, table.shape, table),
        "shape": Value("uint32", shape.shape, shape),
    }
    return Record("constexpr_lut_to_dense", "attributes", dtype, lut.shape, operands)


def _read_lut(operands: dict[str, Value]) -> Lut:
    """The table and the indices of a `constexpr_lut_to_dense`."""
    table, packed = operands["lut"].data, operands["indices"].data
    shape = tuple(int(n) for n in operands["shape"].data)
    nbits = max(int(table.size).bit_length() - 1, 0)
    if nbits not in LEGAL["lut"] or 1 << nbits != table.size or packed.size != -(-prod(shape) * nbits // 8):
        raise ValueError(f"a table of {table.size} entries with {packed.size} bytes of indices")
    indices = Indices.unpacked(packed, shape, nbits)
    return Lut(indices, Dense(table.reshape((1,) * len(shape) + (-1, 1))))


SPELL: dict[str, Callable[[Encoding], Record]] = {"lut": _spell_lut}

READ: dict[str, Callable[[dict[str, Value]], Encoding]] = {"constexpr_lut_to_dense": _read_lut}


class IOS16(Dialect):
    """Spells for programs of the iOS16 opset."""

    def refuse(self, fits: Sequence[Fit]) -> str | None:
        """Why iOS16 cannot hold a chain of fits, None where it can."""
        if len(fits) != 1:
            return "iOS16 holds one encoding a weight, not one inside another"
        fit = fits[0]
        legal = LEGAL.get(fit.encoding, ())
        if fit.nbits in legal:
            return None
        return f"iOS16 has no {fit.encoding} of {fit.nbits} bits: {', '.join(map(str, legal))}"

    def nbytes(self, fits: Sequence[Fit], size: int, itemsize: int) -> int:
        """The bytes of the indices and the table."""
        nbits = fits[0].nbits
        assert nbits is not None
        return -(-size * nbits // 8) + (itemsize << nbits)

    def spell(self, encoding: Encoding) -> Record:
        """The operation that stores an encoding."""
        return SPELL[encoding.kind](encoding)

    def read(self, record: Record) -> Encoding:
        """The encoding that an operation stores; raises `ValueError` for one that is not of this format."""
        if record.op_type not in READ:
            raise ValueError(f"{record.op_type} is not read yet")
        return READ[record.op_type](
            {name: value for name, value in record.operands.items() if isinstance(value, Value)}
        )
