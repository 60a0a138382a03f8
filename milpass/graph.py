"""The data flow of a model, read-only: which operation feeds which, and how far they are from each other.

Constants are no nodes.  Edges lead from an operation to those that read a result of it, into the blocks of
an operation that hands values to them, and from what a block yields to the operation that has the block; so
a loop is a cycle.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any, TypeAlias

import networkx as nx
from attrs import frozen

from milpass.weight import Key

Distances: TypeAlias = Mapping[Key, int]

ATTENTION = "scaled_dot_product_attention"
PRODUCTS = frozenset({"matmul", "einsum"})


@frozen
class Node:
    """One operation: where it stands (the key of its first result), its type and name.

    `bears_weight` says that it uses some constant as its weight.
    """

    at: Key
    op_type: str
    op_name: str
    reads_input: bool = False
    gives_output: bool = False
    bears_weight: bool = False


class Graph:
    """Operations in program order and the edges between them."""

    def __init__(self, nodes: Iterable[Node], edges: Iterable[tuple[Key, Key]]) -> None:
        self._flow = nx.DiGraph()
        self._nodes = {node.at: node for node in nodes}
        self._flow.add_nodes_from(self._nodes)
        self._flow.add_edges_from(edges)
        nx.freeze(self._flow)
        self._near: dict[str, Distances] = {}
        self._bearing: dict[tuple[str, int | None, int | None], frozenset[Key]] = {}

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The operations, in program order."""
        return tuple(self._nodes.values())

    def joined(self, other: Graph) -> Graph:
        """The operations of both; none of one feeds one of the other."""
        return Graph((*self.nodes, *other.nodes), (*self._flow.edges, *other._flow.edges))

    @property
    def networkx(self) -> nx.DiGraph:
        """The graph for networkx' own algorithms, with `Key`s as nodes; it cannot be changed."""
        return self._flow

    @cached_property
    def op_types(self) -> frozenset[str]:
        """The types of all operations."""
        return frozenset(node.op_type for node in self.nodes)

    def hops_to(self, op_type: str) -> Distances:
        """The fewest edges, followed either way, between each operation and one of a type (a glob)."""
        if op_type not in self._near:
            sources = [node.at for node in self.nodes if fnmatchcase(node.op_type, op_type)]
            self._near[op_type] = _distances(self._flow.to_undirected(as_view=True), sources, lambda _: 1)
        return self._near[op_type]

    @cached_property
    def depths_from_input(self) -> Distances:
        """The fewest weight-bearing operations between an input of the function and each operation."""
        return _distances(self._flow, [n.at for n in self.nodes if n.reads_input], self._cost)

    @cached_property
    def depths_from_output(self) -> Distances:
        """The fewest weight-bearing operations between each operation and an output of the function."""
        backwards = self._flow.reverse(copy=False)
        return _distances(backwards, [n.at for n in self.nodes if n.gives_output], self._cost)

    def bearing(self, op_type: str, places: slice) -> frozenset[Key]:
        """Weight-bearing operations of a type (a glob): a slice of each function's, in program order."""
        asked = (op_type, places.start, places.stop)
        if asked not in self._bearing:
            found: dict[str, list[Key]] = {}
            for node in self.nodes:
                if node.bears_weight and fnmatchcase(node.op_type, op_type):
                    found.setdefault(node.at.function, []).append(node.at)
            self._bearing[asked] = frozenset(at for each in found.values() for at in each[places])
        return self._bearing[asked]

    @cached_property
    def attention(self) -> frozenset[Key]:
        """Weight-bearing operations next to an attention: none other stands between it and them.

        An attention is a `scaled_dot_product_attention`, or a softmax between two products of activations.
        """
        found: set[Key] = set()
        for node in self.nodes:
            if node.op_type in (ATTENTION, "softmax"):
                before, products_before = self._neighbours(node.at, self._flow.predecessors)
                after, products_after = self._neighbours(node.at, self._flow.successors)
                if node.op_type == ATTENTION or (products_before and products_after):
                    values = (self._neighbours(at, self._flow.predecessors)[0] for at in products_after)
                    found |= before.union(after, *values)
        return frozenset(found)

    def _neighbours(self, start: Key, step: Callable[[Key], Iterable[Key]]) -> tuple[set[Key], set[Key]]:
        """The weight-bearing operations first met in a direction, and the products met on the way."""
        bearing: set[Key] = set()
        products: set[Key] = set()
        seen, waiting = {start}, [start]
        while waiting:
            for at in step(waiting.pop()):
                if at in seen:
                    continue
                seen.add(at)
                if self._nodes[at].bears_weight:
                    bearing.add(at)
                    continue
                if self._nodes[at].op_type in PRODUCTS:
                    products.add(at)
                waiting.append(at)
        return bearing, products

    def _cost(self, at: Key) -> int:
        return int(self._nodes[at].bears_weight)


def _distances(flow: Any, sources: list[Key], cost: Callable[[Key], int]) -> Distances:
    """The least sum of the costs of the operations left behind on a way from a source to each operation."""
    if not sources:
        return {}
    lengths: Distances = nx.multi_source_dijkstra_path_length(flow, sources, weight=lambda u, v, d: cost(u))
    return lengths
