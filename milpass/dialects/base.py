"""How a format spells an encoding."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Protocol

from milpass.encodings import Encoding
from milpass.records import Record


class Fit(Protocol):
    """What a dialect asks of a fit before it is made."""

    encoding: ClassVar[str]

    @property
    def nbits(self) -> int | None:
        """Bits an index."""


class Dialect(ABC):
    """One format's spelling of every encoding that it can hold; no I/O."""

    @abstractmethod
    def refuse(self, fits: Sequence[Fit]) -> str | None:
        """Why the format cannot hold a chain of fits, None where it can; no weight is read."""

    @abstractmethod
    def nbytes(self, fits: Sequence[Fit], size: int, itemsize: int) -> int:
        """The bytes that a weight of `size` elements of `itemsize` bytes will take."""

    @abstractmethod
    def spell(self, encoding: Encoding) -> Record:
        """The operation that stores an encoding."""

    @abstractmethod
    def read(self, record: Record) -> Encoding:
        """The encoding that an operation stores, the inverse of `spell`; `ValueError` where it is none."""
