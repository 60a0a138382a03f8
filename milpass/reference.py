"""The words of the language, described from their own fields and docstrings."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from attrs import NOTHING, Attribute, fields, frozen, has

from milpass.errors import UsageError
from milpass.fitting import mode_of, modes
from milpass.granularity import GRANULARITIES
from milpass.passes import PASSES
from milpass.selectors import SELECTORS

# The encodings whose fits have modes to choose from.
FITTED = ("lut", "affine")


@frozen
class Word:
    """One word: its kind, how it is written, what it means, its fields with their help."""

    name: str
    kind: str
    signature: str
    text: str
    fields: tuple[tuple[str, str], ...] = ()

    @property
    def summary(self) -> str:
        """The first sentence."""
        return " ".join(self.text.partition("\n\n")[0].split())


def words() -> tuple[Word, ...]:
    """All words: passes, modes, selectors, granularities, a user's own among them."""
    return (
        *(_of_class("pass", found) for found in PASSES.values()),
        *(_of_mode(encoding, mode) for encoding in FITTED for mode in modes(encoding)),
        *(_of_selector(name, found) for name, found in SELECTORS.items()),
        *(_of_class("granularity", found) for found in GRANULARITIES.values()),
    )


def find(name: str) -> Word:
    """The word of a name; raises `UsageError` where there is none."""
    known = words()
    for each in known:
        if each.name == name:
            return each
    raise UsageError(
        repr(name),
        who="milpass passes",
        cannot="describe it",
        got="no word of this name",
        needs=f"one of {', '.join(each.name for each in known)}",
    )


def _of_class(kind: str, found: type) -> Word:
    described = tuple(fields(found)) if has(found) else ()
    signature = f"{found.__name__}({', '.join(_parameters(described))})"
    helps = tuple((each.name, str(each.metadata.get("help", ""))) for each in described if each.init)
    return Word(found.__name__, kind, signature, _text(found), helps if kind == "pass" else ())


def _parameters(described: tuple[Attribute[Any], ...]) -> Iterator[str]:
    """The parameters as Python writes them, those by keyword alone after a star."""
    yield from map(_parameter, (each for each in described if not each.kw_only))
    by_keyword = [each for each in described if each.kw_only]
    if by_keyword:
        yield "*"
    yield from map(_parameter, by_keyword)


def _parameter(each: Attribute[Any]) -> str:
    return each.name if each.default is NOTHING else f"{each.name}={each.default!r}"


def _of_selector(name: str, found: Any) -> Word:
    if isinstance(found, type):
        return _of_class("selector", found)
    function = getattr(found, "function", None)
    if function is None:
        return Word(name, "selector", name, _text(type(found)))
    parameters = [str(each) for each in inspect.signature(function).parameters.values()][1:]
    signature = f"{name}({', '.join(parameters)})" if parameters else name
    return Word(name, "selector", signature, inspect.getdoc(function) or "")


def _of_mode(encoding: str, mode: str) -> Word:
    text = inspect.cleandoc(mode_of(encoding, mode).__doc__ or "")
    return Word(mode, f"mode of fit_{encoding}", f"fit_{encoding}(mode={mode!r})", text)


def _text(found: type) -> str:
    return inspect.getdoc(found) or ""
