"""What tells the formats of the models in a package."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from milpass.targets.base import Part
from milpass.targets.members import NETWORKS, PROGRAM, Member
from milpass.targets.neuralnetwork.format import NetworkPart
from milpass.targets.opsets import OPSETS, hindrance, program_format
from milpass.targets.survey import Survey


class ProgramPart(NamedTuple):
    """An ML Program of a package, and the survey of all of them."""

    member: Member
    survey: Survey

    @property
    def releases(self) -> tuple[str, ...]:
        """The formats of ML Programs, oldest first."""
        return tuple(OPSETS)

    @property
    def format(self) -> str:
        """The operating system release whose opset the program uses."""
        return program_format(self.member.model.mlProgram)

    def hindrance(self, format: str) -> str | None:
        """The operation types that a later format defines anew, itself or one on the way to it."""
        prefix = self.member.prefix
        types = {op.type for op in self.survey.operations if op.at.function.startswith(prefix)}
        return hindrance(self.member.model.mlProgram, types, format)


# The kinds of models that are looked into -> what tells their format; others are closed.
PARTS: dict[str | None, Callable[[Member, Survey], Part]] = {
    PROGRAM: ProgramPart,
    **dict.fromkeys(NETWORKS, lambda member, survey: NetworkPart()),
}
