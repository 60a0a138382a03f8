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

    @property
    @abstractmethod
    def step(self) -> int:
        """Rows along the first axis that belong together: `rows` begins at a multiple of them."""

    @abstractmethod
    def rows(self, start: int, stop: int) -> Encoding:
        """The encoding of the rows from `start` to `stop` along the first axis alone.

        `start` is a multiple of `step`; `stop` is, too, or the number of rows.
        """


def rows_of(parameters: NDArray[Any], length: int, start: int, stop: int) -> NDArray[Any]:
    """The parameters of some rows of a weight of so many, which share them evenly."""
    together = length // max(parameters.shape[0], 1)
    return parameters if parameters.shape[0] == 1 else parameters[start // together : -(-stop // together)]


def together(count: int, length: int) -> int:
    """How many of so many rows share a parameter and cannot be parted; 1 where all rows share it."""
    return 1 if count <= 1 else length // count
