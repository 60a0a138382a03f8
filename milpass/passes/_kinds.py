"""The two kinds of passes that come after a selection: those that fit and those that store."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar, NamedTuple

from attrs import Attribute

from milpass.errors import UsageError
from milpass.granularity import Granularity
from milpass.links import are_found
from milpass.passes.base import Pass, argument
from milpass.plan import Entry, Fitted, Plan, Replaced, Selected
from milpass.weight import Weight


class Changes(NamedTuple):
    """What became of a model: a sentence if anything changed, and one for each thing that had to stay."""

    done: tuple[str, ...] = ()
    left: tuple[str, ...] = ()


class FittingPass(Pass):
    """Says of weights how they are to be encoded.

    Without `inside` it acts on selected weights; with it, on those whose chain of fits ends in that encoding;
    with `around`, on those whose chain begins with that one, in front of which it puts itself.
    """

    encoding: ClassVar[str]

    def fold(self, plan: Plan) -> Plan:
        """Say of each weight it acts on how it is to be fitted."""
        return plan.update(self._entry)

    def _entry(self, weight: Weight, entry: Entry) -> Entry:
        inside, around = getattr(self, "inside", None), getattr(self, "around", None)
        if around is not None:
            begins = isinstance(entry, Fitted) and entry.fits[0].encoding == around
            return Fitted((self, *entry.fits)) if begins else entry  # type: ignore[union-attr,arg-type]
        if inside is None:
            return Fitted((self,)) if isinstance(entry, Selected) else entry  # type: ignore[arg-type]
        if isinstance(entry, Fitted) and entry.fits[-1].encoding == inside:
            return Fitted((*entry.fits, self))  # type: ignore[arg-type]
        return entry


class StoringPass(Pass):
    """Marks the weights whose outermost fit is of its encoding to be stored so."""

    replaces: ClassVar[bool] = True
    encoding: ClassVar[str]

    def fold(self, plan: Plan) -> Plan:
        """Mark the weights that are to be stored."""
        return plan.update(self._entry)

    def _entry(self, weight: Weight, entry: Entry) -> Entry:
        if isinstance(entry, Fitted) and not are_found(entry.fits):
            return Replaced(entry.fits) if entry.fits[0].encoding == self.encoding else entry
        return entry


class EditingPass(Pass):
    """Changes the model itself, before any weight is chosen; so it stands before all others."""

    def fold(self, plan: Plan) -> Plan:
        """The plan as it is: what it chooses from has been edited already."""
        return plan

    @abstractmethod
    def edit(self, target: Any) -> Changes:
        """Edit an opened model in memory; raises `UsageError` for one that it cannot edit."""


def refused(instance: Pass, attribute: Attribute[Any], value: object, needs: str) -> UsageError:
    """The error for a value that a field of a fit cannot have."""
    return UsageError(
        argument(attribute, instance),
        who=type(instance).__name__,
        cannot="fit weights with it",
        got=repr(value),
        needs=needs,
    )


def check_granularity(instance: Pass, attribute: Attribute[Any], value: object) -> None:
    """Refuse what groups nothing."""
    if not isinstance(value, Granularity):
        raise refused(instance, attribute, value, "a granularity such as PerTensor() or PerChannel(axis=0)")


def one_of(*words: object) -> Any:
    """A validator of a field that has but a few values."""

    def check(instance: Pass, attribute: Attribute[Any], value: object) -> None:
        if not any(type(value) is type(word) and value == word for word in words):
            raise refused(instance, attribute, value, " or ".join(map(repr, words)))

    return check
