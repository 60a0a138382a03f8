"""One walk over an ML Program's message: operations and results, every value that lies in a weight file."""

from __future__ import annotations

from collections import ChainMap, defaultdict
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple, TypeAlias

from attrs import field, frozen

from milpass.targets import protobuf
from milpass.targets.mlpackage.values import from_immediate, tensor_type
from milpass.targets.survey import Definition, Operation, Survey
from milpass.weight import Key, Source

# What a name stands for: a result, a parameter of an operation's block, or (None) an input of the function.
Scope: TypeAlias = "ChainMap[str, Definition | Operation | None]"


class Stored(NamedTuple):
    """A value (a live protobuf message) that lies in a weight file, and the operation it belongs to."""

    value: Any
    op: Any


@frozen(eq=False)
class ProgramSurvey(Survey):
    """What the walk found; the messages are live, so that edits of them are edits."""

    blobs: dict[Source, list[Stored]] = field(factory=lambda: defaultdict(list))

    @classmethod
    def of(cls, programs: Mapping[str, Any]) -> ProgramSurvey:
        """Walk every function and every block of programs, by what stands before their functions' names."""
        survey = cls()
        for prefix, program in programs.items():
            survey._note_blobs(program.attributes.values())
            for name, function in sorted(program.functions.items()):  # maps have no order of their own
                survey._function(f"{prefix}{name}", function)
        return survey

    def _function(self, name: str, function: Any) -> None:
        self._note_blobs(function.attributes.values())
        inputs: Scope = ChainMap({each.name: None for each in function.inputs})
        for opset, block in sorted(function.block_specializations.items()):
            several = len(function.block_specializations) > 1
            self._block(block, Key(name, (opset,) if several else (), ""), inputs, None)

    def _block(self, block: Any, place: Key, outer: Scope, owner: Operation | None) -> None:
        scope = outer.new_child({parameter.name: owner for parameter in block.inputs})
        self._note_blobs(block.attributes.values())
        for message in block.operations:
            self._operation(message, place, scope)
        for name in block.outputs:
            if name in scope:
                self.leave(scope[name], owner)

    def _operation(self, message: Any, place: Key, scope: Scope) -> None:
        self._note_blobs(message.attributes.values(), message)
        name = op_name(message)
        first = message.outputs[0].name if message.outputs else name
        at = Key(place.function, place.block, first)
        op = self.add(Operation(message.type, name, at, message, operand=partial(_operand, message, scope)))
        for input_name, argument in sorted(message.inputs.items()):
            for binding in argument.arguments:
                self._binding(op, input_name, binding, scope)
        self._state(op, message)
        for number, block in enumerate(message.blocks):
            path = (*place.block, f"{name}[{number}]")
            self._block(block, Key(place.function, path, ""), scope, op)
        for output in message.outputs:
            scope[output.name] = op.define(Key(place.function, place.block, output.name))

    def _state(self, op: Operation, message: Any) -> None:
        """Note the flow from the writing of a state to what is read of it afterwards."""
        note = {"read_state": self.read_state, "write_state": self.write_state}.get(op.type)
        if note and "input" in message.inputs:
            note((op.at.function, *(each.name for each in message.inputs["input"].arguments)), op)

    def _binding(self, op: Operation, name: str, binding: Any, scope: Scope) -> None:
        if binding.WhichOneof("binding") == "value":
            self._note_blobs([binding.value], op.live)
        elif binding.name in scope:
            self.use(scope[binding.name], op, name)

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


def _operand(message: Any, scope: Scope, name: str) -> Any:
    """The value of a constant operand that stands in the model file, None where it is none."""
    if name not in message.inputs or len(message.inputs[name].arguments) != 1:
        return None
    binding = message.inputs[name].arguments[0]
    if binding.WhichOneof("binding") == "value":
        return _immediate(binding.value)
    source = scope.get(binding.name)
    if not isinstance(source, Definition) or source.op.type != "const":
        return None
    attributes = source.op.live.attributes
    return _immediate(attributes["val"]) if "val" in attributes else None  # asking a map would make one


def _immediate(value: Any) -> Any:
    tensor = value.immediateValue.tensor
    if value.type.tensorType.dataType == protobuf.mil().DataType.BOOL:
        return next(iter(tensor.bools.values), None)
    try:
        found = tensor_type(value.type)
        if value.WhichOneof("value") != "immediateValue" or found is None:
            return None
        array = from_immediate(tensor, *found)
    except ValueError:  # unsound: told where it is read
        return None
    return array.data.reshape(array.shape)[()]
