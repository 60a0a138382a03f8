"""Where a model lives: what every container offers to the pipeline."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from milpass.records import Record
from milpass.weight import Weight

if TYPE_CHECKING:
    from milpass.graph import Graph


class Edit(Protocol):
    """A model that is being written, or edited in place; what is not replaced stays as it is."""

    @property
    def kept(self) -> Path | None:
        """A folder, there or not, for what is to outlive a run that is ended; None where nothing is."""

    def replace(self, weight: Weight, record: Record) -> None:
        """Store `record` in the weight's place; weights come in the order of their sources."""


# Looks at a source and its copy; what it raises ends the edit
Check: TypeAlias = Callable[["Target", "Target"], None]


class Part(Protocol):
    """What has one format: a model alone, or a member of a pipeline of models."""

    @property
    def format(self) -> str:
        """The name of its format, by which the pipeline finds the dialect."""

    @property
    def releases(self) -> tuple[str, ...]:
        """The formats that its container can have, oldest first."""

    def hindrance(self, format: str) -> str | None:
        """Why it cannot be raised to a format, None where it can."""


class Target(Protocol):
    """One opened model."""

    @property
    def name(self) -> str:
        """How errors name the model."""

    @property
    def format(self) -> str:
        """The name of its format; of a pipeline of models those of its members."""

    def parts(self) -> Mapping[str, Part]:
        """The models in it whose weights it tells, by place (`Weight.member`); "" is that of one alone."""

    def closed(self) -> tuple[Weight, ...]:
        """The models in it that it does not look into: one `Weight` each, `closed`, without elements."""

    def weights(self) -> tuple[Weight, ...]:
        """Every floating-point constant, in program order; reads no values."""

    def graph(self) -> Graph:
        """The data flow of the model, read-only; loads networkx."""

    def op_counts(self) -> Counter[str]:
        """How often each type of operation occurs, in all functions and blocks."""

    def record(self, weight: Weight) -> Record:
        """The operation that stores an already encoded weight."""

    def stored_at(self, weight: Weight) -> tuple[Path, int] | None:
        """The file, an absolute path, and the offset at which the values of a weight lie as they are.

        None where they lie in no file, or compressed.
        """

    def destination(self, out: Path | None) -> Path | None:
        """Where the result goes, None where the model is edited in place.

        `out` is what the user named, if anything; raises `UsageError` where that will not do.
        """

    def result(self, out: Path | None) -> Any:
        """What `apply` gives once the result is at `out`."""

    def editing(
        self,
        out: Path | None,
        *,
        overwrite: bool,
        raise_to: Mapping[str, str],
        check: Check | None = None,
        resume: bool = False,
    ) -> AbstractContextManager[Edit]:
        """Write a copy of the model to `out`, or edit it: whole at the end of the context or not at all.

        `raise_to` gives the places of the parts that are raised, and the formats that they get.
        `check` looks at the source, opened anew, and at a copy that is written, before that takes its place.
        With `resume` what an ended run has kept beside `out` is kept until the copy is there.
        """
