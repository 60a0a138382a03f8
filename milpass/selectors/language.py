"""Predicates on weights that combine with `&`, `|`, `~` and print as the text that makes them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, TypeAlias

from attrs import Attribute, frozen

from milpass.errors import UsageError
from milpass.weight import Weight

Predicate: TypeAlias = Callable[[Weight], bool]


class Selector(ABC):
    """A predicate on a weight."""

    # How tightly the text binds, as in Python: | loosest, then &, then ~ and words.
    binding: ClassVar[int] = 3

    @abstractmethod
    def holds(self, weight: Weight) -> bool:
        """Whether the selector chooses this weight."""

    def leaves(self) -> Iterator[Selector]:
        """The words that a combination consists of; a word itself."""
        yield self

    def __and__(self, other: Selector | Predicate) -> Selector:
        return _combined(_And, self, other)

    def __rand__(self, other: Predicate) -> Selector:
        return _combined(_And, as_selector(other), self)

    def __or__(self, other: Selector | Predicate) -> Selector:
        return _combined(_Or, self, other)

    def __ror__(self, other: Predicate) -> Selector:
        return _combined(_Or, as_selector(other), self)

    def __invert__(self) -> Selector:
        return _Not(self)

    def __bool__(self) -> bool:
        raise UsageError(
            repr(self),
            who="a selector",
            cannot="be true or false by itself",
            got="`and`, `or`, `not` or `if`",
            needs="`&`, `|` or `~`",
        )


def as_selector(value: Any) -> Any:
    """A function as a selector without a name; anything else as it is."""
    if isinstance(value, Selector | type) or not callable(value) or getattr(value, "needs_call", False):
        return value
    return Unnamed(value)


def _combined(kind: type[_Joined], left: Any, right: Any) -> Selector:
    """Two selectors joined; anything else on either side is refused in words."""
    right = as_selector(right)
    _check_side(kind, left, right)
    _check_side(kind, right, left)
    return kind((*left.parts, right) if isinstance(left, kind) else (left, right))


def _check_side(kind: type[_Joined], this: object, other: object) -> None:
    if not isinstance(other, Selector):
        raise UsageError(
            repr(this),
            who=f"`{kind.sign}`",
            cannot="join a selector with something else",
            got=repr(other),
            needs="a selector on either side",
        )


def _bracketed(selector: Selector, binding: int) -> str:
    """The selector's text, in brackets where it binds less tightly than its place demands."""
    return f"({selector!r})" if selector.binding < binding else repr(selector)


@frozen(repr=False)
class _Joined(Selector):
    """Selectors in a row under one sign."""

    parts: tuple[Selector, ...]
    sign: ClassVar[str]

    def leaves(self) -> Iterator[Selector]:
        for part in self.parts:
            yield from part.leaves()

    def __repr__(self) -> str:
        first, *others = self.parts
        texts = [_bracketed(first, self.binding), *(_bracketed(o, self.binding + 1) for o in others)]
        return f" {self.sign} ".join(texts)


class _And(_Joined):
    sign = "&"
    binding = 2

    def holds(self, weight: Weight) -> bool:
        return all(part.holds(weight) for part in self.parts)


class _Or(_Joined):
    sign = "|"
    binding = 1

    def holds(self, weight: Weight) -> bool:
        return any(part.holds(weight) for part in self.parts)


@frozen(repr=False)
class _Not(Selector):
    inner: Selector

    def holds(self, weight: Weight) -> bool:
        return not self.inner.holds(weight)

    def leaves(self) -> Iterator[Selector]:
        yield from self.inner.leaves()

    def __repr__(self) -> str:
        return f"~{_bracketed(self.inner, 3)}"


@frozen(repr=False)
class Bare(Selector):
    """A selector without arguments, written bare or called."""

    def __call__(self) -> Selector:
        return self

    def __repr__(self) -> str:
        return type(self).__name__.lstrip("_")


@frozen(repr=False)
class Unnamed(Selector):
    """A function as it was handed over: it works, but has no text that makes it."""

    function: Predicate

    def holds(self, weight: Weight) -> bool:
        return asked(self.function, repr(self), weight)

    def __repr__(self) -> str:
        code = getattr(self.function, "__code__", None)
        place = f"{code.co_filename}:{code.co_firstlineno}" if code else type(self.function).__name__
        return f"<callable {place}>"


def asked(function: Callable[..., Any], shown: str, weight: Weight, *arguments: Any, **named: Any) -> bool:
    """What a user's predicate says of a weight; raises `UsageError` for anything but True and False."""
    try:
        answer = function(weight, *arguments, **named)
    except Exception as error:
        raise _no_answer(shown, weight, f"{type(error).__name__}: {error}") from error
    if not isinstance(answer, bool) and type(answer).__name__ not in ("bool", "bool_"):  # numpy's
        raise _no_answer(shown, weight, repr(answer))
    return bool(answer)


def _no_answer(shown: str, weight: Weight, got: str) -> UsageError:
    return UsageError(
        weight.name, who=shown, cannot="say whether it chooses this weight", got=got, needs="True or False"
    )


def refused(instance: Selector, attribute: Attribute[Any], value: object, needs: str) -> UsageError:
    """The error for a wrong argument of a selector."""
    kind = type(instance).__name__
    return UsageError(
        f"{attribute.name} of {kind}", who=kind, cannot="compare with it", got=repr(value), needs=needs
    )
