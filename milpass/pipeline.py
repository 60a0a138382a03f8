"""A pipeline: passes in order, planned without touching anything, or carried out on a model."""

from __future__ import annotations

import logging
import os
from collections import ChainMap
from collections.abc import Mapping
from concurrent.futures import Executor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import evolve, field, frozen, has

from milpass.errors import NothingCompressed, UsageError
from milpass.execution import Means, Progress, carry_out
from milpass.folding import after, edited, folded
from milpass.granularity import GRANULARITIES
from milpass.legality import Course, course_of, settle
from milpass.passes import PASSES, Pass
from milpass.plan import Plan
from milpass.recipes import read_recipe, write_recipe
from milpass.scheduling import check_executor, check_threads, default_threads
from milpass.selectors import SELECTORS
from milpass.targets import Target, open_target
from milpass.text import read

if TYPE_CHECKING:
    from milpass.findings.folder import Folder

# Silent unless the program that uses it listens.
logging.getLogger("milpass").addHandler(logging.NullHandler())


def _flattened(steps: tuple[Any, ...]) -> tuple[Pass, ...]:
    """Passes in order, those of nested pipelines among them."""
    flat: list[Pass] = []
    for step in steps:
        if isinstance(step, Pipeline):
            flat += step.passes
        elif isinstance(step, Pass) and has(type(step)):
            flat.append(step)
        else:
            raise _no_pass(step)
    return tuple(flat)


def _no_pass(step: Any) -> UsageError:
    """The error for what is no pass, with the likely reason."""
    shown, got, remedy = repr(step), f"a {type(step).__name__}", None
    if isinstance(step, type) and issubclass(step, Pass):
        shown, got, remedy = step.__name__, "the class", f"Call it: {step.__name__}()"
    elif isinstance(step, Pass):
        shown, got, remedy = type(step).__name__, "a class without fields", "Put @as_pass above it"
    return UsageError(
        shown,
        who="Pipeline",
        cannot="run it",
        got=got,
        needs="passes such as fit_lut(nbits=4)",
        remedy=remedy,
    )


@frozen(init=False, repr=False)
class Pipeline:
    """Passes in order: `Pipeline(a, b)` is `a | b`; pipelines inside are taken apart.

    Its `repr` is its text, and `parse` makes an equal pipeline of it.
    """

    passes: tuple[Pass, ...] = field(converter=_flattened)

    def __init__(self, *passes: Pass | Pipeline) -> None:
        self.__attrs_init__(passes)

    def __or__(self, other: Pass | Pipeline) -> Pipeline:
        return Pipeline(self, other)

    def __repr__(self) -> str:
        if len(self.passes) < 2:
            return f"Pipeline({', '.join(map(repr, self.passes))})"
        return " | ".join(map(repr, self.passes))

    def plan(self, model: Any, *, target: str | None = None, strict: bool = False) -> Plan:
        """What `apply` would do to a model, told without reading a weight or writing anything.

        Raises `ModelError` where the model cannot be read, `UsageError` as `apply` does.
        """
        opened = open_target(model)
        return self._plan(opened, course_of(opened, target), strict=strict)

    def _plan(self, target: Target, course: Course, *, strict: bool) -> Plan:
        changes = edited(self.passes, target)
        plan = after(changes, Plan.of((*target.weights(), *target.closed())))
        for step in self.passes:
            plan = folded(step, plan, strict=strict)
        return settle(plan, course)

    def to_coremltools(self, base: Any = None, *, strict: bool = False) -> Any:
        """A coremltools `PassPipeline` for `ct.convert(pass_pipeline=...)`: the passes of `base`, then these.

        `base` is coremltools' default pipeline where it is left out.  Each pass runs under a name of its own,
        so that one kind may stand there several times.  `last_plan` of the result tells what came of it.
        With `strict` a pattern that matches nothing, or nothing to compress, ends the conversion.
        """
        from milpass.mil import as_pass_pipeline  # the other edge upwards; it loads coremltools

        return as_pass_pipeline(self, base, strict=strict)

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write it to a recipe file, one pass a line.

        Raises `UsageError` where it has no text, where the file exists (without `overwrite`) or cannot be
        written.
        """
        parse(repr(self))
        write_recipe(Path(path), [repr(step) for step in self.passes], overwrite=overwrite)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Pipeline:
        """The pipeline in a recipe file: one pass a line, comments after `#`; raises `UsageError`."""
        return cls(*(parse(line) for line in read_recipe(Path(path))))

    def references(self) -> tuple[str, ...]:
        """The functions that its passes name as `module:name`; carrying it out imports their modules."""
        return tuple(reference for step in self.passes for reference in step.references())


def vocabulary() -> Mapping[str, Any]:
    """The words of a pipeline's text, a user's own among them."""
    return ChainMap({"Pipeline": Pipeline}, PASSES, SELECTORS, GRANULARITIES)


def parse(text: str) -> Pipeline:
    """The pipeline that a text describes, so that `parse(repr(pipeline)) == pipeline`.

    Python call syntax over the words of passes and selectors; nothing is evaluated or imported.
    Raises `UsageError` with the place of what it cannot read.
    """
    value = read(text, vocabulary())
    if isinstance(value, Pass | Pipeline):
        return Pipeline(value)
    raise UsageError(
        repr(text),
        who="parse",
        cannot="make a pipeline of it",
        got=repr(value),
        needs="passes joined by `|`",
    )


def apply(
    pipeline: Pipeline | Pass,
    model: Any,
    out: str | os.PathLike[str] | None = None,
    *,
    target: str | None = None,
    strict: bool = False,
    overwrite: bool = False,
    threads: int | None = None,
    progress: Progress | None = None,
    verify: bool = True,
    cache: str | os.PathLike[str] | None = None,
    resume: bool = False,
    executor: Executor | None = None,
) -> tuple[Any, Plan]:
    """Carry out a pipeline on a package at the path `model`, an `MLModel`, or coremltools' `Program`.

    Of a package it writes a copy to `out` and gives that path; of an `MLModel` it gives another one, in a
    temporary package where `out` is left out.  The input is never written to; `out` appears whole at the end
    or not at all.  A `Program` is edited in place, without `out`, once every weight has been fitted.

    `target` ("iOS16", "iOS17", "iOS18") raises the model to that release.  `strict` makes an error of a
    pattern that matches nothing.  `threads` fit weights at the same time (default: one a processor, at most
    8); the same bytes come out for any number.  `progress` is called in the calling thread with a weight's
    name, its number from 1 and the number of chosen weights, in the order of the file, before it is
    written; what it raises ends the run, and nothing is written.  A copy is read again and compared with the
    source and the plan before it takes its place, unless `verify` is False.

    `cache` is a folder for what fits find, made where there is none; a run that asks for the same fit of the
    same values takes it from there.  With `resume` it is kept beside `out` until that is written, so that
    a run that was ended goes on from there when it is run again with `resume`.  An `executor` of
    `concurrent.futures` searches in place of the threads, which then but make of it what is stored; its
    workers must see the package's files by the same path.  The bytes are the same.

    Raises `ModelError` where the model cannot be read, `UsageError` for wrong arguments, for a destination
    that exists (without `overwrite`) or cannot be written, a cache that cannot be used, and an executor that
    fails, `NothingCompressed` where no weight would change, `VerificationError` where the copy is not what
    was fitted.
    """
    check_threads(threads)
    check_executor(executor)
    means = Means(
        threads=threads or default_threads(),
        overwrite=overwrite,
        progress=progress,
        verified=verify,
        resume=resume,
        executor=executor,
    )
    return _applied(Pipeline(pipeline), open_target(model), out, target, means, cache, strict=strict)


def _applied(
    pipeline: Pipeline,
    opened: Target,
    out: str | os.PathLike[str] | None,
    target: str | None,
    means: Means,
    cache: str | os.PathLike[str] | None,
    *,
    strict: bool,
) -> tuple[Any, Plan]:
    """The result of a pipeline, and its plan."""
    place = opened.destination(None if out is None else Path(out))
    if means.resume and out is None:
        raise _nothing_beside(opened)
    course = course_of(opened, target)
    plan = pipeline._plan(opened, course, strict=strict)
    if not (plan.replaced or plan.is_edited):
        raise NothingCompressed(plan, opened.name)
    # the folder is made when there is something to fit
    done = carry_out(plan, opened, course, place, evolve(means, cache=_cache(cache)))
    return opened.result(place), done


def _cache(place: str | os.PathLike[str] | None) -> Folder | None:
    """The cache in a folder, if one is named."""
    if place is None:
        return None
    from milpass.findings.kept import cache_at

    return cache_at(place)


def _nothing_beside(target: Target) -> UsageError:
    return UsageError(
        f"resume of {target.name}",
        who="apply",
        cannot="keep fits",
        got="no destination to keep them beside",
        needs="the path of a package to write",
        remedy="Or name a cache",
    )
