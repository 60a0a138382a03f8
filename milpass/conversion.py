"""Passes inside a conversion: the plan travels on the program, from one pass to the next."""

from __future__ import annotations

from typing import Any
from warnings import warn

from attrs import define, field

from milpass.errors import MilpassWarning, NothingCompressed, UsageError
from milpass.execution import Means, carry_out
from milpass.folding import edited, folded
from milpass.legality import Course, course_of, settle
from milpass.passes import Pass
from milpass.plan import Plan
from milpass.scheduling import default_threads
from milpass.targets import Target, open_target

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
    """What the passes of one conversion know of it: the plan between passes.

    `ran` are the passes that ran under a name that can stand only once in a `PassPipeline`; `waiting` are
    those of `to_coremltools`, run together at its end.
    """

    plan: Plan = field(factory=lambda: Plan(()))
    journal: Journal = field(factory=Journal)
    strict: bool = False
    ran: set[str] = field(factory=set)
    waiting: list[Pass] = field(factory=list)
    is_finished: bool = False

    def wait(self, step: Pass) -> None:
        """Let a pass be run when the conversion is finished, so that the program is looked at once."""
        self.waiting.append(step)

    def run(self, step: Pass, program: Any) -> None:
        """Fold the plan of the program as it stands now; what was carried out before stays as it is."""
        target = open_target(program)
        self.plan = self.plan.renewed(target.weights())
        self._fold(step, target)
        self._tell(course_of(target, None))

    def _fold(self, step: Pass, target: Target) -> None:
        before = self.plan
        edited([step], target)  # a program refuses to be
        self.plan = before.after(folded(step, before, strict=self.strict))
        for note in self.plan.notes[len(before.notes) :]:
            warn(note, MilpassWarning, stacklevel=2)

    def finish(self, program: Any) -> None:
        """Run what waits, and store what is ready; a warning, in strict mode an error, where nothing is."""
        target = open_target(program)
        course = course_of(target, None)
        self.plan = self.plan.renewed(target.weights())
        for step in self.waiting:
            self._fold(step, target)
        self._tell(course)
        if self.plan.pending:
            self.plan = self.plan.carried_out(_carried_out(settle(self.plan, course), target, course))
        self.is_finished = True
        self.plan = self.plan.detached()
        plan = self._tell(course)
        if not plan.replaced:
            self._tell_of_nothing(NothingCompressed(plan, target.name))

    def _tell(self, course: Course) -> Plan:
        """Write down the plan as it would be told now."""
        self.journal.plan = settle(self.plan, course).detached()
        return self.journal.plan

    def _tell_of_nothing(self, nothing: NothingCompressed) -> None:
        if self.strict:
            raise nothing
        warn(str(nothing), MilpassWarning, stacklevel=2)


def _carried_out(plan: Plan, target: Target, course: Course) -> Plan:
    """The plan with its results; raises `UsageError` where the program's release can hold nothing."""
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
        return carry_out(plan, target, course, None, Means(threads=default_threads()))
    except NothingCompressed as nothing:  # told when the conversion is finished
        return nothing.plan


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
    if hasattr(of, "passes"):
        raise _no_plan(
            of, "that Pipeline.to_coremltools has not made", "Ask the MLModel that ct.convert gave"
        )
    program = getattr(of, "_mil_program", of)
    found = getattr(program, ATTRIBUTE, None)
    if not isinstance(found, Conversion):
        why = "on which milpass' passes have left no plan"
        raise _no_plan(of, why, "A plan is not saved with a model")
    return found.journal


def _no_plan(of: Any, why: str, remedy: str | None = None) -> UsageError:
    return UsageError(
        "last_plan",
        who="milpass",
        cannot="tell the plan",
        got=f"a {type(of).__name__} {why}",
        needs="a PassPipeline of Pipeline.to_coremltools, a Program or an MLModel after a conversion",
        remedy=remedy,
    )
