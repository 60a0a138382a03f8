"""The normal form of a syntax tree: one tree for all the texts that mean one program.

Inputs stand in order, `x` first and blocks last; blocks right before the operation that owns them; flexible
dimensions are called n0, n1, ...  A constant that one input reads stands in the reader where it is short;
for weights of `constexpr_` operations their type stands there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from milpass.testing.mini_mil.literals import array_of, drawn, literal_of
from milpass.testing.mini_mil.syntax import (
    Call,
    Constant,
    Definition,
    Literal,
    Name,
    Operand,
    Several,
    Statement,
    Type,
    bound_names,
    named_operands,
)

# Constants of fewer elements show their values.
SHORT = 10

# Types of what says how a weight is laid out, such as `shape` and `axis`; weights themselves have others.
SETTINGS = frozenset({"int32", "uint32", "bool", "string"})

_OUTPUT = ""  # stands for the type of the operation that reads a block's output


def is_weight_operand(op_type: str, dtype: str) -> bool:
    """Whether an input of an operation is a compressed weight's, which prints as a type."""
    return op_type.startswith("constexpr_") and dtype not in SETTINGS


def normal(function: Definition) -> Definition:
    """The normal form of a function."""
    names: dict[str, str] = {}
    parameters = {name: _renamed(kind, names) for name, kind in function.parameters.items()}
    body = _body(function, {})
    return Definition(function.name, parameters, body, function.outputs, function.opset)


def _renamed(kind: Type | None, names: dict[str, str]) -> Type | None:
    """The type with its flexible dimensions named in the order of their appearance."""
    if kind is None:
        return None
    shape = tuple(
        names.setdefault(dimension, f"n{len(names)}") if isinstance(dimension, str) else dimension
        for dimension in kind.shape
    )
    return Type(kind.dtype, shape, kind.state)


def _body(block: Definition, outer: Mapping[str, Constant]) -> tuple[Statement, ...]:
    """The statements of a block, where constants of it or of outer blocks stand in their readers."""
    bound, own = _bound(block), _placed_in_readers(block)
    inlined = {**{name: constant for name, constant in outer.items() if name not in bound}, **own}
    blocks = {
        inner.name: Definition(inner.name, inner.parameters, _body(inner, inlined), inner.outputs)
        for inner in block.body
        if isinstance(inner, Definition)
    }
    statements: list[Statement] = []
    for statement in block.body:
        if isinstance(statement, Constant) and statement.name not in own:
            statements.append(_shown(statement))
        elif isinstance(statement, Call):
            call = _call(statement, inlined)
            statements += [blocks[name] for name in sorted_names(call) if name in blocks]
            statements.append(call)
    return tuple(statements)


def sorted_names(call: Call) -> list[str]:
    """The names that a call's arguments are, in the order of the arguments."""
    return [operand.name for operand in call.arguments.values() if isinstance(operand, Name)]


def _placed_in_readers(block: Definition) -> dict[str, Constant]:
    """The constants of a block that stand in their one reader instead of on a line."""
    readers: dict[str, list[str]] = {}
    for name, op_type in _reads(block):
        readers.setdefault(name, []).append(op_type)
    placed = {}
    for constant in block.body:
        if isinstance(constant, Constant) and len(readers.get(constant.name, ())) == 1:
            (op_type,) = readers[constant.name]
            short = constant.type.size < SHORT and op_type != _OUTPUT
            if short or is_weight_operand(op_type, constant.type.dtype):
                placed[constant.name] = constant
    return placed


def _bound(block: Definition) -> set[str]:
    """The names that a block gives."""
    return {*block.parameters, *(name for statement in block.body for name in bound_names(statement))}


def _reads(block: Definition) -> Iterator[tuple[str, str]]:
    """Each use of a name in a block and those within it, with the type of the operation that reads it."""
    yield from ((name, _OUTPUT) for name in block.outputs)
    for statement in block.body:
        if isinstance(statement, Call):
            yield from ((name, statement.op_type) for name in named_operands(statement))
        elif isinstance(statement, Definition):
            bound = _bound(statement)
            yield from (read for read in _reads(statement) if read[0] not in bound)


def _call(call: Call, inlined: Mapping[str, Constant]) -> Call:
    arguments = {
        name: _operand(call.op_type, call.arguments[name], inlined)
        for name in sorted(call.arguments, key=lambda name: (name != "x", name.startswith("_"), name))
    }
    return Call(call.outputs, call.op_type, arguments)


def _operand(op_type: str, operand: Operand, inlined: Mapping[str, Constant]) -> Operand:
    if isinstance(operand, Several):
        return Several(tuple(_operand(op_type, value, inlined) for value in operand.values))
    if not isinstance(operand, Name) or operand.name not in inlined:
        return operand
    constant = inlined[operand.name]
    if is_weight_operand(op_type, constant.type.dtype):
        return constant.type
    return Literal(_shown(constant).value)


def _shown(constant: Constant) -> Constant:
    """The constant with all of its values where they are few, with none where they are many."""
    kind = constant.type
    if kind.size >= SHORT:
        return Constant(constant.name, kind)
    given = constant.value is not None
    array = array_of(kind, constant.value) if given else drawn(kind, constant.name)
    return Constant(constant.name, kind, literal_of(array, kind.dtype))
