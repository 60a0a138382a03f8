"""One walk over an ML Program: every definition with its uses, every value that lies in a weight file."""

from __future__ import annotations

from collections import ChainMap, defaultdict
from collections.abc import Iterator
from typing import Any, TypeAlias

from attrs import define, field, frozen

from milpass.roles import REARRANGING, role
from milpass.weight import Key, Reader, Source

Scope: TypeAlias = "ChainMap[str, Definition | None]"


@define(eq=False)
class Definition:
    """A named result: the operation (a live protobuf message) that defines it, and who uses it."""

    key: Key
    op: Any
    uses: list[tuple[Any, str]] = field(factory=list)
    leaves_block: bool = False


@frozen(eq=False)
class Stored:
    """A value (a live protobuf message) that lies in a weight file, and the operation it belongs to."""

    value: Any
    op: Any


@frozen(eq=False)
class Survey:
    """What the walk found, in program order; the messages are live, so that edits of them are edits."""

    definitions: list[Definition] = field(factory=list)
    results: dict[int, list[Definition]] = field(factory=dict)
    blobs: dict[Source, list[Stored]] = field(factory=lambda: defaultdict(list))
    op_types: set[str] = field(factory=set)

    @classmethod
    def of(cls, program: Any) -> Survey:
        """Walk every function and every block of it."""
        survey = cls()
        survey._note_blobs(program.attributes.values())
        for name, function in program.functions.items():
            survey._note_blobs(function.attributes.values())
            for opset, block in function.block_specializations.items():
                several = len(function.block_specializations) > 1
                survey._block(block, Key(name, (opset,) if several else (), ""), ChainMap())
        return survey

    def _block(self, block: Any, place: Key, outer: Scope) -> None:
        scope = outer.new_child({parameter.name: None for parameter in block.inputs})
        self._note_blobs(block.attributes.values())
        for op in block.operations:
            self._operation(op, place, scope)
        for name in block.outputs:
            definition = scope.get(name)
            if definition:
                definition.leaves_block = True

    def _operation(self, op: Any, place: Key, scope: Scope) -> None:
        self.op_types.add(op.type)
        self._note_blobs(op.attributes.values(), op)
        for name, argument in op.inputs.items():
            for binding in argument.arguments:
                self._binding(op, name, binding, scope)
        for number, block in enumerate(op.blocks):
            path = (*place.block, f"{op_name(op)}[{number}]")
            self._block(block, Key(place.function, path, ""), scope)
        results = [Definition(Key(place.function, place.block, output.name), op) for output in op.outputs]
        scope.update({definition.key.name: definition for definition in results})
        self.definitions.extend(results)
        self.results[id(op)] = results

    def _binding(self, op: Any, name: str, binding: Any, scope: Scope) -> None:
        if binding.WhichOneof("binding") == "value":
            self._note_blobs([binding.value], op)
            return
        definition = scope.get(binding.name)
        if definition:
            definition.uses.append((op, name))

    def _note_blobs(self, values: Any, op: Any = None) -> None:
        for value in values:
            for stored in _stored(value):
                place = stored.blobFileValue
                self.blobs[Source(place.fileName, place.offset)].append(Stored(stored, op))

    def sources(self) -> dict[int, list[Source]]:
        """The places in weight files of each operation's own values, by the operation's `id`."""
        found: dict[int, list[Source]] = defaultdict(list)
        for source, users in self.blobs.items():
            for stored in users:
                found[id(stored.op)].append(source)
        return found

    def readers(self, definition: Definition) -> tuple[Reader, ...]:
        """The operations that use a result, directly or through rearranging ones."""
        found: dict[Reader, None] = {}
        waiting: list[tuple[Definition, tuple[str, ...]]] = [(definition, ())]
        while waiting:
            current, through = waiting.pop()
            for op, name in current.uses:
                if REARRANGING.get(op.type) == name:
                    results = self.results[id(op)]
                    waiting += [(result, (*through, op.type)) for result in results]
                else:
                    found[Reader(op.type, op_name(op), name, role(op.type, name), through)] = None
        return tuple(found)


def op_name(op: Any) -> str:
    """An operation's name attribute, or else its first result's name."""
    if "name" in op.attributes:
        strings = op.attributes["name"].immediateValue.tensor.strings.values
        if strings:
            return str(strings[0])
    return str(op.outputs[0].name) if op.outputs else str(op.type)


def _stored(value: Any) -> Iterator[Any]:
    """The values that lie in a weight file, among a value and those it holds."""
    if value.WhichOneof("value") == "blobFileValue":
        yield value
        return
    held = value.immediateValue
    kind = held.WhichOneof("value")
    if kind in ("list", "tuple"):
        for element in getattr(held, kind).values:
            yield from _stored(element)
    elif kind == "dictionary":
        for pair in held.dictionary.values:
            yield from _stored(pair.key)
            yield from _stored(pair.value)
