"""The types of stored values: their names in MIL, in weight files, and in numpy."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class StoredType(NamedTuple):
    """A type by milpass' name: MIL's `DataType`, the code in weight files, bits an element, numpy's type.

    `immediate` is the field of `TensorValue` that holds it inside the model file.
    """

    mil: str
    code: int
    bits: int
    numpy: str | None
    immediate: str


# Codes are those of `BlobDataType` in coremltools' MILBlob; 0 where weight files cannot hold the type.
TYPES: dict[str, StoredType] = {
    "fp16": StoredType("FLOAT16", 1, 16, "<f2", "bytes"),
    "fp32": StoredType("FLOAT32", 2, 32, "<f4", "floats"),
    "fp64": StoredType("FLOAT64", 0, 64, "<f8", "doubles"),
    "bf16": StoredType("BFLOAT16", 5, 16, None, "bytes"),
    "uint8": StoredType("UINT8", 3, 8, "|u1", "bytes"),
    "int8": StoredType("INT8", 4, 8, "|i1", "bytes"),
    "int16": StoredType("INT16", 6, 16, "<i2", "ints"),
    "uint16": StoredType("UINT16", 7, 16, "<u2", "ints"),
    "int4": StoredType("INT4", 8, 4, None, "bytes"),
    "uint1": StoredType("UINT1", 9, 1, None, "bytes"),
    "uint2": StoredType("UINT2", 10, 2, None, "bytes"),
    "uint4": StoredType("UINT4", 11, 4, None, "bytes"),
    "uint3": StoredType("UINT3", 12, 3, None, "bytes"),
    "uint6": StoredType("UINT6", 13, 6, None, "bytes"),
    "int32": StoredType("INT32", 14, 32, "<i4", "ints"),
    "uint32": StoredType("UINT32", 15, 32, "<u4", "bytes"),
}

FLOATS = ("fp16", "bf16", "fp32", "fp64")

# Values of ten elements or more go to a weight file, but for text and, up to iOS17, some integers: as
# coremltools writes them.
FEWEST_IN_FILE = 10
NEVER_IN_FILES = ("string", "fp64")
IN_FILES_FROM_IOS18 = ("uint16", "int16", "uint32", "int32")


def is_for_file(dtype: str, size: int, *, attribute: bool) -> bool:
    """Whether an operand of `size` elements goes to a weight file; those that are attributes are iOS16's."""
    late = dtype in IN_FILES_FROM_IOS18 and attribute
    return size >= FEWEST_IN_FILE and not late and dtype not in NEVER_IN_FILES


def padding(dtype: str, size: int) -> int:
    """The bits by which `size` elements fall short of whole bytes."""
    return -size * TYPES[dtype].bits % 8


def nbytes(dtype: str, size: int) -> int:
    """The bytes that `size` elements take."""
    return -(-size * TYPES[dtype].bits // 8)


def numpy_type(dtype: str) -> np.dtype[np.generic]:
    """The numpy type of the stored bytes: uint8 for types that numpy does not have."""
    return np.dtype(TYPES[dtype].numpy or "|u1")
