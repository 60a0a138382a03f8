"""A pipeline: passes in order, planned without touching anything, or carried out on a model."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

from attrs import field, frozen

from milpass.errors import NothingCompressed, UsageError
from milpass.execution import carry_out
from milpass.granularity import PerTensor
from milpass.legality import settle
from milpass.passes import PASSES, Pass
from milpass.plan import Plan
from milpass.selectors import SELECTORS
from milpass.targets import Target, open_target
from milpass.text import read

Model: TypeAlias = "str | os.PathLike[str]"
Progress: TypeAlias = Callable[[str, int, int], None]


def _flattened(steps: tuple[Any, ...]) -> tuple[Pass, ...]:
    """Passes in order, those of nested pipelines among them."""
    flat: list[Pass] = []
    for step in steps:
        if isinstance(step, Pipeline):
            flat += step.passes
        elif isinstance(step, Pass):
            flat.append(step)
        else:
            raise UsageError(
                repr(step),
                who="Pipeline",
                cannot="run it",
                got=type(step).__name__,
                needs="passes such as fit_lut(nbits=4)",
            )
    return tuple(flat)


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

    def plan(self, model: Model) -> Plan:
        """What `apply` would do to a model, told without reading a weight or writing anything.

        Raises `ModelError` where the model cannot be read.
        """
        return self._plan(open_target(model))

    def _plan(self, target: Target) -> Plan:
        plan = Plan.of(target.weights())
        for step in self.passes:
            plan = step.fold(plan)
        return settle(plan, target)


VOCABULARY: dict[str, Any] = {
    **PASSES,
    **SELECTORS,
    "Pipeline": Pipeline,
    "PerTensor": PerTensor,
}


def parse(text: str) -> Pipeline:
    """The pipeline that a text describes, so that `parse(repr(pipeline)) == pipeline`.

    Python call syntax over the words of passes and selectors; nothing is evaluated or imported.
    Raises `UsageError` with the place of what it cannot read.
    """
    value = read(text, VOCABULARY)
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
    model: Model,
    out: Model,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> tuple[Path, Plan]:
    """Carry out a pipeline on a package at `model` and write the result to `out`.

    The input is never written to; `out` appears whole at the end, or not at all.  `progress` is called
    with a weight's name, its number from 1 and the number of chosen weights, before each is fitted.
    Raises `ModelError` where the model cannot be read, `UsageError` for a destination that exists (without
    `overwrite`) or cannot be written, `NothingCompressed` where no weight would change.
    """
    target = open_target(model)
    plan = Pipeline(pipeline)._plan(target)
    if not plan.replaced:
        raise NothingCompressed(plan, target.name)
    done = carry_out(plan, target, Path(out), overwrite=overwrite, progress=progress)
    return Path(out), done
