"""Choosing weights."""

from __future__ import annotations

from typing import Any

from attrs import Attribute, field, frozen

from milpass.errors import UsageError
from milpass.passes.base import Pass, argument, shown
from milpass.plan import Entry, Plan, Selected, Skipped
from milpass.selectors import Selector, is_weight
from milpass.weight import Weight

COMPRESSIBLE = ("fp16", "fp32")


def _check_threshold(instance: Pass, attribute: Attribute[Any], value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise UsageError(
            argument(attribute, instance),
            who="select_weights",
            cannot="compare element counts",
            got=repr(value),
            needs="an integer of at least 0",
        )


def _check_where(instance: Pass, attribute: Attribute[Any], value: object) -> None:
    if not isinstance(value, Selector):
        raise UsageError(
            argument(attribute, instance),
            who="select_weights",
            cannot="choose weights",
            got=repr(value),
            needs="a selector such as is_weight, anything or op_type('linear')",
        )


@frozen(repr=False)
class select_weights(Pass):
    """Choose the fp16 and fp32 constants with more than `threshold` elements for which `where` holds.

    Choosing a weight again starts it anew; weights that this pass does not choose keep what they have.
    """

    threshold: int = field(default=2048, validator=_check_threshold, metadata=shown())
    where: Selector = field(default=is_weight, validator=_check_where)

    def fold(self, plan: Plan) -> Plan:
        """Mark the chosen, and tell the others why they are not."""
        return plan.update(self._entry)

    def _entry(self, weight: Weight, entry: Entry) -> Entry:
        refusal = self._refusal(weight)
        if refusal is None:
            return Selected(repr(self))
        return refusal if isinstance(entry, Skipped) else entry

    def _refusal(self, weight: Weight) -> Skipped | None:
        if weight.encoded:
            return Skipped("encoded", f"already compressed ({weight.encoded})")
        if weight.size <= self.threshold:
            return Skipped("size", f"size {weight.size} is not above {self.threshold}")
        if weight.rank < 2:
            return Skipped("rank", f"rank {weight.rank}: Core ML may fail on compressed vectors")
        if weight.dtype not in COMPRESSIBLE:
            return Skipped("dtype", f"{weight.dtype}: only fp16 and fp32 are compressed")
        if weight.barred:
            return Skipped("barred", weight.barred)
        if not self.where.holds(weight):
            return Skipped("where", f"not chosen by {self.where!r}{_uses(weight)}")
        return None


def _uses(weight: Weight) -> str:
    """What the readers use a weight for, for the row of one that was not chosen."""
    uses = sorted({f"{r.role or r.input} of {r.op_type}" for r in weight.readers})
    return f" (used as {', '.join(uses)})" if uses else " (not read)"
