"""From a coremltools program to its syntax tree."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from milpass.errors import UsageError
from milpass.testing.mini_mil.literals import DTYPES, literal_of
from milpass.testing.mini_mil.mil import mil
from milpass.testing.mini_mil.normal_form import SHORT
from milpass.testing.mini_mil.syntax import (
    Call,
    Constant,
    Definition,
    Name,
    Operand,
    Several,
    Statement,
    Type,
)


def lift(program: Any) -> tuple[Definition, ...]:
    """The functions of a program."""
    return tuple(_function(name, function) for name, function in program.functions.items())


def _function(name: str, function: Any) -> Definition:
    parameters: dict[str, Type | None] = {name: type_of(var) for name, var in function.inputs.items()}
    return Definition(name, parameters, *_inside(function), function.opset_version.name)


def _block(block: Any) -> Definition:
    return Definition(block.name, {var.name: None for var in block.inputs}, *_inside(block))


def _inside(block: Any) -> tuple[tuple[Statement, ...], tuple[str, ...]]:
    body = tuple(statement for operation in block.operations for statement in _statements(operation))
    return body, tuple(var.name for var in block.outputs)


def _statements(operation: Any) -> Iterator[Statement]:
    """An operation after its blocks; a constant that only gives others their defaults is left out."""
    if operation.op_type == "const":
        if not _gives_defaults(operation.outputs[0]):
            yield _constant(operation.outputs[0])
        return
    yield from map(_block, operation.blocks)
    arguments: dict[str, Operand] = {
        name: _operand(value) for name, value in operation.inputs.items() if not _is_default(operation, name)
    }
    for name, block in zip(block_inputs(type(operation)), operation.blocks, strict=False):
        arguments[name] = Name(block.name)
    yield Call(tuple(var.name for var in operation.outputs), operation.op_type, arguments)


def block_inputs(operation: Any) -> list[str]:
    """The inputs of an operation's class that are nested blocks, in the order of its blocks."""
    blocks = mil().PyFunctionInputType
    return [name for name, kind in operation.input_spec.input_types.items() if isinstance(kind, blocks)]


def _operand(value: Any) -> Operand:
    return Several(tuple(map(_operand, value))) if isinstance(value, list | tuple) else Name(value.name)


def _constant(var: Any) -> Constant:
    kind = type_of(var)
    return Constant(var.name, kind, literal_of(var.val, kind.dtype) if kind.size < SHORT else None)


def type_of(var: Any) -> Type:
    """The type that coremltools inferred for a value."""
    types = mil().types
    is_state = types.is_state(var.sym_type)
    held = var.sym_type.wrapped_type() if is_state else var.sym_type
    known = types.is_tensor(held) or types.is_scalar(held)
    dtype = (
        types.builtin_to_string(held.get_primitive() if types.is_tensor(held) else held) if known else None
    )
    if dtype not in DTYPES:
        needs = f"tensors of {', '.join(DTYPES)}"
        raise UsageError(var.name, who="mini-MIL", cannot="print its type", got=str(var), needs=needs)
    shape = held.get_shape() if types.is_tensor(held) else ()
    return Type(dtype, tuple(map(_dimension, shape)), is_state)


def _dimension(size: Any) -> int | str:
    return int(size) if isinstance(size, int | np.integer) else str(size)


def _gives_defaults(var: Any) -> bool:
    """Whether a constant is read, and only by inputs that are not printed."""
    reads = [
        _is_default(reader, name)
        for reader in {id(reader): reader for reader in var.child_ops}.values()
        for name, value in reader.inputs.items()
        if value is var or (isinstance(value, list | tuple) and any(element is var for element in value))
    ]
    return bool(reads) and all(reads) and not var.consuming_blocks


def _is_default(operation: Any, name: str) -> bool:
    """Whether an input has the value that it has where it is not given."""
    default = dict(operation.default_inputs().items()).get(name)
    value = getattr(operation.inputs[name], "val", None)
    if default is None or value is None:
        return False
    if isinstance(value, str) or isinstance(default, str):
        return bool(value == default)
    as_held = np.asarray(default).astype(np.asarray(value).dtype)
    return bool(np.array_equal(as_held, value, equal_nan=as_held.dtype.kind == "f"))
