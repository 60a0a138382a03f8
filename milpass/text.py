"""The text of a pipeline: Python call syntax read against a vocabulary, never evaluated."""

from __future__ import annotations

import ast
import operator
import re
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from milpass.errors import UsageError

LONGEST = 1_000_000
DEEPEST = 100
GREATEST = 1 << 63

# How functions print that have no text: `parse` refuses them by that name.
_UNNAMED = re.compile(r"<callable [^>]*>")

_JOINS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.BitOr: operator.or_,
    ast.BitAnd: operator.and_,
}


def read(text: str, vocabulary: Mapping[str, Any]) -> Any:
    """The value that a text makes of the words of a vocabulary; raises `UsageError` with the place."""
    if not isinstance(text, str):
        raise _refusal(text, type(text).__name__, "a text")
    if len(text) > LONGEST:
        raise _refusal(text, f"{len(text)} characters", f"at most {LONGEST}")
    text = text.strip()
    return _Reader(text, vocabulary).value(_tree(text).body, 0)


def _tree(text: str) -> ast.Expression:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what Python thinks of escapes in strings
            return ast.parse(text, mode="eval")
    except SyntaxError as error:
        if unnamed := _UNNAMED.search(text):
            needs = "functions that have a name in the language"
            raise _refusal(text, unnamed[0], needs, "Name it with @selector") from None
        raise _refusal(text, f"{error.msg} at column {error.offset}", "Python call syntax") from None
    except (RecursionError, MemoryError):
        raise _refusal(text, "too deep a nesting", "a flatter text") from None
    except ValueError as error:
        raise _refusal(text, str(error), "Python call syntax") from None


def _refusal(text: object, got: str, needs: str, remedy: str | None = None) -> UsageError:
    shown = text if not isinstance(text, str) or len(text) <= 100 else text[:100] + "..."
    return UsageError(repr(shown), who="parse", cannot="read this text", got=got, needs=needs, remedy=remedy)


class _Reader:
    """Makes values of the nodes of one text, each kind by the method that bears its name."""

    def __init__(self, text: str, vocabulary: Mapping[str, Any]) -> None:
        self._text = text
        self._vocabulary = vocabulary

    def value(self, node: ast.expr, depth: int) -> Any:
        """The value of a node; joins in a row, as in `a | b | c`, count as one level."""
        read_node = getattr(self, f"_{type(node).__name__}", None)
        if read_node is None:
            raise self._unknown(node, "words, calls, literals, `|`, `&`, `~`")
        if depth > DEEPEST:
            raise _refusal(self._text, f"more than {DEEPEST} levels", "a flatter text")
        return read_node(node, depth + 1)

    def _unknown(self, node: ast.expr, needs: str, remedy: str | None = None) -> UsageError:
        got = " ".join((ast.get_source_segment(self._text, node) or type(node).__name__).split())
        line = self._text.splitlines()[node.lineno - 1].encode()
        column = len(line[: node.col_offset].decode()) + 1
        place = f"column {column}" if node.lineno == 1 else f"line {node.lineno}, column {column}"
        return _refusal(self._text, f"`{got[:200]}` at {place}", needs, remedy)

    def _Constant(self, node: ast.Constant, depth: int) -> Any:
        if isinstance(node.value, int) and abs(node.value) > GREATEST:
            raise self._unknown(node, f"a number up to {GREATEST}")
        if node.value is None or type(node.value) in (str, int, float, bool):
            return node.value
        raise self._unknown(node, "a string, a number, True, False or None")

    def _Name(self, node: ast.Name, depth: int) -> Any:
        if node.id in self._vocabulary:
            return self._vocabulary[node.id]
        from difflib import get_close_matches

        near = get_close_matches(node.id, self._vocabulary, n=1)
        meant = [f"`{near[0]}`"] if near else []
        if depth > 1:  # an argument, which may be a text
            meant.append(f"{node.id!r} in quotes")
        remedy = f"Did you mean {' or '.join(meant)}" if meant else None
        raise self._unknown(node, f"one of {', '.join(sorted(self._vocabulary))}", remedy)

    def _Call(self, node: ast.Call, depth: int) -> Any:
        if not isinstance(node.func, ast.Name):
            raise self._unknown(node, "a call of one of the words")
        word = self._Name(node.func, 0)
        if not callable(word):
            raise self._unknown(node, f"`{node.func.id}` without brackets")
        positional = [self.value(argument, depth) for argument in node.args]
        try:
            return word(*positional, **self._keywords(node, depth))
        except TypeError as error:
            raise self._unknown(node, f"its own arguments ({_plain(error)})") from None

    def _keywords(self, node: ast.Call, depth: int) -> dict[str, Any]:
        named: dict[str, Any] = {}
        for keyword in node.keywords:
            if keyword.arg is None:
                raise self._unknown(node, "arguments by name, without `**`")
            if keyword.arg in named:
                raise self._unknown(node, f"`{keyword.arg}` once")
            named[keyword.arg] = self.value(keyword.value, depth)
        return named

    def _BinOp(self, node: ast.BinOp, depth: int) -> Any:
        """A row of joins from left to right, without a level of recursion for each."""
        row = [node]
        while isinstance(row[-1].left, ast.BinOp):
            row.append(row[-1].left)
        value = self.value(row[-1].left, depth)
        for joined in reversed(row):
            value = self._joined(joined, value, self.value(joined.right, depth))
        return value

    def _joined(self, node: ast.BinOp, left: Any, right: Any) -> Any:
        join = _JOINS.get(type(node.op))
        if join is None:
            raise self._unknown(node, "`|` or `&`")
        if isinstance(left, int) and isinstance(right, int):
            raise self._unknown(node, "passes on both sides of `|`, or selectors")
        try:
            return join(left, right)
        except TypeError:
            raise self._unknown(node, "passes on both sides of `|`, or selectors") from None

    def _UnaryOp(self, node: ast.UnaryOp, depth: int) -> Any:
        inner = self.value(node.operand, depth)
        if isinstance(node.op, ast.USub) and type(inner) in (int, float):
            return -inner
        if isinstance(node.op, ast.Invert) and not isinstance(inner, int | float):
            try:
                return ~inner
            except TypeError:
                pass
        raise self._unknown(node, "`~` before a selector, or `-` before a number")

    def _Tuple(self, node: ast.Tuple, depth: int) -> Any:
        return tuple(self.value(element, depth) for element in node.elts)

    def _List(self, node: ast.List, depth: int) -> Any:
        return [self.value(element, depth) for element in node.elts]


def _plain(error: TypeError) -> str:
    """What Python says of a call's arguments, without the name of the constructor."""
    return str(error).partition("() ")[2] or str(error)
