"""What a walk over a program finds, in terms common to its homes: operations, results, and their uses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from attrs import define, field, frozen

from milpass.roles import BARRED, REARRANGING, WEIGHT_ROLES, Axes, channel_axes, role
from milpass.weight import Key, Reader, Weight

if TYPE_CHECKING:
    from milpass.graph import Graph


# Operations in a row that only rearrange a constant and are looked through: no model has as many.
MAX_REARRANGING = 64


@define(eq=False)
class Operation:
    """One operation; `live` is its home's own object, so that edits of that are edits of the model.

    `module` is the path of the source's module that it was converted from, None where none is recorded;
    `operand` gives the value of a small constant operand by its input's name, None where it is none;
    `sources` are the results that its inputs take, by their names.
    """

    type: str
    name: str
    at: Key
    live: Any
    module: str | None = None
    operand: Callable[[str], Any] = lambda _: None
    results: list[Definition] = field(factory=list)
    sources: dict[str, Definition] = field(factory=dict)
    reads_input: bool = False
    gives_output: bool = False

    def define(self, key: Key) -> Definition:
        """A result of it."""
        self.results.append(Definition(key, self))
        return self.results[-1]

    def operands(self) -> list[Operation]:
        """The operations whose results only this one uses to decompress a constant, innermost last."""
        found = []
        for source in self.sources.values() if self.decompresses else ():
            if source.op in found:
                continue
            users = {id(user) for result in source.op.results for user, _ in result.uses}
            if users == {id(self)} and not any(result.leaves_block for result in source.op.results):
                found += [source.op, *source.op.operands()]
        return found

    @property
    def decompresses(self) -> bool:
        """Whether it makes a constant of compressed operands."""
        return self.type.startswith("constexpr_")


@define(eq=False)
class Definition:
    """A named result: the operation that defines it, and who uses it as which input.

    `leaves_block` says that it is a result of its block, too.
    """

    key: Key
    op: Operation
    uses: list[tuple[Operation, str]] = field(factory=list)
    leaves_block: bool = False

    @property
    def feeds_constants_only(self) -> bool:
        """Whether it is only an operand of operations that decompress constants."""
        return bool(self.uses) and all(op.decompresses for op, _ in self.uses)

    def barred(self, *, in_file: bool) -> str | None:
        """Why nothing compressed may stand in its place, where it is a constant."""
        if self.leaves_block:
            return "it is a result of its block"
        if not in_file:
            return "its values stand in the model file, not in a weight file"
        reasons = (
            f"it is an operand of {op.type}, too" if op.decompresses else BARRED.get((op.type, name))
            for op, name in self.uses
        )
        return next(filter(None, reasons), None)


@frozen(eq=False)
class Survey:
    """The operations in program order, and what flows beside named results.

    `flows` are pairs of operations: one that has a block and one that reads a parameter of that block; one
    that a block yields and the one that has the block.
    """

    operations: list[Operation] = field(factory=list)
    flows: list[tuple[Operation, Operation]] = field(factory=list)
    _written: dict[object, Operation] = field(factory=dict)
    _merged: dict[Key, Key] = field(factory=dict)

    @property
    def definitions(self) -> Iterable[Definition]:
        """All results in program order."""
        return (definition for op in self.operations for definition in op.results)

    @property
    def op_types(self) -> set[str]:
        """The types of all operations."""
        return {op.type for op in self.operations}

    def add(self, op: Operation) -> Operation:
        """Note an operation, those of its blocks after it."""
        self.operations.append(op)
        return op

    def use(self, source: Definition | Operation | None, op: Operation, name: str) -> None:
        """Note that an operation reads a result, a parameter of a block (its owner), or an input (None)."""
        if isinstance(source, Definition):
            source.uses.append((op, name))
            op.sources[name] = source
        elif source is None:
            op.reads_input = True
        else:
            self.flows.append((source, op))

    def leave(self, source: Definition | Operation | None, owner: Operation | None) -> None:
        """Note that a block yields a result to the operation that has the block, None for a function."""
        if isinstance(source, Definition):
            source.leaves_block = True
            source.op.gives_output |= owner is None
            if owner:
                self.flows.append((source.op, owner))

    def write_state(self, state: object, op: Operation) -> None:
        """Note that an operation writes a state."""
        self._written[state] = op

    def read_state(self, state: object, op: Operation) -> None:
        """Note that an operation reads what was last written to a state.

        Packages write a state and read it in two operations, programs in one: where the first follows the
        other at once, they are one in the graph.
        """
        writer = self._written.get(state)
        if writer is None:
            return
        if len(self.operations) > 1 and self.operations[-2] is writer:
            self._merged[op.at] = writer.at
        else:
            self.flows.append((writer, op))

    def readers(self, definition: Definition, rank: int) -> tuple[Reader, ...]:
        """The operations that use a result of a rank, directly or through rearranging ones."""
        return tuple(dict.fromkeys(_reader(*use, rank) for use in self._uses(definition)))

    def _uses(self, definition: Definition) -> Iterator[tuple[Operation, str, tuple[Operation, ...]]]:
        """Each use of a result: operation, input, and the rearranging operations in between."""
        waiting: list[tuple[Definition, tuple[Operation, ...]]] = [(definition, ())]
        seen: set[int] = set()
        while waiting:
            current, through = waiting.pop()
            for op, name in current.uses:
                if REARRANGING.get(op.type) != name or len(through) == MAX_REARRANGING:
                    yield op, name, through
                elif id(op) not in seen:
                    seen.add(id(op))
                    waiting += [(result, (*through, op)) for result in op.results]

    def modules(self, definition: Definition) -> frozenset[str]:
        """The source's modules that use a result, directly or through rearranging operations."""
        return frozenset(op.module for op, _, _ in self._uses(definition) if op.module is not None)

    def graph(self, weights: Iterable[Weight]) -> Graph:
        """The data flow of the operations that are no constants; loads networkx."""
        from milpass.graph import Graph, Node

        readers = (reader for weight in weights for reader in weight.readers)
        bearing = {reader.at for reader in readers if reader.role in WEIGHT_ROLES}
        constants = (op for op in self.operations if op.type == "const" or op.decompresses)
        hidden = {op.at for op in constants} | self._merged.keys()
        shown = [op for op in self.operations if op.at not in hidden]
        nodes = [
            Node(op.at, op.type, op.name, op.reads_input, op.gives_output, op.at in bearing) for op in shown
        ]
        known = {node.at for node in nodes}
        uses = [(op, reader) for op in self.operations for result in op.results for reader, _ in result.uses]
        pairs = [tuple(self._merged.get(op.at, op.at) for op in pair) for pair in (*uses, *self.flows)]
        return Graph(nodes, [(source, reader) for source, reader in pairs if {source, reader} <= known])


def _reader(op: Operation, name: str, through: tuple[Operation, ...], rank: int) -> Reader:
    types = tuple(each.type for each in through)
    return Reader(op.type, op.name, name, role(op.type, name), types, op.at, _axes(op, name, through, rank))


def _axes(op: Operation, name: str, through: tuple[Operation, ...], rank: int) -> Axes | None:
    """The axes of a constant that become an operand's channels, through casts and transpositions."""
    axes = channel_axes(op.type, name, op.operand, rank)
    for each in reversed(through):
        if axes is None or each.type == "cast":
            continue
        order = _order(each.operand("perm"), rank) if each.type == "transpose" else None
        axes = None if order is None else (order[axes[0]], order[axes[1]])
    return axes


def _order(perm: Any, rank: int) -> list[int] | None:
    """The axes that a transposition takes, None where its operand names others than an array's."""
    axes = perm.tolist() if hasattr(perm, "tolist") else perm
    if not isinstance(axes, list | tuple) or not all(isinstance(axis, int) for axis in axes):
        return None
    order = [axis % rank for axis in axes]
    return order if sorted(order) == list(range(rank)) else None
