"""One walk over a PyMIL program: operations, results, and who uses them."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any

from milpass.targets.survey import Definition, Operation, Survey
from milpass.weight import Key

# Where coremltools keeps the path of the torch module that an operation was converted from.
MODULE_SCOPE = "TORCHSCRIPT_MODULE_NAME"


def survey_of(program: Any) -> Survey:
    """Walk every function and every block of it."""
    walk = _Walk()
    for name, function in sorted(program.functions.items()):  # as a package, which has no order of them
        walk.values.update({id(value): None for value in function.inputs.values()})
        walk.block(function, Key(name, (), ""), None)
    return walk.survey


class _Walk:
    """What is known on the way; variables are told apart by identity, as names may repeat.

    Keys are made unique: a name that repeats in a block gets a number, as in "w#2".
    """

    def __init__(self) -> None:
        self.survey = Survey()
        self.values: dict[int, Definition | Operation | None] = {}
        self._met: Counter[Key] = Counter()

    def block(self, block: Any, place: Key, owner: Operation | None) -> None:
        """The operations of a block, in order, and what it yields."""
        for each in block.operations:
            self._operation(each, place)
        for value in block.outputs:
            if id(value) in self.values:
                self.survey.leave(self.values[id(value)], owner)

    def _operation(self, live: Any, place: Key) -> None:
        keys = [self._key(place, value.name) for value in live.outputs] or [self._key(place, live.name)]
        op = self.survey.add(
            Operation(live.op_type, live.name, keys[0], live, _module(live), partial(_operand, live))
        )
        for name, given in live.inputs.items():
            for value in given if isinstance(given, list | tuple) else (given,):
                if id(value) in self.values:
                    self.survey.use(self.values[id(value)], op, name)
        self._state(op, live)
        for number, block in enumerate(live.blocks):
            self.values.update({id(parameter): op for parameter in block.inputs})
            path = self._key(place, f"{live.name}[{number}]")
            self.block(block, Key(place.function, (*place.block, path.name), ""), op)
        for value, key in zip(live.outputs, keys, strict=False):
            self.values[id(value)] = op.define(key)

    def _state(self, op: Operation, live: Any) -> None:
        """Note the flow from the writing of a state to what is read of it afterwards."""
        if op.type == "coreml_update_state":
            self.survey.write_state(id(live.inputs["state"]), op)
        elif op.type == "read_state":
            self.survey.read_state(id(live.inputs["input"]), op)

    def _key(self, place: Key, name: str) -> Key:
        """The key of a name in a block."""
        key = Key(place.function, place.block, name)
        self._met[key] += 1
        return key if self._met[key] == 1 else Key(key.function, key.block, f"{name}#{self._met[key]}")


def _module(live: Any) -> str | None:
    """The path of the source's module, such as "encoder.layers.0": the last name is the operation's own."""
    for source, names in live.scopes.items():
        if source.name == MODULE_SCOPE and names:
            return ".".join(filter(None, names[:-1]))
    return None


def _operand(live: Any, name: str) -> Any:
    """The value of a constant operand, None where it is none."""
    return getattr(live.inputs.get(name), "val", None)
