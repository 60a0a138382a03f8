"""Between PyMIL's variables and the operands of records."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from milpass import packing
from milpass.records import Record, Result, Value
from milpass.targets.storage import numpy_type

_NARROW = re.compile(r"(u?)int([1-7])$")
TEXT = "string"


def tensor_type(variable: Any) -> tuple[str, tuple[int, ...]] | None:
    """The dtype and shape of a variable that holds a tensor or a scalar, None for any other."""
    from coremltools.converters.mil.mil import types

    kind = variable.sym_type
    if types.is_tensor(kind):
        return types.builtin_to_string(variable.dtype), tuple(variable.shape)
    return (types.builtin_to_string(kind), ()) if types.is_scalar(kind) or types.is_str(kind) else None


def values_of(variable: Any) -> NDArray[Any]:
    """The values of a constant, in its shape; not to be written to."""
    if variable.val is None:
        raise LookupError(f"{variable.name}: it has been compressed since")
    array = np.asarray(variable.val).reshape(variable.shape)
    array.flags.writeable = False
    return array


def record_of(op: Any, known: dict[Any, Record] | None = None) -> Record:
    """A constexpr operation as a record, those that it takes results of nested; `known` are met before."""
    from coremltools import target

    known = {} if known is None else known
    if op in known:
        return known[op]

    *before, found = (_type(variable) for variable in op.outputs)
    placement = "inputs" if op.opset_version >= target.iOS18 else "attributes"
    operands = {
        name: _operand(variable, known) for name, variable in op.inputs.items() if variable is not None
    }
    known[op] = Record(op.op_type, placement, *found, operands, tuple(before))  # type: ignore[arg-type]
    return known[op]


def _type(variable: Any) -> tuple[str, tuple[int, ...]]:
    found = tensor_type(variable)
    assert found is not None
    return found


def _operand(variable: Any, known: dict[Any, Record]) -> Value | Result:
    if variable.op is not None and variable.op.op_type.startswith("constexpr_"):
        number = next(n for n, result in enumerate(variable.op.outputs) if result is variable)
        return record_of(variable.op, known).result(number)
    dtype, shape = _type(variable)
    if dtype == TEXT:
        return Value(TEXT, (), np.array([variable.val]))
    flat = np.asarray(variable.val).reshape(-1)
    narrow = _NARROW.match(dtype)
    if narrow:
        nbits = int(narrow[2])
        numbers = np.bitwise_and(flat.astype(np.int16), (1 << nbits) - 1).astype(np.uint8)
        return Value(dtype, shape, packing.packed(numbers, nbits))
    return Value(dtype, shape, flat.astype(numpy_type(dtype), copy=False))


def as_argument(value: Value) -> Any:
    """A stored operand as the builder takes it: an array, a scalar or a text."""
    from coremltools.converters.mil.mil import types

    if value.dtype == TEXT:
        return str(value.data[0])
    data = value.data
    narrow = _NARROW.match(value.dtype)
    if narrow:
        nbits = int(narrow[2])
        numbers = packing.unpacked(data.view(np.uint8), int(np.prod(value.shape)), nbits)
        whole = numbers if narrow[1] else packing.signed(numbers, nbits)
        data = whole.astype(types.nptype_from_builtin(types.string_to_builtin(value.dtype)))
    return data.reshape(value.shape) if value.shape else data[0]
