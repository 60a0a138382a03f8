"""The text of a pipeline: Python call syntax read against a vocabulary, never evaluated."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any

from milpass.errors import UsageError

LONGEST = 100_000

_JOINS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.BitOr: operator.or_,
    ast.BitAnd: operator.and_,
}


def read(text: str, vocabulary: Mapping[str, Any]) -> Any:
    """The value that a text makes of the words of a vocabulary; raises `UsageError` with the place."""
    if len(text) > LONGEST:
        raise _refusal(text[:40] + "...", f"{len(text)} characters", f"at most {LONGEST}")
    try:
        tree = ast.parse(text.strip(), mode="eval")
        return _Reader(text.strip(), vocabulary).value(tree.body)
    except SyntaxError as error:
        raise _refusal(text, f"{error.msg} at column {error.offset}", "Python call syntax") from None
    except (RecursionError, MemoryError):
        raise _refusal(text[:40] + "...", "too deep a nesting", "a flatter text") from None
    except ValueError as error:
        if isinstance(error, UsageError):
            raise
        raise _refusal(text, str(error), "Python call syntax") from None


def _refusal(text: str, got: str, needs: str, remedy: str | None = None) -> UsageError:
    return UsageError(repr(text), who="parse", cannot="read this text", got=got, needs=needs, remedy=remedy)


class _Reader:
    """Makes values of the nodes of one text, each kind by the method that bears its name."""

    def __init__(self, text: str, vocabulary: Mapping[str, Any]) -> None:
        self._text = text
        self._vocabulary = vocabulary

    def value(self, node: ast.expr) -> Any:
        read_node = getattr(self, f"_{type(node).__name__}", None)
        if read_node is None:
            raise self._unknown(node, "words, calls, literals, `|`, `&`, `~`")
        return read_node(node)

    def _unknown(self, node: ast.expr, needs: str, remedy: str | None = None) -> UsageError:
        got = ast.get_source_segment(self._text, node) or type(node).__name__
        return _refusal(self._text, f"`{got}` at column {node.col_offset + 1}", needs, remedy)

    def _Constant(self, node: ast.Constant) -> Any:
        if node.value is None or type(node.value) in (str, int, float, bool):
            return node.value
        raise self._unknown(node, "a string, a number, True, False or None")

    def _Name(self, node: ast.Name) -> Any:
        if node.id in self._vocabulary:
            return self._vocabulary[node.id]
        near = get_close_matches(node.id, self._vocabulary, n=1)
        remedy = f"Did you mean `{near[0]}`" if near else None
        raise self._unknown(node, f"one of {', '.join(sorted(self._vocabulary))}", remedy)

    def _Call(self, node: ast.Call) -> Any:
        if not isinstance(node.func, ast.Name):
            raise self._unknown(node, "a call of one of the words")
        word = self._Name(node.func)
        if not callable(word):
            raise self._unknown(node, f"`{node.func.id}` without brackets")
        positional = [self.value(argument) for argument in node.args]
        named = {keyword.arg: self.value(keyword.value) for keyword in node.keywords if keyword.arg}
        if len(named) < len(node.keywords):
            raise self._unknown(node, "arguments by name, without `**`")
        try:
            return word(*positional, **named)
        except TypeError as error:
            raise self._unknown(node, f"its own arguments ({_plain(error)})") from None

    def _BinOp(self, node: ast.BinOp) -> Any:
        join = _JOINS.get(type(node.op))
        left, right = self.value(node.left), self.value(node.right)
        if join is None:
            raise self._unknown(node, "`|` or `&`")
        try:
            return join(left, right)
        except TypeError:
            raise self._unknown(node, "passes on both sides of `|`, or selectors") from None

    def _UnaryOp(self, node: ast.UnaryOp) -> Any:
        inner = self.value(node.operand)
        if isinstance(node.op, ast.USub) and type(inner) in (int, float):
            return -inner
        if isinstance(node.op, ast.Invert) and not isinstance(inner, int | float):
            try:
                return ~inner
            except TypeError:
                pass
        raise self._unknown(node, "`~` before a selector, or `-` before a number")

    def _Tuple(self, node: ast.Tuple) -> Any:
        return tuple(self.value(element) for element in node.elts)

    def _List(self, node: ast.List) -> Any:
        return [self.value(element) for element in node.elts]


def _plain(error: TypeError) -> str:
    """What Python says of a call's arguments, without the name of the constructor."""
    return str(error).partition("() ")[2] or str(error)
