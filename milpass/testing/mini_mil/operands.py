"""From nodes of Python to the operands and types of mini-MIL."""

from __future__ import annotations

import ast
from math import prod

from milpass.testing.mini_mil.literals import DTYPES, NUMBERS, alike, array_of
from milpass.testing.mini_mil.naming import meant_name
from milpass.testing.mini_mil.syntax import Constant, Literal, Name, Nested, Operand, Place, Several, Type

# More elements than any small program has.
MOST = 1 << 26

VALUE = "a name, a literal, a tuple of them, or a type"


def parse_type(node: ast.expr, place: Place) -> Type:
    """The type that a node spells: `fp16`, `fp16[1, n]`, `state(fp16[1, 64])`."""
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "state" and len(node.args) == 1:
        held = parse_type(node.args[0], place)
        return Type(held.dtype, held.shape, state=True)
    name, sizes = (node.value, node.slice) if isinstance(node, ast.Subscript) else (node, ast.Tuple([]))
    if not isinstance(name, ast.Name) or name.id not in DTYPES:
        needs = f"one of {', '.join(DTYPES)}, with its sizes in brackets"
        raise place.refusal("read the type", f"`{ast.unparse(node)}`", needs)
    dimensions = sizes.elts if isinstance(sizes, ast.Tuple) else [sizes]
    kind = Type(name.id, tuple(_dimension(dimension, place) for dimension in dimensions))
    if prod(size for size in kind.shape if isinstance(size, int)) > MOST:
        raise place.refusal("read the type", f"`{ast.unparse(node)}`", f"at most {MOST:,} elements")
    return kind


def _dimension(node: ast.expr, place: Place) -> int | str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Constant) and type(node.value) is int:
        return node.value
    raise place.refusal("read a size", f"`{ast.unparse(node)}`", "a number, or a name where it is flexible")


def parse_operand(node: ast.expr, place: Place) -> Operand:
    """The operand that a node spells."""
    operand = _operand(node, place)
    if not isinstance(operand, Literal):
        return operand
    try:
        return Literal(alike(operand.value))
    except ValueError as error:
        raise place.refusal("read a literal", str(error), "values of one kind") from None


def _operand(node: ast.expr, place: Place) -> Operand:
    if isinstance(node, ast.Tuple):
        return Several(tuple(parse_operand(element, place) for element in node.elts))
    if isinstance(node, ast.List):
        return _list([_operand(element, place) for element in node.elts])
    if isinstance(node, ast.Name) and node.id not in {*DTYPES, *NUMBERS}:
        return Name(meant_name(node.id))
    if isinstance(node, ast.Subscript | ast.Name) and ast.unparse(node) not in NUMBERS:
        return parse_type(node, place)
    return Literal(_scalar(node, place))


def _list(operands: list[Operand]) -> Operand:
    """A list of literals is one literal; with a name in it, a list is a tuple."""
    literals = [operand.value for operand in operands if isinstance(operand, Literal)]
    return Literal(literals) if len(literals) == len(operands) else Several(tuple(operands))


def _scalar(node: ast.expr, place: Place) -> Nested:
    if isinstance(node, ast.Name):
        return NUMBERS[node.id]
    if isinstance(node, ast.Constant) and type(node.value) in (bool, int, float, str):
        return node.value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = _scalar(node.operand, place)
        if type(value) in (int, float):
            return -value
    raise place.refusal("read a value", f"`{ast.unparse(node)}`", VALUE)


def parse_constant(outputs: tuple[str, ...], call: ast.Call, place: Place) -> Constant:
    """The constant that `const(type)` or `const(type, value)` makes."""
    form = "`name = const(type)`, or `const(type, value)`"
    if len(outputs) != 1 or call.keywords or len(call.args) not in (1, 2):
        raise place.refusal("make a constant", f"`{ast.unparse(call)}`", form)
    constant = Constant(outputs[0], parse_type(call.args[0], place), None, place)
    kind = constant.type
    if kind.state or not all(isinstance(dimension, int) for dimension in kind.shape):
        raise place.refusal("make a constant", f"`{ast.unparse(call.args[0])}`", "a type with sizes")
    value = parse_operand(call.args[1], place) if len(call.args) == 2 else None
    if not isinstance(value, Literal):
        if value is None and kind.dtype != "string":
            return constant
        raise place.refusal("make a constant", f"`{ast.unparse(call)}`", "a literal as its value")
    try:
        array_of(kind, alike(value.value))
    except (ValueError, OverflowError) as error:
        raise place.refusal("make a constant", str(error), "values that its type holds") from None
    return Constant(outputs[0], kind, value.value, place)


def parse_arguments(call: ast.Call, place: Place) -> dict[str, Operand]:
    """The operands of a call by the names of the inputs."""
    arguments: dict[str, Operand] = {}
    for keyword in call.keywords:
        if keyword.arg is None or keyword.arg in arguments:
            raise place.refusal(
                "read the arguments", f"`{ast.unparse(keyword)}`", "each input once, by its name"
            )
        arguments[keyword.arg] = parse_operand(keyword.value, place)
    if call.args:
        raise place.refusal("read the arguments", f"`{ast.unparse(call.args[0])}`", "`input=value`")
    return arguments
