"""Between the plain arrays of an encoding and the operands of an operation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
from attrs import evolve
from numpy.typing import NDArray

from milpass import packing
from milpass.encodings import Dense, Encoding, Indices
from milpass.encodings.dense import stored_name
from milpass.paging import let_go, scratch
from milpass.records import Pieces, Record, Value

# Indices from which on they are packed while they are written.
MANY = 1 << 25

# numpy's greatest number of axes before its second release.
MAX_RANK = 32
_INTEGER = re.compile(r"(u?)int([1-7])$")


def plain(array: NDArray[Any]) -> Value:
    """An array of a type that numpy has, as an operand."""
    array = np.asarray(array)
    return Value(stored_name(array.dtype), array.shape, array.reshape(-1))


def spell_dense(encoding: Dense) -> Record:
    """A plain constant, as every format has it: its values are an attribute."""
    value = plain(encoding.array)
    return Record("const", "attributes", value.dtype, value.shape, {"val": value})


def text(string: str) -> Value:
    """A string as an operand."""
    return Value("string", (), np.array([string]))


def stored(encoding: Encoding) -> Value:
    """A dense array as an operand, packed where its type is narrower than a byte."""
    assert isinstance(encoding, Dense)
    narrow = _INTEGER.match(encoding.dtype)
    if narrow is None:
        return plain(encoding.array)
    nbits = int(narrow[2])
    return evolve(packed(_unsigned(encoding.array, nbits)), dtype=encoding.dtype)


def _unsigned(array: NDArray[Any], nbits: int) -> Indices:
    """Whole numbers as those without a sign whose bits are the same."""
    flat, bits = np.ascontiguousarray(array).reshape(-1).view(np.uint8), np.uint8((1 << nbits) - 1)

    def part(start: int, stop: int) -> NDArray[np.uint8]:
        found = flat[start:stop] & bits
        let_go(flat, flat[start:stop])
        return found

    return Indices(array.shape, nbits, part)


def packed(indices: Indices) -> Value:
    """Indices as an operand of their own shape and narrow type."""
    return Value(f"uint{indices.nbits}", indices.shape, _octets(indices))


def packed_bytes(indices: Indices) -> Value:
    """Indices as a flat operand of bytes."""
    return Value("uint8", (indices.nbytes,), _octets(indices))


def _octets(indices: Indices) -> NDArray[np.uint8] | Pieces:
    """Packed at once, by the thread that fits, or while they are written where they are very many."""
    if indices.size < MANY:
        return indices.packed()
    return Pieces(indices.nbytes, indices.packed_parts)


def values_under(mask: Indices, array: NDArray[Any]) -> Value:
    """The values where a mask is set, in row-major order, as a flat operand."""
    flat = np.ascontiguousarray(array).reshape(-1)
    if mask.size < MANY:
        return plain(flat[mask.array().reshape(-1) != 0])
    count = mask.count()

    def pieces() -> Iterator[NDArray[Any]]:
        at = 0
        for marks in mask.parts():
            part = flat[at : at + marks.size]
            yield part[marks != 0]
            let_go(flat, part)
            at += marks.size

    return Value(stored_name(flat.dtype), (count,), Pieces(count * flat.itemsize, pieces))


def unpacked(value: Value) -> Indices:
    """The indices that an operand holds; raises `ValueError` where it is not of an unsigned type."""
    narrow = re.match(r"uint([1-8])$", value.dtype)
    if narrow is None:
        raise ValueError(f"indices of {value.dtype}")
    return Indices.unpacked(value.data.view(np.uint8), value.shape, int(narrow[1]))


def number(value: Value) -> int:
    """The whole number that an operand holds; raises `ValueError` where it is none."""
    (found,) = numbers(value, "one whole number") if value.data.size == 1 else (None,)
    if found is None:
        raise ValueError(f"{value.data.size} elements in place of one whole number")
    return found


def numbers(value: Value, what: str = "whole numbers") -> tuple[int, ...]:
    """The few whole numbers that an operand holds; raises `ValueError` where it holds something else."""
    if value.data.dtype.kind not in "iu" or value.data.size > MAX_RANK:
        raise ValueError(f"{value.data.size} elements of {value.dtype} in place of {what}")
    return tuple(int(each) for each in value.data)


def octets(value: Value) -> NDArray[np.uint8]:
    """The bytes that an operand holds packed numbers in; raises `ValueError` where it is of another type."""
    if value.dtype != "uint8":
        raise ValueError(f"packed numbers in {value.dtype}")
    return value.data


def array_of(value: Value) -> NDArray[Any]:
    """The array that an operand holds, of its shape; types narrower than a byte as (u)int8.

    Raises `ValueError` for text.
    """
    if value.data.dtype.kind not in "iuf" or value.dtype == "bf16":  # which numpy has not
        raise ValueError(f"{value.dtype} in place of numbers")
    narrow = _INTEGER.match(value.dtype)
    if narrow is None:
        return value.data.reshape(value.shape)
    nbits = int(narrow[2])
    indices = Indices.unpacked(value.data.view(np.uint8), value.shape, nbits)
    flat, at = scratch(indices.size, np.dtype(np.uint8 if narrow[1] else np.int8)), 0
    for part in indices.parts():
        flat[at : at + part.size] = part if narrow[1] else packing.signed(part, nbits)
        let_go(flat, flat[at : at + part.size])
        at += part.size
    return flat.reshape(value.shape)


def dense(value: Value) -> Dense:
    """An operand as a dense array."""
    return Dense(array_of(value), value.dtype)
