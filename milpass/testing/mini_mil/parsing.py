"""From a text to its syntax tree: Python's grammar, of which a few forms are read and none is evaluated."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterable
from textwrap import dedent

from milpass.testing.mini_mil.naming import RESERVED, meant_name
from milpass.testing.mini_mil.operands import parse_arguments, parse_constant, parse_type
from milpass.testing.mini_mil.syntax import (
    DEFAULT_OPSET,
    OPSETS,
    Call,
    Definition,
    Place,
    Statement,
    Type,
    bound_names,
    named_operands,
)

FORM = "`name = operation(input=value, ...)`, `name = const(type)`, a nested `def`, or a last `return`"


def parse(text: str) -> tuple[Definition, ...]:
    """The functions of a text; raises `UsageError` with the line."""
    text = dedent(text)
    parser = _Parser(text.split("\n"))
    functions = tuple(parser.function(node) for node in _nodes(text, parser))
    if not functions:
        raise Place(1).refusal("read a program", "no function", "`def main(x: fp16[1, 64]):` and its body")
    parser.once((function.name, function.place) for function in functions)
    return functions


def _nodes(text: str, parser: _Parser) -> list[ast.stmt]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what Python thinks of escapes in strings
            return ast.parse(text).body
    except SyntaxError as error:
        got = f"{error.msg} at column {error.offset}"
        raise parser.place(error.lineno or 1).refusal("read it", got, "Python syntax") from None
    except (RecursionError, MemoryError, ValueError) as error:
        raise parser.place(1).refusal(
            "read it", str(error) or "too deep a nesting", "Python syntax"
        ) from None


class _Parser:
    """Makes trees of the nodes of one text."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines

    def place(self, number: int) -> Place:
        """A line of the text by its number."""
        return Place(number, self._lines[min(number, len(self._lines)) - 1].strip())

    def once(self, names: Iterable[tuple[str, Place]]) -> None:
        """Refuse a name that is given twice in one scope."""
        seen: set[str] = set()
        for name, place in names:
            if name in seen:
                raise place.refusal("give a name", f"`{name}` again", "a new name for each value")
            seen.add(name)

    def _given(self, identifier: str, place: Place) -> str:
        """The name that an identifier gives; refuses those that the language uses itself."""
        if identifier in RESERVED:
            raise place.refusal("give a name", f"`{identifier}`, a word of the language", "another name")
        return meant_name(identifier)

    def function(self, node: ast.stmt) -> Definition:
        """A function of the program, with its opset and the types of its inputs."""
        place = self.place(node.lineno)
        if not isinstance(node, ast.FunctionDef):
            raise place.refusal("read it", f"`{place.line}`", "functions, `def main(...):`")
        names = [ast.unparse(decorator) for decorator in node.decorator_list] or [DEFAULT_OPSET]
        if len(names) > 1 or names[0] not in OPSETS:
            place = self.place(node.decorator_list[0].lineno)
            raise place.refusal("read the opset", ", ".join(names), f"one of {', '.join(OPSETS)}")
        return self._definition(node, names[0])

    def _block(self, node: ast.FunctionDef) -> Definition:
        if node.decorator_list:
            raise self.place(node.lineno).refusal("read a nested block", "a decorator", "none")
        return self._definition(node, None)

    def _definition(self, node: ast.FunctionDef, opset: str | None) -> Definition:
        place = self.place(node.lineno)
        parameters = self._parameters(node.args, place, opset is not None)
        *rest, last = node.body
        body = tuple(self._statement(inner) for inner in rest)
        self.once(
            [
                *((name, place) for name in parameters),
                *((name, statement.place) for statement in body for name in bound_names(statement)),
            ]
        )
        _each_block_once(body)
        return Definition(self._given(node.name, place), parameters, body, self._outputs(last), opset, place)

    def _parameters(self, arguments: ast.arguments, place: Place, typed: bool) -> dict[str, Type | None]:
        if ast.unparse(arguments) != ", ".join(ast.unparse(argument) for argument in arguments.args):
            raise place.refusal("read the inputs", ast.unparse(arguments), "plain names")
        parameters: dict[str, Type | None] = {}
        for argument in arguments.args:
            if typed != (argument.annotation is not None):
                needs = "a type for each input of a function, such as `x: fp16[1, 64]`, and none in a block"
                raise place.refusal("read the inputs", f"`{ast.unparse(argument)}`", needs)
            annotation = argument.annotation
            name = self._given(argument.arg, place)
            parameters[name] = parse_type(annotation, place) if annotation else None
        return parameters

    def _outputs(self, node: ast.stmt) -> tuple[str, ...]:
        place = self.place(node.lineno)
        returned = node.value if isinstance(node, ast.Return) else None
        return self._names(returned, place, "end a block", "`return` with the names of the outputs")

    def _names(self, node: ast.expr | None, place: Place, cannot: str, needs: str) -> tuple[str, ...]:
        names = node.elts if isinstance(node, ast.Tuple | ast.List) else [node]
        if not names or not all(isinstance(name, ast.Name) for name in names):
            raise place.refusal(cannot, f"`{place.line}`", needs)
        return tuple(self._given(name.id, place) for name in names if isinstance(name, ast.Name))

    def _statement(self, node: ast.stmt) -> Statement:
        place = self.place(node.lineno)
        if isinstance(node, ast.FunctionDef):
            return self._block(node)
        if not isinstance(node, ast.Assign) or len(node.targets) != 1 or not isinstance(node.value, ast.Call):
            raise place.refusal("read it", f"`{type(node).__name__}`", FORM)
        outputs = self._names(node.targets[0], place, "name the results", FORM)
        call = node.value
        if not isinstance(call.func, ast.Name):
            raise place.refusal(
                "read the operation", f"`{ast.unparse(call.func)}`", "the type of an operation"
            )
        if call.func.id == "const":
            return parse_constant(outputs, call, place)
        return Call(outputs, call.func.id, parse_arguments(call, place), place)


def _each_block_once(body: tuple[Statement, ...]) -> None:
    """Refuse nested blocks that no argument names, or several do: an operation owns its blocks."""
    used = [name for statement in body if isinstance(statement, Call) for name in named_operands(statement)]
    for statement in body:
        if isinstance(statement, Definition) and (count := used.count(statement.name)) != 1:
            needs = "one argument after it in the same block that names it"
            raise statement.place.refusal("place a nested block", f"{count} uses", needs)
