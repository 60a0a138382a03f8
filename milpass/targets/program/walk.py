"""One walk over a PyMIL program: operations, results, and who uses them."""

from __future__ import annotations

from typing import Any

from milpass.targets.survey import Definition, Operation, Survey
from milpass.weight import Key

# Where coremltools keeps the path of the torch module that an operation was converted from.
MODULE_SCOPE = "TORCHSCRIPT_MODULE_NAME"


def survey_of(program: Any) -> Survey:
    """Walk every function and every block of it."""
    walk = _Walk()
    for name, function in program.functions.items():
        walk.values.update({id(value): None for value in function.inputs.values()})
        walk.block(function, Key(name, (), ""), None)
    return walk.survey


class _Walk:
    """What is known on the way; variables are told apart by identity, as names may repeat."""

    def __init__(self) -> None:
        self.survey = Survey()
        self.values: dict[int, Definition | Operation | None] = {}

    def block(self, block: Any, place: Key, owner: Operation | None) -> None:
        """The operations of a block, in order, and what it yields."""
        for each in block.operations:
            self._operation(each, place)
        for value in block.outputs:
            if id(value) in self.values:
                self.survey.leave(self.values[id(value)], owner)

    def _operation(self, live: Any, place: Key) -> None:
        first = live.outputs[0].name if live.outputs else live.name
        at = Key(place.function, place.block, first)
        op = self.survey.add(Operation(live.op_type, live.name, at, live, _module(live)))
        for name, given in live.inputs.items():
            for value in given if isinstance(given, list | tuple) else (given,):
                if id(value) in self.values:
                    self.survey.use(self.values[id(value)], op, name)
        for number, block in enumerate(live.blocks):
            self.values.update({id(parameter): op for parameter in block.inputs})
            path = (*place.block, f"{live.name}[{number}]")
            self.block(block, Key(place.function, path, ""), op)
        for value in live.outputs:
            self.values[id(value)] = op.define(Key(place.function, place.block, value.name))


def _module(live: Any) -> str | None:
    """The path of the source's module, such as "encoder.layers.0": the last name is the operation's own."""
    for source, names in live.scopes.items():
        if source.name == MODULE_SCOPE and names:
            return ".".join(filter(None, names[:-1]))
    return None
