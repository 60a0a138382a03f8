"""What a compressed weight is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from numpy.typing import NDArray


class Encoding(ABC):
    """One link of the chain that stores a weight; every chain ends in `Dense`."""

    kind: ClassVar[str]

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """The shape of the decoded weight."""

    @abstractmethod
    def decode(self) -> NDArray[Any]:
        """The weight that a reader of the model sees, computed as the format defines it."""
