"""What every pass is: a frozen value that folds a plan into the next."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from attrs import Attribute, AttrsInstance, fields

from milpass.plan import Plan

if TYPE_CHECKING:
    from milpass.pipeline import Pipeline


class Pass(AttrsInstance, ABC):
    """A pass: its fields are constructor, text and options at once; it reads no weight and edits no model."""

    @abstractmethod
    def fold(self, plan: Plan) -> Plan:
        """The plan after this pass; pure."""

    def __or__(self, other: Pass | Pipeline) -> Pipeline:
        from milpass.pipeline import Pipeline  # the one edge upwards: a pass alone is a pipeline of one

        return Pipeline(self, other)

    def __repr__(self) -> str:
        shown = [
            f"{field.name}={getattr(self, field.name)!r}"
            for field in fields(type(self))
            if field.metadata.get("shown") or getattr(self, field.name) != field.default
        ]
        return f"{type(self).__name__}({', '.join(shown)})"


def described(help: str, *, option: type, shown: bool = True) -> dict[str, Any]:
    """The metadata of a field: its help, its type as a command option, whether texts always state it."""
    return {"help": help, "option": option, "shown": shown}


def argument(attribute: Attribute[Any], instance: Pass) -> str:
    """How an error names a field of a pass."""
    return f"{attribute.name} of {type(instance).__name__}"
