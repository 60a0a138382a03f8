"""A user's own predicates as words of the language."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, ClassVar

from attrs import frozen

from milpass.errors import UsageError
from milpass.selectors.language import Predicate, Selector, asked
from milpass.selectors.vocabulary import SELECTORS
from milpass.weight import Weight

_LITERALS = (str, int, float, bool, type(None))


@frozen(repr=False)
class Own(Selector):
    """A user's predicate under its name, with the arguments that follow the weight."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...] = ()
    named: tuple[tuple[str, Any], ...] = ()

    def __call__(self) -> Selector:
        return self

    @property
    def __doc__(self) -> str | None:  # type: ignore[override]
        return self.function.__doc__

    def holds(self, weight: Weight) -> bool:
        return asked(self.function, repr(self), weight, *self.arguments, **dict(self.named))

    def __repr__(self) -> str:
        shown = [repr(value) for value in self.arguments]
        shown += [f"{key}={value!r}" for key, value in self.named]
        return f"{self.function.__name__}({', '.join(shown)})" if shown else self.function.__name__


@frozen(repr=False)
class Word:
    """The word of a predicate that takes arguments: called with them it is a selector."""

    function: Callable[..., Any]
    needs_call: ClassVar[bool] = True

    @property
    def __doc__(self) -> str | None:  # type: ignore[override]
        return self.function.__doc__

    def __call__(self, *arguments: Any, **named: Any) -> Own:
        """The selector with these arguments, which must be literals so that it has a text."""
        inspect.signature(self.function).bind(None, *arguments, **named)
        for value in (*arguments, *named.values()):
            if not _is_literal(value):
                raise _refused(self.function, f"the argument {value!r}", "numbers, strings, tuples of them")
        return Own(self.function, arguments, tuple(named.items()))

    def __repr__(self) -> str:
        return self.function.__name__


def selector(function: Predicate | Callable[..., bool]) -> Any:
    """Make a function of a weight a selector under its own name, known to `parse` from then on.

    `@selector` above `def wide(weight): return weight.shape[-1] > 1000` makes `wide` a word to be written
    bare; where the function takes further arguments, as in `def wider(weight, than)`, they are given by a
    call, `wider(1000)`.  Raises `UsageError` for a name that is taken, or no name.
    """
    parameters = [p for p in _signature(function).parameters.values() if p.kind is not p.KEYWORD_ONLY]
    if not parameters:
        raise _refused(function, "a function without arguments", "a function of a weight")
    word = function.__name__
    taken = SELECTORS.get(word)
    if not word.isidentifier() or (taken is not None and not _is_same(taken, function)):
        raise _refused(
            function, f"the name {word!r}", "a name of its own", "Define it by `def`, under another name"
        )
    made: Any = Own(function) if len(_signature(function).parameters) == 1 else Word(function)
    SELECTORS[word] = made
    return made


def _signature(function: Any) -> inspect.Signature:
    if not callable(function) or not hasattr(function, "__name__"):
        raise UsageError(
            repr(function),
            who="selector",
            cannot="make a selector",
            got=type(function).__name__,
            needs="a function of a weight",
        )
    return inspect.signature(function)


def _is_same(taken: Any, function: Any) -> bool:
    """Whether a word stands for an earlier definition of the same function, as when a module is reloaded."""
    known = getattr(taken, "function", None)
    return known is not None and (known.__module__, known.__qualname__) == (
        function.__module__,
        function.__qualname__,
    )


def _is_literal(value: object) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_literal, value))
    return type(value) in _LITERALS


def _refused(function: Any, got: str, needs: str, remedy: str | None = None) -> UsageError:
    shown = getattr(function, "__name__", repr(function))
    return UsageError(
        shown, who="selector", cannot="make a selector of it", got=got, needs=needs, remedy=remedy
    )
