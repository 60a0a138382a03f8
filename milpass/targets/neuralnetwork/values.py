"""Weights of neural networks: from `WeightParams` messages to records and back.

One of four fields holds the values: `floatValue`, `float16Value`, `rawValue` (packed numbers, with a table,
or with scales and biases) or `int8RawValue` (whole numbers with one scale).
Source: `WeightParams` and `QuantizationParams` of Core ML's NeuralNetwork.proto.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from milpass.records import Record, Value

FIELDS = ("floatValue", "float16Value", "rawValue", "int8RawValue")
# The specification versions from which on Core ML reads a field: those of iOS 11.2, 12 and 14.
SINCE = {"floatValue": 1, "float16Value": 2, "rawValue": 3, "int8RawValue": 5}

_FLOATS_TAG = b"\x0a"  # of field 1, length-delimited


def stored_field(weights: Any) -> str | None:
    """The field that holds a weight's values, None where none does; `ValueError` where several do."""
    found = [name for name in FIELDS if len(getattr(weights, name))]
    if len(found) > 1:
        raise ValueError(f"both {found[0]} and {found[1]}")
    return found[0] if found else None


def stored_size(weights: Any, field: str) -> int:
    """The number of elements that are stored; of packed numbers, that there is room for."""
    size = len(getattr(weights, field))
    if field == "float16Value":
        return size // 2
    if field != "rawValue":
        return size
    nbits = int(weights.quantization.numberOfBits)
    if not 1 <= nbits <= 8:
        raise ValueError(f"numbers of {nbits} bits")
    return size * 8 // nbits


def check_size(weights: Any, field: str, size: int) -> None:
    """Raise `ValueError` where a field does not hold so many elements; of bytes there may be more."""
    stored = stored_size(weights, field)
    enough = stored >= size > 0 if field == "rawValue" else stored == size
    if not enough or (field == "float16Value" and len(weights.float16Value) % 2):
        raise ValueError(f"{stored:,} elements in {field} for {size:,}")


def encoding_of(weights: Any, field: str, size: int | None) -> str | None:
    """How a weight is compressed, as records and rows name it; None where it is not.

    Without a `size` from the layer, packed numbers that could be fewer than there is room for are but bytes.
    """
    if field != "rawValue":
        return None if field == "floatValue" else field
    nbits, room = int(weights.quantization.numberOfBits), len(weights.rawValue)
    if size is None and -(-(room * 8 // nbits - 1) * nbits // 8) == room:
        return field
    kind = weights.quantization.WhichOneof("QuantizationType")
    if kind is None:
        raise ValueError("packed numbers without a table and without scales")
    return str(kind)


def floats(repeated: Any) -> NDArray[np.float32]:
    """The numbers of a repeated field, as a copy of their own."""
    if hasattr(repeated, "__array__"):  # of later releases of protobuf: a copy of memory
        return np.array(repeated, np.float32)
    return np.fromiter(repeated, np.float32, len(repeated))


def load(weights: Any) -> NDArray[np.float32]:
    """The plain values."""
    if hasattr(weights.floatValue, "__array__"):
        return floats(weights.floatValue)
    octets, start = weights.SerializeToString(), len(_FLOATS_TAG)  # fields come in the order of their numbers
    while octets[start] & 0x80:
        start += 1
    return np.frombuffer(octets, "<f4", len(weights.floatValue), start + 1)


def store_plain(weights: Any, array: NDArray[Any]) -> None:
    """Put plain values in the place of whatever a message holds."""
    weights.Clear()
    _store_floats(weights, array)


def _store_floats(weights: Any, array: NDArray[Any]) -> None:
    """Set the plain values without a Python number for each."""
    octets, length = np.ascontiguousarray(array, "<f4").tobytes(), bytearray()
    rest = len(octets)
    while rest > 0x7F:
        length.append(rest & 0x7F | 0x80)
        rest >>= 7
    length.append(rest)
    weights.MergeFromString(b"".join((_FLOATS_TAG, length, octets)))


def record_of(weights: Any, encoding: str, shape: tuple[int, ...], axis: int | None) -> Record:
    """What stores a compressed weight, with the axis of its output channels, where that is known."""
    operands = _OPERANDS[encoding](weights, shape)
    if axis is not None:
        operands["axis"] = Value("int32", (), np.array([axis], np.int32))
    return Record(encoding, "attributes", "fp32", shape, operands)


def _octets(data: bytes) -> Value:
    return Value("uint8", (len(data),), np.frombuffer(data, np.uint8))


def _numbers(repeated: Any) -> Value:
    array = floats(repeated)
    return Value("fp32", array.shape, array)


def _nbits(weights: Any) -> Value:
    return Value("uint64", (), np.array([weights.quantization.numberOfBits], np.uint64))


def _table(weights: Any, shape: tuple[int, ...]) -> dict[str, Value]:
    return {
        "rawValue": _octets(weights.rawValue),
        "numberOfBits": _nbits(weights),
        "table": _numbers(weights.quantization.lookupTableQuantization.floatValue),
    }


def _linear(weights: Any, shape: tuple[int, ...]) -> dict[str, Value]:
    parameters = weights.quantization.linearQuantization
    return {
        "rawValue": _octets(weights.rawValue),
        "numberOfBits": _nbits(weights),
        "scale": _numbers(parameters.scale),
        "bias": _numbers(parameters.bias),
    }


def _half(weights: Any, shape: tuple[int, ...]) -> dict[str, Value]:
    return {"float16Value": Value("fp16", shape, np.frombuffer(weights.float16Value, "<f2"))}


def _int8(weights: Any, shape: tuple[int, ...]) -> dict[str, Value]:
    data = np.frombuffer(weights.int8RawValue, np.int8)
    scale = weights.quantization.linearQuantization.scale
    held = Value("int8", shape, data)
    return {"int8RawValue": held, "numberOfBits": _nbits(weights), "scale": _numbers(scale)}


_OPERANDS: dict[str, Callable[[Any, tuple[int, ...]], dict[str, Value]]] = {
    "lookupTableQuantization": _table,
    "linearQuantization": _linear,
    "float16Value": _half,
    "rawValue": lambda weights, shape: {"rawValue": _octets(weights.rawValue)},
    "int8RawValue": _int8,
}


def store(weights: Any, record: Record) -> str:
    """Put a record in a weight's place, and give the field that holds its values now."""
    updatable = weights.isUpdatable
    weights.Clear()
    if updatable:
        weights.isUpdatable = True
    operands = {name: each for name, each in record.operands.items() if isinstance(each, Value)}
    if record.op_type == "const":
        _store_floats(weights, operands["val"].data)
        return "floatValue"
    field = next(name for name in FIELDS if name in operands)
    setattr(weights, field, operands[field].data.tobytes())
    _store_parameters(weights, operands)
    return field


def _store_parameters(weights: Any, operands: dict[str, Value]) -> None:
    if "numberOfBits" in operands:
        weights.quantization.numberOfBits = int(operands["numberOfBits"].data[0])
    if "table" in operands:
        weights.quantization.lookupTableQuantization.floatValue.extend(operands["table"].data.tolist())
    for name in ("scale", "bias"):
        if name in operands:
            held = getattr(weights.quantization.linearQuantization, name)
            held.extend(operands[name].data.tolist())
