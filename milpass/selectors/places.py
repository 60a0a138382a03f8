"""Selectors that go by where the readers of a weight stand in the model's data flow."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from attrs import Attribute, field, frozen

from milpass.roles import TABLE
from milpass.selectors.language import Selector, refused
from milpass.selectors.patterns import Glob
from milpass.selectors.sizes import Range, is_count
from milpass.weight import Key, Weight

if TYPE_CHECKING:
    from milpass.graph import Graph

ROLES = (*dict.fromkeys(TABLE.values()), "attention")


def _check_hops(instance: Selector, attribute: Attribute[Any], value: object) -> None:
    if not is_count(value):
        raise refused(instance, attribute, value, "an integer of at least 0")


def _check_number(instance: Selector, attribute: Attribute[Any], value: object) -> None:
    if not is_count(value) or value == 0:
        raise refused(instance, attribute, value, "an integer of at least 1")


def _check_role(instance: Selector, attribute: Attribute[Any], value: object) -> None:
    if value not in ROLES:
        raise refused(instance, attribute, value, f"one of {', '.join(map(repr, ROLES))}")


def _readers(weight: Weight) -> set[Key]:
    """Where the operations stand that read a weight."""
    return {reader.at for reader in weight.readers if reader.at is not None}


class _Place(Glob):
    """A selector that looks for operations of a type (a glob) in the whole model."""

    def texts(self, weight: Weight) -> set[str]:
        return set(weight.graph.op_types)


@frozen(repr=False)
class near(_Place):
    """Constants with a reader within so many hops of an operation of this type (a glob).

    A hop is an edge of the data flow, followed either way; the reader itself is at 0 hops.
    """

    hops: int = field(validator=_check_hops)

    def holds(self, weight: Weight) -> bool:
        distances = weight.graph.hops_to(self.pattern)
        return any(distances.get(at, self.hops + 1) <= self.hops for at in _readers(weight))

    def __repr__(self) -> str:
        return f"near({self.pattern!r}, {self.hops})"


@frozen(repr=False)
class _Ranked(_Place):
    n: int = field(default=1, validator=_check_number)

    def holds(self, weight: Weight) -> bool:
        return not _readers(weight).isdisjoint(weight.graph.bearing(self.pattern, self._places()))

    @abstractmethod
    def _places(self) -> slice:
        """Which are meant among all of a function."""

    def __repr__(self) -> str:
        shown = f", n={self.n}" if self.n != 1 else ""
        return f"{type(self).__name__}({self.pattern!r}{shown})"


class first(_Ranked):
    """Constants read by the first `n` weight-bearing operations of a type (a glob), in program order.

    Counted in each function.
    """

    def _places(self) -> slice:
        return slice(None, self.n)


class last(_Ranked):
    """Constants read by the last `n` weight-bearing operations of a type (a glob), in program order.

    Counted in each function.
    """

    def _places(self) -> slice:
        return slice(-self.n, None)


class _Depth(Range):
    def holds(self, weight: Weight) -> bool:
        depths = self._depths(weight.graph)
        return any(at in depths and self._spans(depths[at]) for at in _readers(weight))

    @abstractmethod
    def _depths(self, graph: Graph) -> Mapping[Key, int]:
        """The depth of each operation that a way leads to."""


class depth_from_input(_Depth):
    """Constants with a reader so deep in the model: `min` to `max` weight-bearing operations before it.

    Counted on the way from an input of the function that has the fewest.
    """

    def _depths(self, graph: Graph) -> Mapping[Key, int]:
        return graph.depths_from_input


class depth_from_output(_Depth):
    """Constants with a reader so far from the end: `min` to `max` weight-bearing operations after it.

    Counted on the way to an output of the function that has the fewest.
    """

    def _depths(self, graph: Graph) -> Mapping[Key, int]:
        return graph.depths_from_output


@frozen(repr=False)
class role(Selector):
    """Constants used as "weight", "embedding", "bias", "norm", "slope", "mask", or next to an "attention".

    Next to an attention stand its query, key, value and output projections; told from the data flow around
    `scaled_dot_product_attention` and softmax.
    """

    use: str = field(validator=_check_role)

    def holds(self, weight: Weight) -> bool:
        if self.use == "attention":
            return not _readers(weight).isdisjoint(weight.graph.attention)
        return any(reader.role == self.use for reader in weight.readers)

    def __repr__(self) -> str:
        return f"role({self.use!r})"


@frozen(repr=False)
class shared_by(Selector):
    """Constants that at least `n` operations read."""

    n: int = field(validator=_check_number)

    def holds(self, weight: Weight) -> bool:
        return len({(reader.at, reader.op_type, reader.op_name) for reader in weight.readers}) >= self.n

    def __repr__(self) -> str:
        return f"shared_by({self.n})"
