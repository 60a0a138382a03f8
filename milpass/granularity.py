"""Who shares parameters: how many tables or scales a weight has, and along which axes."""

from __future__ import annotations

from abc import ABC, abstractmethod

from attrs import frozen


class Granularity(ABC):
    """How the elements of a weight are grouped under shared parameters."""

    @abstractmethod
    def parameter_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The number of groups along each axis, for a weight of `shape`: a tuple of its rank."""


@frozen
class PerTensor(Granularity):
    """One table for the whole weight.

    [A, B] -> [1, 1]
    """

    def parameter_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """One group along every axis."""
        return (1,) * len(shape)
