"""Values of ML Programs: from protobuf messages to arrays and back."""

from __future__ import annotations

from functools import cache, lru_cache
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from milpass.records import Value
from milpass.targets import protobuf
from milpass.targets.mlpackage.blobs import Blob
from milpass.targets.storage import TYPES, nbytes, numpy_type

TEXT = "string"
# numpy's greatest number of axes before its second release; elements that no file could hold.
MAX_RANK = 32
MAX_SIZE = 1 << 48


@cache
def _names() -> dict[int, str]:
    """MIL's numbers of types -> milpass' names."""
    enumeration = protobuf.mil().DataType
    names = {enumeration.Value(stored.mil): name for name, stored in TYPES.items()}
    return {**names, enumeration.Value("STRING"): TEXT}


def tensor_type(value_type: Any) -> tuple[str, tuple[int, ...]] | None:
    """The dtype and shape of a tensor type, None for other types and for shapes that are not fixed.

    Raises `ValueError` for a shape that no array can have.
    """
    return _tensor_type(value_type.SerializeToString())


@lru_cache(maxsize=1024)
def _tensor_type(octets: bytes) -> tuple[str, tuple[int, ...]] | None:
    """The same for the bytes of a type: a program has few types, and states each again and again."""
    value_type = protobuf.mil().ValueType.FromString(octets)
    tensor = value_type.tensorType
    dtype = _names().get(tensor.dataType)
    if value_type.WhichOneof("type") != "tensorType" or dtype is None:
        return None
    if any(d.WhichOneof("dimension") != "constant" for d in tensor.dimensions):
        return None
    if len(tensor.dimensions) > MAX_RANK:
        raise ValueError(f"a shape of {len(tensor.dimensions)} axes")
    shape = tuple(int(d.constant.size) for d in tensor.dimensions)
    if prod(max(length, 1) for length in shape) > MAX_SIZE:
        raise ValueError(f"the shape {shape}")
    return dtype, shape


def from_blob(blob: Blob, dtype: str, shape: tuple[int, ...]) -> Value:
    """The value in a weight file; raises `ValueError` where the blob is not of that type and size."""
    size = prod(shape)
    if dtype not in TYPES:
        raise ValueError(f"a {dtype} in a weight file")
    if blob.code != TYPES[dtype].code or blob.data.nbytes != nbytes(dtype, size):
        raise ValueError(f"{blob.data.nbytes} bytes of type {blob.code}, not {size} elements of {dtype}")
    return Value(dtype, shape, blob.data.view(numpy_type(dtype)))


def from_immediate(tensor: Any, dtype: str, shape: tuple[int, ...]) -> Value:
    """The value inside the model file; raises `ValueError` where it has too few or too many elements."""
    kind = tensor.WhichOneof("value")
    held = getattr(tensor, kind).values if kind else b""
    if (dtype == TEXT) != (kind == "strings"):
        raise ValueError(f"{kind} in a value of {dtype}")
    if dtype == TEXT:
        return Value(TEXT, shape, np.array(held, dtype=str))
    stored = numpy_type(dtype)
    try:
        data = np.frombuffer(held, stored) if isinstance(held, bytes) else _converted(held, stored)
    except TypeError as error:
        raise ValueError(str(error)) from None
    size = prod(shape)
    if data.nbytes != nbytes(dtype, size):
        raise ValueError(f"{data.nbytes} bytes, not {size} elements of {dtype}")
    return Value(dtype, shape, data)


def _converted(held: Any, stored: np.dtype[Any]) -> NDArray[Any]:
    """Numbers as a type; raises `ValueError` where it is of whole numbers and has not all of them."""
    wide = np.array(held)
    with np.errstate(over="ignore", invalid="ignore"):
        narrow: NDArray[Any] = wide.astype(stored)
    if stored.kind in "iu" and not np.array_equal(wide, narrow):
        raise ValueError(f"{wide[wide != narrow][0]} as a number of {stored.name}")
    return narrow


def describe(value_type: Any, dtype: str, shape: tuple[int, ...]) -> None:
    """Make a `ValueType` message that of a tensor."""
    tensor = value_type.tensorType
    tensor.dataType = protobuf.mil().DataType.Value(TYPES[dtype].mil)
    tensor.rank = len(shape)
    for length in shape:
        tensor.dimensions.add().constant.size = length


def to_immediate(message: Any, value: Value) -> None:
    """Write a value into a `Value` message."""
    if value.dtype == TEXT:
        to_text(message, str(value.data[0]))
        return
    describe(message.type, value.dtype, value.shape)
    field = TYPES[value.dtype].immediate
    held = getattr(message.immediateValue.tensor, field)
    held.SetInParent()  # of an empty tensor, too: what kind it is must stand there
    if field == "bytes":
        held.values = value.data.tobytes()
    else:
        held.values.extend(value.data.reshape(-1).tolist())


def to_text(message: Any, text: str) -> None:
    """Write a string into a `Value` message."""
    message.type.tensorType.dataType = protobuf.mil().DataType.STRING
    message.immediateValue.tensor.strings.values.append(text)
