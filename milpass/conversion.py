"""Passes inside a conversion: the plan travels on the program, from one pass to the next."""

from __future__ import annotations

import logging
from typing import Any

from attrs import define, field

from milpass.errors import NothingCompressed, UsageError
from milpass.execution import carry_out
from milpass.legality import Course, course_of, settle
from milpass.passes import Pass
from milpass.pipeline import folded
from milpass.plan import Entry, Plan, Replaced
from milpass.scheduling import default_threads
from milpass.targets import Target, open_target
from milpass.weight import Weight

LOGGER = logging.getLogger("milpass")

# The attribute of a `Program` on which the conversion stands; coremltools keeps it to the end.
ATTRIBUTE = "_milpass_conversion"


@define(eq=False)
class Journal:
    """The plan of the last conversion with one `PassPipeline`."""

    plan: Plan | None = None


# Names of first steps in `PassPipeline`s made by `to_coremltools` -> their journals.
JOURNALS: dict[str, Journal] = {}


@define(eq=False)
class Conversion:
    """What the passes of one conversion know of it: the plan between passes, and as it is told.

    `ran` are the passes that ran under a name that can stand only once in a `PassPipeline`.
    """

    plan: Plan = field(factory=lambda: Plan(()))
    journal: Journal = field(factory=Journal)
    strict: bool = False
    ran: set[str] = field(factory=set)

    def run(self, step: Pass, program: Any) -> None:
        """Fold the plan, and carry out what has become ready to be stored."""
        target = open_target(program)
        self.plan = folded(step, self.plan.renewed(target.weights()), strict=self.strict)
        course = course_of(target, None)
        if self.plan.pending:
            self._carry_out(target, course)
        self.journal.plan = settle(self.plan, course)

    def _carry_out(self, target: Target, course: Course) -> None:
        if course.refusal:
            raise UsageError(
                target.name,
                who="milpass",
                cannot="store compressed weights in it",
                got=course.source,
                needs=f"{course.format} or later",
                remedy=course.refusal,
            )
        try:
            done = carry_out(
                settle(self.plan, course),
                target,
                course,
                None,
                overwrite=False,
                threads=default_threads(),
                progress=None,
            )
        except NothingCompressed as nothing:
            if self.strict:
                raise
            LOGGER.warning("%s", nothing)
            done = nothing.plan
        self._keep(done)

    def _keep(self, done: Plan) -> None:
        """Take over what came of the weights that were to be stored; others wait for later passes."""
        results = {row.weight.key: row.entry for row in done.rows}

        def entry(weight: Weight, found: Entry) -> Entry:
            return results[weight.key] if isinstance(found, Replaced) else found

        self.plan = self.plan.update(entry)


def begin(program: Any, journal: Journal, *, strict: bool) -> Conversion:
    """Start anew, whatever an earlier conversion of the same source has left."""
    conversion = Conversion(journal=journal, strict=strict)
    setattr(program, ATTRIBUTE, conversion)
    return conversion


def conversion_of(program: Any) -> Conversion:
    """The conversion that a program is in; one begins where there is none."""
    found = getattr(program, ATTRIBUTE, None)
    return found if isinstance(found, Conversion) else begin(program, Journal(), strict=False)


def last_plan(of: Any) -> Plan:
    """The plan of the last conversion, from a `PassPipeline`, a `Program` or an `MLModel`.

    A `PassPipeline` must be one that `Pipeline.to_coremltools` has made.  Raises `UsageError` where no pass
    of milpass has run.
    """
    plan = _journal(of).plan
    if plan is None:
        raise _no_plan(of, "none of whose conversions has run milpass' passes")
    return plan


def _journal(of: Any) -> Journal:
    for name in getattr(of, "passes", ()):
        if name in JOURNALS:
            return JOURNALS[name]
    program = getattr(of, "_mil_program", of)
    found = getattr(program, ATTRIBUTE, None)
    if not isinstance(found, Conversion):
        raise _no_plan(of, "on which milpass' passes have left no plan")
    return found.journal


def _no_plan(of: Any, why: str) -> UsageError:
    return UsageError(
        "last_plan",
        who="milpass",
        cannot="tell the plan",
        got=f"a {type(of).__name__} {why}",
        needs="a PassPipeline of Pipeline.to_coremltools, a Program or an MLModel after a conversion",
    )
