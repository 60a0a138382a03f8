"""The syntax tree of mini-MIL, which texts and programs have in common."""

from __future__ import annotations

from typing import Any, TypeAlias

from attrs import field, frozen

from milpass.errors import UsageError

DEFAULT_OPSET = "iOS16"
OPSETS = ("iOS15", "iOS16", "iOS17", "iOS18", "iOS26")

# Scalars of Python, or equally nested lists of one kind of them.
Nested: TypeAlias = Any


@frozen
class Place:
    """A line of a text, for errors."""

    number: int = 0
    line: str = ""

    def refusal(self, cannot: str, got: str, needs: str, remedy: str | None = None) -> UsageError:
        """The error that something on this line is."""
        what = f"line {self.number}, `{self.line}`"
        return UsageError(what, who="mini-MIL", cannot=cannot, got=got, needs=needs, remedy=remedy)


@frozen
class Type:
    """A tensor type; a dimension that is a name is flexible, a scalar has no dimensions."""

    dtype: str
    shape: tuple[int | str, ...] = ()
    state: bool = False

    @property
    def size(self) -> int:
        """How many elements a constant of this type has."""
        count = 1
        for dimension in self.shape:
            count *= int(dimension)
        return count


@frozen
class Name:
    """An earlier value or a nested block, by its name."""

    name: str


@frozen
class Literal:
    """A constant that stands in its reader."""

    value: Nested


@frozen
class Several:
    """A tuple of operands."""

    values: tuple[Operand, ...]


Operand: TypeAlias = "Name | Type | Literal | Several"


@frozen
class Constant:
    """`name = const(type, value)`; without a value, the pseudo-random one of this name and type."""

    name: str
    type: Type
    value: Nested | None = None
    place: Place = field(default=Place(), eq=False)


@frozen
class Call:
    """`outputs = op_type(argument=operand, ...)`."""

    outputs: tuple[str, ...]
    op_type: str
    arguments: dict[str, Operand]
    place: Place = field(default=Place(), eq=False)


@frozen
class Definition:
    """A function of the program, which has an opset and types, or a nested block, which has none."""

    name: str
    parameters: dict[str, Type | None]
    body: tuple[Statement, ...]
    outputs: tuple[str, ...]
    opset: str | None = None
    place: Place = field(default=Place(), eq=False)


Statement: TypeAlias = "Constant | Call | Definition"


def bound_names(statement: Statement) -> tuple[str, ...]:
    """The names that a statement gives."""
    return statement.outputs if isinstance(statement, Call) else (statement.name,)


def named_operands(call: Call) -> list[str]:
    """The names in a call's arguments, as often as they stand there."""
    waiting = list(call.arguments.values())
    names: list[str] = []
    while waiting:
        operand = waiting.pop()
        if isinstance(operand, Name):
            names.append(operand.name)
        elif isinstance(operand, Several):
            waiting += operand.values
    return names
