"""Folding a plan by a pass; what a pass of a user gives is checked before anything relies on it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from traceback import extract_tb
from typing import Any

from attrs import evolve

from milpass.entries import is_entry
from milpass.errors import MilpassError, UsageError
from milpass.passes import Pass
from milpass.passes._kinds import Changes, EditingPass
from milpass.plan import Plan

LOGGER = logging.getLogger("milpass")


def folded(step: Pass, plan: Plan, *, strict: bool) -> Plan:
    """The plan after a pass, with a note for each of its patterns that matches nothing.

    Raises `UsageError` for those in strict mode, and where a user's own pass fails.
    """
    for miss in step.misses(plan):
        plan = _missed(step, miss, plan, strict=strict)
    if type(step).__module__.startswith("milpass."):
        return step.fold(plan)
    try:
        after = step.fold(plan)
    except MilpassError:
        raise
    except Exception as error:
        raise _no_plan(step, f"{type(error).__name__}: {error}{_place(error)}") from error
    if not isinstance(after, Plan):
        raise _no_plan(step, f"a {type(after).__name__}")
    _check_rows(step, plan, after)
    return after


def edited(steps: Sequence[Pass], target: Any) -> tuple[Changes, ...]:
    """Let the passes that edit a model edit it; raises `UsageError` for one that comes after others."""
    editing = [step for step in steps if isinstance(step, EditingPass)]
    for step, first in zip(editing, steps, strict=False):
        if step is not first:
            raise UsageError(
                type(step).__name__,
                who="Pipeline",
                cannot="edit the model by it",
                got=f"{type(first).__name__} before it",
                needs="the first place: weights are chosen in the edited model",
            )
    return tuple(step.edit(target) for step in editing)


def after(changes: Sequence[Changes], plan: Plan) -> Plan:
    """The plan of a model that has been edited."""
    for each in changes:
        plan = evolve(plan, is_edited=plan.is_edited or bool(each.done))
        for sentence in (*each.done, *each.left):
            plan = plan.note(sentence)
    return plan


def _check_rows(step: Pass, before: Plan, after: Plan) -> None:
    """Refuse a plan with other weights than before, or with entries that are none."""
    if [row.weight.key for row in after.rows] != [row.weight.key for row in before.rows]:
        got = f"{len(after.rows)} rows, not those of the {len(before.rows)} weights"
        raise _no_plan(step, got, "the same rows with other entries, as plan.update makes them")
    for row in after.rows:
        if not is_entry(row.entry):
            got = f"{row.entry!r} for {row.weight.label}"
            raise _no_plan(
                step, got, "Selected, Skipped, or Fitted and Replaced by fits such as fit_lut(nbits=4)"
            )


def _no_plan(step: Pass, got: str, needs: str = "the next plan") -> UsageError:
    return UsageError(type(step).__name__, who="Pipeline", cannot="fold the plan by it", got=got, needs=needs)


def _place(error: Exception) -> str:
    """Where an exception was raised, as the end of a sentence."""
    frames = extract_tb(error.__traceback__)
    return f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""


def _missed(step: Pass, miss: str, plan: Plan, *, strict: bool) -> Plan:
    """A pattern that matches nothing: an error where that is asked for, else a note."""
    if strict:
        raise UsageError(
            type(step).__name__,
            who="strict mode",
            cannot="go on",
            got=miss,
            needs="patterns that each match something",
        )
    LOGGER.warning("%s: %s", type(step).__name__, miss)
    return plan.note(f"{type(step).__name__}: {miss}")
