"""How the layers of neural networks store weights: packed numbers with a table, or with scales and biases.

Numbers are packed most significant bit first.  There is one table for a weight; scales and biases are for a
weight or for each of its output channels, and w = scale * number + bias.
Source: `WeightParams` of Core ML's NeuralNetwork.proto, and what coremltools' `quantization_utils` writes.
"""

from __future__ import annotations

from math import prod

import numpy as np
from numpy.typing import NDArray

from milpass.dialects.base import Dialect, Operands, value
from milpass.dialects.ios16 import one_table
from milpass.dialects.values import array_of, number, octets, plain, spell_dense
from milpass.encodings import Affine, Cast, Dense, Indices, Lut
from milpass.links import Link
from milpass.records import Record, Value

# encoding -> the numbers of bits that the format can say
LEGAL: dict[str, tuple[int, ...]] = {
    "dense": (),
    "lut": tuple(range(1, 9)),
    "affine": tuple(range(1, 9)),
    "cast": (),
}


def _packed(indices: Indices) -> dict[str, Value]:
    held = indices.packed(msb=True)
    return {
        "rawValue": Value("uint8", held.shape, held),
        "numberOfBits": plain(np.array(indices.nbits, np.int32)),
    }


def _unpacked(record: Record, operands: Operands) -> Indices:
    nbits, data = number(value(operands, "numberOfBits")), octets(value(operands, "rawValue"))
    wanted = -(-prod(record.shape) * nbits // 8)
    if not 1 <= nbits <= 8 or data.size < wanted:
        raise ValueError(f"{data.size} bytes of numbers of {nbits} bits")
    return Indices.unpacked(data[:wanted], record.shape, nbits, msb=True)


def _spell_lut(lut: Lut) -> Record:
    """Packed indices and a flat table."""
    assert isinstance(lut.inner, Dense)
    table = plain(lut.inner.array.reshape(-1).astype(np.float32, copy=False))
    operands = {**_packed(lut.indices), "table": table}
    return Record("lookupTableQuantization", "attributes", "fp32", lut.shape, operands)


def _read_lut(record: Record, operands: Operands) -> Lut:
    """The table and the indices."""
    table, indices = array_of(value(operands, "table")), _unpacked(record, operands)
    if table.size != 1 << indices.nbits:
        raise ValueError(f"a table of {table.size} entries for {indices.nbits} bits")
    return Lut(indices, Dense(table.reshape((1,) * len(record.shape) + (-1, 1))))


def _spell_affine(affine: Affine) -> Record:
    """Packed numbers, a scale and a bias for the weight or for each channel."""
    assert isinstance(affine.inner, Dense)
    if affine.inner.dtype == "int8" and affine.offset is None and affine.bias is None:
        return _spell_int8(affine, affine.inner)
    numbers, nbits = affine.inner.array, int(affine.inner.dtype.removeprefix("u").removeprefix("int"))
    low = 0 if affine.inner.dtype.startswith("u") else -1 << (nbits - 1)
    axes = [axis for axis, count in enumerate(affine.scale.shape) if count > 1]
    assert len(axes) <= 1
    operands = {
        **_packed(Indices.of((numbers.astype(np.int16) - low).astype(np.uint8) if low else numbers, nbits)),
        "scale": plain(affine.scale.reshape(-1)),
        "bias": plain(_biases(affine, low).reshape(-1)),
        "axis": plain(np.array(axes[0] if axes else 0, np.int32)),
    }
    return Record("linearQuantization", "attributes", "fp32", affine.shape, operands)


def _spell_int8(affine: Affine, inner: Dense) -> Record:
    """Whole numbers and one scale, of a layer that rounds its input to whole numbers, too."""
    operands = {
        "int8RawValue": plain(inner.array),
        "numberOfBits": plain(np.array(8, np.int32)),
        "scale": plain(affine.scale.reshape(-1)),
    }
    return Record("int8RawValue", "attributes", "fp32", affine.shape, operands)


def _biases(affine: Affine, low: int) -> NDArray[np.float32]:
    """What stands for the number 0: of offsets in float64, until they become a bias."""
    if affine.bias is not None and affine.offset is None and not low:
        return affine.bias.astype(np.float32, copy=False)
    scale = affine.scale.astype(np.float64)
    bias = np.zeros_like(scale) if affine.bias is None else affine.bias.astype(np.float64)
    if affine.offset is not None:
        bias = bias - scale * affine.offset.astype(np.float64)
    return (bias + scale * low).astype(np.float32)


def _read_affine(record: Record, operands: Operands) -> Affine:
    """The numbers, scales and biases."""
    scale, bias = array_of(value(operands, "scale")), array_of(value(operands, "bias"))
    indices = _unpacked(record, operands)
    lengths = _along(record, operands, scale.size)
    if bias.size not in (0, scale.size):
        raise ValueError(f"{scale.size} scales and {bias.size} biases")
    held = Dense(indices.array(), f"uint{indices.nbits}")
    return Affine(held, scale.reshape(lengths), bias=bias.reshape(lengths) if bias.size else None)


def _along(record: Record, operands: Operands, count: int) -> list[int]:
    """The shape of so many scales: one for the weight, or one for each place along its channels' axis."""
    lengths = [1] * len(record.shape)
    if count == 1:
        return lengths
    axis = number(value(operands, "axis")) if "axis" in operands else None
    if axis is None or not 0 <= axis < len(lengths) or record.shape[axis] != count:
        raise ValueError(f"{count} scales for the shape {record.shape}")
    lengths[axis] = count
    return lengths


def _read_int8(record: Record, operands: Operands) -> Affine:
    """The numbers and the scale."""
    held, scale = array_of(value(operands, "int8RawValue")), array_of(value(operands, "scale"))
    return Affine(
        Dense(held.reshape(record.shape), "int8"), scale.reshape(_along(record, operands, scale.size))
    )


def _spell_cast(cast: Cast) -> Record:
    """Half precision."""
    assert isinstance(cast.inner, Dense)
    return Record("float16Value", "attributes", "fp32", cast.shape, {"float16Value": plain(cast.inner.array)})


def _read_cast(record: Record, operands: Operands) -> Cast:
    """The values in half precision."""
    held = array_of(value(operands, "float16Value"))
    return Cast(Dense(held.reshape(record.shape)), "fp32")


def _numbers_of_rounded_inputs(link: Link) -> str | None:
    """Bytes with one scale."""
    if not link.rounds_inputs or (link.nbits == 8 and set(link.groups) <= {1}):
        return None
    return f"8 bits and one scale where a layer rounds its input, not {link.nbits} and {prod(link.groups)}"


def _scales_of_channels(link: Link) -> str | None:
    """Scales for the weight, or for each of its output channels."""
    if link.encoding != "affine" or set(link.groups) <= {1}:
        return None
    channels = tuple(n if axis == link.axis else 1 for axis, n in enumerate(link.shape))
    if link.groups == channels:
        return None
    return f"scales for a weight or for its output channels, not {link.groups} for {link.shape}"


NEURAL_NETWORK = Dialect(
    "NeuralNetwork",
    spells={"dense": spell_dense, "lut": _spell_lut, "affine": _spell_affine, "cast": _spell_cast},
    reads={
        "lookupTableQuantization": _read_lut,
        "linearQuantization": _read_affine,
        "float16Value": _read_cast,
        "int8RawValue": _read_int8,
    },
    legal=LEGAL,
    rules=(one_table, _numbers_of_rounded_inputs, _scales_of_channels),
    has_biases=True,
    one_type_a_layer=True,
    rounding=frozenset({"innerProduct.weights", "batchedMatmul.weights"}),
)
