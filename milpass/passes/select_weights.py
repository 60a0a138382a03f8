"""Choosing weights."""

from __future__ import annotations

from typing import Any

from attrs import Attribute, field, frozen

from milpass.entries import never
from milpass.errors import UsageError
from milpass.links import found
from milpass.passes.base import Pass, argument, choosing, described
from milpass.plan import Entry, Fitted, Plan, Selected, Skipped
from milpass.selectors import Selector, is_weight
from milpass.weight import Weight


def _check_threshold(instance: Pass, attribute: Attribute[Any], value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise UsageError(
            argument(attribute, instance),
            who="select_weights",
            cannot="compare element counts",
            got=repr(value),
            needs="an integer of at least 0",
        )


@frozen(repr=False)
class select_weights(Pass):
    """Choose the fp16 and fp32 constants with more than `threshold` elements for which `where` holds.

    Choosing a weight again starts it anew; weights that this pass does not choose keep what they have.  One
    that is compressed already is chosen for fits `inside` or `around` what it has; without them it stays.
    """

    threshold: int = field(
        default=2048,
        validator=_check_threshold,
        metadata=described("Choose weights with more elements than this.", option=int, shown=True),
    )
    where: Selector = field(default=is_weight, **choosing("Choose weights for which this selector holds."))

    def fold(self, plan: Plan) -> Plan:
        """Mark the chosen, and tell the others why they are not."""
        return plan.update(self._entry)

    def _entry(self, weight: Weight, entry: Entry) -> Entry:
        refusal = self._refusal(weight)
        if refusal is None:
            compressed = found(weight)
            return Fitted(compressed) if compressed else Selected(repr(self))
        return refusal if isinstance(entry, Skipped) else entry

    def _refusal(self, weight: Weight) -> Skipped | None:
        """The first reason against it; a small weight is told to be small before anything else."""
        if weight.size <= self.threshold and not weight.encoded:
            return Skipped("size", f"size {weight.size} is not above {self.threshold}")
        refusal = never(weight)
        if refusal and not self._may_nest(weight):
            return refusal
        if self.where.holds(weight):
            return None
        if refusal:
            return refusal
        return Skipped("where", f"not chosen by {self.where!r}{_uses(weight)}")

    def _may_nest(self, weight: Weight) -> bool:
        """Whether it is compressed, in a way that fits may go inside of."""
        return bool(found(weight)) and weight.size > self.threshold


def _uses(weight: Weight) -> str:
    """What the readers use a weight for, for the row of one that was not chosen."""
    uses = sorted({f"{r.role or r.input} of {r.op_type}" for r in weight.readers})
    return f" (used as {', '.join(uses)})" if uses else " (not read)"
