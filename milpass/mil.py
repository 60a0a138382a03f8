"""milpass' passes as graph passes of coremltools; importing this registers them by name.

`Pipeline.to_coremltools()` makes a `PassPipeline` for `ct.convert`.  By plain name, `milpass::select_weights`
and so on stand in a `PassPipeline` with options set by `set_options`; coremltools keeps options by name, so
each may stand once there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from itertools import count
from typing import Any
from warnings import warn

from attrs import NOTHING, Attribute, fields
from coremltools import PassPipeline
from coremltools.converters.mil.mil.passes.graph_pass import AbstractGraphPass
from coremltools.converters.mil.mil.passes.pass_registry import PASS_REGISTRY

from milpass.conversion import JOURNALS, Journal, begin, conversion_of
from milpass.errors import MilpassWarning, UsageError
from milpass.passes import LISTENERS, PASSES, Pass
from milpass.pipeline import Pipeline, vocabulary
from milpass.text import read

NAMESPACE = "milpass"

_SERIALS = count(1)

_TWICE = (
    "runs again before anything was stored, so a new plan begins: by plain name a pass can stand once in a "
    "PassPipeline; use Pipeline.to_coremltools"
)


class _GraphPass(AbstractGraphPass):  # type: ignore[misc]
    """What coremltools fetches: it makes a fresh instance each time, so nothing is kept on it."""

    def __init__(self) -> None:
        self.given: dict[str, Any] = {}

    def set_options(self, pass_options: Iterable[Any] | None = None) -> None:
        """Take whatever is given; `apply` checks it against the fields of the pass."""
        self.given = {option.option_name: option.option_val for option in pass_options or ()}


def _register(name: str, run: Callable[[Any, dict[str, Any]], None]) -> str:
    """Register what is done to a program, with options, under a name; gives the name with its namespace."""

    def apply(self: _GraphPass, program: Any) -> None:
        run(program, self.given)

    PASS_REGISTRY.add(NAMESPACE, type(name, (_GraphPass,), {"apply": apply}), True, name)
    return f"{NAMESPACE}::{name}"


def as_pass_pipeline(pipeline: Pipeline, base: Any | None, *, strict: bool) -> Any:
    """The passes of `base` (default: coremltools' own), then those of milpass, each under its own name."""
    base = PassPipeline.DEFAULT if base is None else base
    if not isinstance(base, PassPipeline):
        needs = "a coremltools PassPipeline, such as ct.PassPipeline.DEFAULT"
        raise UsageError(
            repr(base), who="to_coremltools", cannot="begin with it", got="no pipeline", needs=needs
        )
    made = PassPipeline(list(base.passes), base.pipeline_name)
    made.set_options_by_another_pipeline(base)
    serial = next(_SERIALS)
    journal = Journal()
    first = _register(f"begin#{serial}", lambda program, _: _begun(program, journal, strict=strict))
    JOURNALS[first] = journal
    made.append_pass(first)
    for number, step in enumerate(pipeline.passes, 1):
        made.append_pass(_registered_step(step, f"{type(step).__name__}#{serial}.{number}"))
    made.append_pass(_register(f"end#{serial}", lambda program, _: conversion_of(program).finish(program)))
    return made


def _no_base(base: object) -> UsageError:
    needs = "a coremltools PassPipeline, such as ct.PassPipeline.DEFAULT"
    got = f"a {type(base).__name__}"
    return UsageError(repr(base), who="to_coremltools", cannot="begin with it", got=got, needs=needs)


def _begun(program: Any, journal: Journal, *, strict: bool) -> None:
    begin(program, journal, strict=strict)


def _registered_step(step: Pass, name: str) -> str:
    return _register(name, lambda program, _: conversion_of(program).wait(step))


def _run_by_name(kind: type[Pass], program: Any, given: dict[str, Any]) -> None:
    """Run a pass that stands under its plain name; once in a conversion, so twice means another one."""
    conversion = conversion_of(program)
    name = kind.__name__
    if name in conversion.ran and not conversion.is_finished:
        warn(f"milpass::{name} {_TWICE}", MilpassWarning, stacklevel=2)
    if name in conversion.ran or conversion.is_finished:
        conversion = begin(program, Journal(), strict=False)
    conversion.ran.add(name)
    step = _made(kind, given)
    conversion.run(step, program)
    if step.replaces:
        conversion.finish(program)


def _made(kind: type[Pass], given: dict[str, Any]) -> Pass:
    """The pass with options as its fields; texts are read as a pipeline's text is."""
    known = {each.name: each for each in fields(kind)}
    for name in given:
        if name not in known:
            needs = f"one of {', '.join(known)}" if known else "no options"
            raise _refused(kind, f"the option {name!r}", needs)
    missing = [name for name, each in known.items() if each.default is NOTHING and name not in given]
    if missing:
        remedy = f"pipeline.set_options('{NAMESPACE}::{kind.__name__}', {{'{missing[0]}': ...}})"
        raise _refused(kind, f"no option {missing[0]!r}", "it, since it has no default", remedy)
    return kind(**{name: _converted(kind, known[name], value) for name, value in given.items()})


def _converted(kind: type[Pass], described: Attribute[Any], value: Any) -> Any:
    """A text as a value of the field's type: itself where that is a text."""
    if not isinstance(value, str) or re.search(r"\bstr\b", str(described.type)):
        return value
    try:
        return read(value, vocabulary())
    except UsageError as error:
        needs = "a value as a pipeline's text has it"
        raise _refused(kind, f"{described.name}={value!r} ({error})", needs) from None


def _refused(kind: type[Pass], got: str, needs: str, remedy: str | None = None) -> UsageError:
    return UsageError(
        f"{NAMESPACE}::{kind.__name__}",
        who="milpass",
        cannot="set its options",
        got=got,
        needs=needs,
        remedy=remedy,
    )


def register(kind: type[Pass]) -> str:
    """Register a pass under its plain name: those that are known at import, and each later one."""
    return _register(kind.__name__, lambda program, given: _run_by_name(kind, program, given))


for _kind in PASSES.values():
    register(_kind)
LISTENERS.append(register)
