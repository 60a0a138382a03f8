"""What a compressed weight is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from math import prod
from typing import Any, ClassVar

from numpy.typing import NDArray

from milpass.paging import let_go, scratch

# Elements from which on a weight is decoded some rows at a time, and how many those have.
MANY = 1 << 24
PART = 1 << 20


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
    def end(self) -> NDArray[Any]:
        """The array in which the chain ends."""

    @property
    @abstractmethod
    def step(self) -> int:
        """Rows along the first axis that belong together: `rows` begins at a multiple of them."""

    @abstractmethod
    def rows(self, start: int, stop: int) -> Encoding:
        """The encoding of the rows from `start` to `stop` along the first axis alone.

        `start` is a multiple of `step`; `stop` is, too, or the number of rows.
        """

    def decoded(self) -> NDArray[Any]:
        """The same as `decode` gives, some rows at a time, so that what is made on the way stays small."""
        size = prod(self.shape)
        if size < MANY:
            return self.decode()
        length, at = self.shape[0], 0
        height = max(PART * length // size // self.step, 1) * self.step
        whole = scratch(size, self.rows(0, self.step).decode().dtype)
        for start in range(0, length, height):
            rows = self.rows(start, min(start + height, length))
            part = rows.decode().reshape(-1)
            whole[at : at + part.size] = part
            let_go(whole, whole[at : at + part.size])
            let_go(self.end, rows.end)
            at += part.size
        found: NDArray[Any] = whole.reshape(self.shape)
        return found


def rows_of(parameters: NDArray[Any], length: int, start: int, stop: int) -> NDArray[Any]:
    """The parameters of some rows of a weight of so many, which share them evenly."""
    height = together(parameters.shape[0], length)
    return parameters if parameters.shape[0] == 1 else parameters[start // height : -(-stop // height)]


def together(count: int, length: int) -> int:
    """How many of so many rows share a parameter and cannot be parted; 1 where all rows share it."""
    return 1 if count <= 1 else length // count
