"""What every home of an ML Program has in common once it is surveyed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from milpass.targets.base import Part
from milpass.targets.survey import Survey
from milpass.weight import Weight

if TYPE_CHECKING:
    from milpass.graph import Graph


class Surveyed(ABC):
    """Weights, graph and counts, told from a survey; both homes tell them by this code."""

    _survey: Survey

    @abstractmethod
    def parts(self) -> Mapping[str, Part]:
        """The models in it, by place."""

    def closed(self) -> tuple[Weight, ...]:
        """The models in it that are not looked into."""
        return ()

    def weights(self) -> tuple[Weight, ...]:
        """Every floating-point constant, in program order; reads no values."""
        return self._weights

    def graph(self) -> Graph:
        """The data flow of the program; loads networkx."""
        return self._graph

    def op_counts(self) -> Counter[str]:
        """How often each type of operation occurs, in all functions and blocks."""
        return Counter(op.type for op in self._survey.operations)

    @cached_property
    def _weights(self) -> tuple[Weight, ...]:
        return tuple(self._find_weights())

    @cached_property
    def _graph(self) -> Graph:
        return self._find_graph()

    def _find_graph(self) -> Graph:
        return self._survey.graph(self._weights)

    @abstractmethod
    def _find_weights(self) -> Iterator[Weight]:
        """The weights in program order; those without a place in a file are numbered."""
