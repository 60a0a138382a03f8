"""The constants of ML Programs: their weights without values, and what stores compressed ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from milpass.errors import ModelError
from milpass.records import Record, Result, Value
from milpass.targets.mlpackage.blobs import BlobFile
from milpass.targets.mlpackage.layout import unreadable
from milpass.targets.mlpackage.survey import ProgramSurvey
from milpass.targets.mlpackage.unchanged import InputFiles
from milpass.targets.mlpackage.values import from_blob, from_immediate, tensor_type
from milpass.targets.storage import FLOATS
from milpass.targets.survey import Definition, Operation
from milpass.weight import Key, Source, Weight

if TYPE_CHECKING:
    from milpass.graph import Graph


class Constants:
    """Every floating-point constant, in program order; raises `ModelError` for an unsound one.

    `where` is how errors name the model, `graph` gives its whole data flow, `file` opens a weight file.
    """

    def __init__(
        self,
        survey: ProgramSurvey,
        where: str,
        graph: Callable[[], Graph],
        file: Callable[[str], BlobFile],
        inputs: InputFiles,
    ) -> None:
        self._survey = survey
        self._where = where
        self._whole = graph
        self._file = file
        self._inputs = inputs
        self._encoded: dict[Key, Operation] = {}
        self._sources = survey.sources()
        self.weights = tuple(self._find_weights())

    def record(self, weight: Weight) -> Record:
        """The operation that stores an already encoded weight, its values as views of the file."""
        self._inputs.check()
        return self._record(self._encoded[weight.key], {})

    def _record(self, op: Operation, known: dict[int, Record]) -> Record:
        """An operation that decompresses a constant, those that it takes results of nested."""
        if id(op) in known:
            return known[id(op)]
        message = op.live
        inputs = {
            name: argument.arguments[0].value
            for name, argument in message.inputs.items()
            if argument.arguments and argument.arguments[0].WhichOneof("binding") == "value"
        }
        operands: dict[str, Value | Result] = {
            name: self._value(held, op.at.label)
            for name, held in {**message.attributes, **inputs}.items()
            if name != "name"
        }
        for name, source in op.sources.items():
            operands[name] = self._operand(source, known)
        *before, last = (self._type(output, op.at.label) for output in message.outputs)
        placement: Literal["inputs", "attributes"] = "inputs" if message.inputs else "attributes"
        known[id(op)] = Record(message.type, placement, *last, operands, tuple(before))
        return known[id(op)]

    def _operand(self, source: Definition, known: dict[int, Record]) -> Value | Result:
        """A named operand: another operation's result, or a constant."""
        if source.op.decompresses:
            return self._record(source.op, known).result(source.op.results.index(source))
        if "val" not in source.op.live.attributes:
            raise self._damaged(source.key.label, f"a {source.op.type} as an operand of a constant")
        return self._value(source.op.live.attributes["val"], source.key.label)

    def _type(self, output: Any, name: str) -> tuple[str, tuple[int, ...]]:
        found = self._known_type(output.type, name)
        if found is None:
            raise self._damaged(name, "a result of no known type")
        return found

    def _known_type(self, value_type: Any, name: str) -> tuple[str, tuple[int, ...]] | None:
        try:
            return tensor_type(value_type)
        except ValueError as error:
            raise self._damaged(name, str(error)) from None

    def _find_weights(self) -> Iterator[Weight]:
        """The weights, those that are immediate values numbered from the start of the program."""
        for number, definition in enumerate(self._survey.definitions):
            op = definition.op.live
            if op.type != "const" and not definition.op.decompresses:
                continue
            found = self._known_type(op.outputs[0].type, definition.key.label)
            if found is None or found[0] not in FLOATS or definition.feeds_constants_only:
                continue
            if definition.op.decompresses:
                self._encoded[definition.key] = definition.op
                yield self._encoded_weight(definition, *found, number)
            elif "val" in op.attributes:
                yield self._weight(definition, *found, number)

    def _weight(self, definition: Definition, dtype: str, shape: tuple[int, ...], number: int) -> Weight:
        message = definition.op.live.attributes["val"]
        place = message.blobFileValue
        in_file = message.WhichOneof("value") == "blobFileValue"
        weight = Weight(
            definition.key,
            shape,
            dtype,
            Source(place.fileName, place.offset) if in_file else Source("", number),
            self._survey.readers(definition, len(shape)),
            barred=definition.barred(in_file=in_file),
            load=lambda: self._load(message, definition.key.label),
            graph=self._whole,
        )
        self._check(message, weight)
        return weight

    def _encoded_weight(
        self, definition: Definition, dtype: str, shape: tuple[int, ...], number: int
    ) -> Weight:
        readers = self._survey.readers(definition, len(shape))
        ops = (definition.op, *definition.op.operands())
        places = (source for op in ops for source in self._sources.get(id(op.live), []))
        source = min(places, default=Source("", number))
        nested = tuple(op.type for op in definition.op.operands() if op.decompresses)
        return Weight(
            definition.key,
            shape,
            dtype,
            source,
            readers,
            encoded=definition.op.type,
            nested=nested,
            graph=self._whole,
        )

    def _check(self, message: Any, weight: Weight) -> None:
        """Refuse a constant whose stored type and size are not what its operation yields."""
        if self._known_type(message.type, weight.label) != (weight.dtype, weight.shape):
            raise self._damaged(weight.label, "a value of another type than its result")
        self._value(message, weight.label)

    def _load(self, message: Any, name: str) -> NDArray[Any]:
        self._inputs.check()
        value = self._value(message, name)
        data = _widened(value.data) if value.dtype == "bf16" else value.data
        return data.reshape(value.shape)

    def _value(self, message: Any, name: str) -> Value:
        found = self._known_type(message.type, name)
        if found is None:
            raise self._damaged(name, "a stored value of no known type")
        try:
            if message.WhichOneof("value") == "blobFileValue":
                place = message.blobFileValue
                return from_blob(self._file(place.fileName).blob(place.offset), *found)
            return from_immediate(message.immediateValue.tensor, *found)
        except ValueError as error:
            raise self._damaged(name, str(error)) from None

    def _damaged(self, name: str, got: str) -> ModelError:
        return unreadable(f"{self._where}, constant {name}", got, "values as its type says")


def _widened(octets: NDArray[np.uint8]) -> NDArray[np.float32]:
    """bf16, which numpy has not, as fp32: its bits are the upper half of that."""
    return (octets.view("<u2").astype("<u4") << 16).view("<f4")
