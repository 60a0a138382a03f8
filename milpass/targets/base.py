"""Where a model lives: what every container offers to the pipeline."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from milpass.records import Record
from milpass.weight import Weight


class Edit(Protocol):
    """A copy of the model that is being written; what is not replaced is copied."""

    def replace(self, weight: Weight, record: Record) -> None:
        """Store `record` in the weight's place; weights come in the order of their sources."""


class Target(Protocol):
    """One opened model."""

    @property
    def name(self) -> str:
        """How errors name the model."""

    @property
    def format(self) -> str:
        """The name of its format, by which the pipeline finds the dialect."""

    @property
    def releases(self) -> tuple[str, ...]:
        """The formats that its container can have, oldest first."""

    def weights(self) -> tuple[Weight, ...]:
        """Every floating-point constant, in program order; reads no values."""

    def record(self, weight: Weight) -> Record:
        """The operation that stores an already encoded weight."""

    def obstacles(self, format: str) -> tuple[str, ...]:
        """The operation types that would change their meaning if the model were raised to a format."""

    def without_destination(self) -> Path:
        """Where the copy goes that nobody named a place for; raises `UsageError` where it must be named."""

    def result(self, out: Path) -> Any:
        """What `apply` gives for the copy that was written to `out`."""

    def editing(self, out: Path, *, overwrite: bool, raise_to: str | None) -> AbstractContextManager[Edit]:
        """Write a copy of the model to `out`, whole at the end of the context or not at all."""
