"""From programs and syntax trees to text, in its normal form."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from milpass.testing.mini_mil.lifting import lift
from milpass.testing.mini_mil.literals import spelled_literal, spelled_type
from milpass.testing.mini_mil.naming import spelled_name
from milpass.testing.mini_mil.normal_form import normal
from milpass.testing.mini_mil.parsing import parse
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
)

INDENT = "    "


def print_program(program: Any) -> str:
    """The text of a coremltools `Program`, in normal form.

    Inputs that have the operation's default value are left out, and the values of constants of ten or more
    elements.  A short constant prints as a literal, without its type: an operation of short constants alone
    may be read back in fp32 or int32.  Names that Python cannot spell are escaped, `x.1` as `x_x2e_1`
    (see `milpass.testing.mini_mil.naming`).
    """
    return _text(lift(program))


def normalized(text: str) -> str:
    """The normal form of a text, which need not be buildable: what `print_program` prints of its program.

    It knows no operation, so inputs that are given their default value stay.
    """
    return _text(parse(text))


def _text(functions: Iterable[Definition]) -> str:
    return "\n\n".join("\n".join(_lines(normal(function), "")) for function in functions) + "\n"


def _lines(block: Definition, indent: str) -> Iterator[str]:
    if block.opset:
        yield f"{indent}@{block.opset}"
    parameters = (
        f"{spelled_name(name)}: {spelled_type(kind)}" if kind else spelled_name(name)
        for name, kind in block.parameters.items()
    )
    yield f"{indent}def {spelled_name(block.name)}({', '.join(parameters)}):"
    for statement in block.body:
        yield from _statement(statement, indent + INDENT)
    yield f"{indent}{INDENT}return {_names(block.outputs)}"


def _statement(statement: Statement, indent: str) -> Iterator[str]:
    if isinstance(statement, Definition):
        yield from _lines(statement, indent)
    elif isinstance(statement, Call):
        arguments = (f"{name}={_operand(value)}" for name, value in statement.arguments.items())
        yield f"{indent}{_names(statement.outputs)} = {statement.op_type}({', '.join(arguments)})"
    else:
        yield f"{indent}{spelled_name(statement.name)} = {_constant(statement)}"


def _constant(constant: Constant) -> str:
    value = "" if constant.value is None else f", {spelled_literal(constant.value)}"
    return f"const({spelled_type(constant.type)}{value})"


def _names(names: Iterable[str]) -> str:
    return ", ".join(map(spelled_name, names))


def _operand(operand: Operand) -> str:
    if isinstance(operand, Name):
        return spelled_name(operand.name)
    if isinstance(operand, Literal):
        return spelled_literal(operand.value)
    if isinstance(operand, Type):
        return spelled_type(operand)
    return _several(operand)


def _several(operands: Several) -> str:
    spelled = [_operand(operand) for operand in operands.values]
    return f"({spelled[0]},)" if len(spelled) == 1 else f"({', '.join(spelled)})"
