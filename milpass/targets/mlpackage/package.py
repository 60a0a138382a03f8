"""An `.mlpackage` on disk, opened: its constants without their values, its values as views of the file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from numpy.typing import NDArray

from milpass.errors import ModelError, UsageError
from milpass.records import Record, Result, Value
from milpass.targets.base import Check, Part
from milpass.targets.mlpackage.blobs import BlobFile
from milpass.targets.mlpackage.destination import destination, is_temporary
from milpass.targets.mlpackage.edit import PackageEdit
from milpass.targets.mlpackage.layout import Layout, unreadable
from milpass.targets.mlpackage.members import PARTS, PROGRAM, members_of
from milpass.targets.mlpackage.moving import syncing
from milpass.targets.mlpackage.soundness import unsound_constants, unsound_functions
from milpass.targets.mlpackage.survey import ProgramSurvey
from milpass.targets.mlpackage.unchanged import InputFiles
from milpass.targets.mlpackage.values import from_blob, from_immediate, tensor_type
from milpass.targets.protobuf import parse_model
from milpass.targets.storage import FLOATS
from milpass.targets.survey import Definition, Operation
from milpass.targets.surveyed import Surveyed
from milpass.weight import Key, Source, Weight


class Package(Surveyed):
    """An opened package; raises `ModelError` for anything that is no sound ML Program package."""

    _survey: ProgramSurvey

    def __init__(self, layout: Layout, model: Any, inputs: InputFiles | None = None) -> None:
        self._layout = layout
        self._inputs = inputs or InputFiles()
        self._model = model
        self._members = members_of(model)
        self._check_kind()
        self._programs = tuple(each for each in self._members if each.kind == PROGRAM)
        self._check_functions()
        self._survey = ProgramSurvey.of({each.prefix: each.model.mlProgram for each in self._programs})
        self._files: dict[str, BlobFile] = {}
        self._encoded: dict[Key, Operation] = {}
        self._check_structure()
        self._sources = self._survey.sources()
        self.weights()  # whatever is unsound is refused at once

    @classmethod
    def at(cls, path: Path) -> Package:
        """The package at a path."""
        layout = Layout.of(path)
        inputs = InputFiles()
        inputs.opening(layout.existing(layout.model))
        return cls(layout, parse_model(layout.model_bytes(), str(path)), inputs)

    def _check_kind(self) -> None:
        needs = "an ML Program, or a pipeline of models"
        if not self._members or not all(each.kind for each in self._members):
            raise unreadable(self._layout.root, "an empty model", needs)
        if self._members[0].model is self._model and self._members[0].kind != PROGRAM:
            raise unreadable(self._layout.root, f"a {self._members[0].kind}", needs)
        if any(model.isUpdatable for each in self._members for model in (*each.around, each.model)):
            raise unreadable(self._layout.root, "an updatable model", "one that is not")

    def _check_functions(self) -> None:
        for each in self._programs:
            if found := unsound_functions(each.model.mlProgram, alone=not each.around):
                raise unreadable(self._layout.root, found, "a sound ML Program")

    def _check_structure(self) -> None:
        if found := unsound_constants(self._survey):
            raise unreadable(self._layout.root, found, "a sound ML Program")
        for name in sorted({source.file for source in self._survey.blobs}):
            self._file(name).check(each.offset for each in self._survey.blobs if each.file == name)

    @property
    def path(self) -> Path:
        """The package's folder."""
        return self._layout.root

    @property
    def name(self) -> str:
        """How errors name the package: its path."""
        return str(self.path)

    @property
    def format(self) -> str:
        """The operating system release whose opset the program uses, or those of a pipeline's programs."""
        return " and ".join(sorted({part.format for part in self.parts().values()}))

    def stored_at(self, weight: Weight) -> tuple[Path, int] | None:
        """Where the values of a weight lie, None where they are immediate or compressed."""
        name = weight.source.file
        if weight.encoded or not name:
            return None
        blob = self._reading(name).blob(weight.source.offset)
        return (self.path / self._layout.weight_file(name)).absolute(), blob.end - blob.data.nbytes

    def parts(self) -> Mapping[str, Part]:
        """The models that are looked into, by place."""
        return self._parts

    @cached_property
    def _parts(self) -> dict[str, Part]:
        read = (each for each in self._members if each.kind in PARTS)
        return {each.place: PARTS[each.kind](each, self._survey) for each in read}

    def closed(self) -> tuple[Weight, ...]:
        """The members of a pipeline that are not looked into."""
        return tuple(each.closed(self.graph) for each in self._members if each.kind not in PARTS)

    def result(self, out: Path | None) -> Any:
        """The path of the copy that was written."""
        return out

    def destination(self, out: Path | None) -> Path:
        """The place that was named: a package on disk has no destination of its own."""
        if out is not None and out.suffix != ".mlmodel":
            return out
        raise UsageError(
            str(out or self.name),
            who="apply",
            cannot="write the result",
            got="the name of a file" if out else "no destination",
            needs="the path of an .mlpackage folder to write",
        )

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
            name: self._value(held, op.name)
            for name, held in {**message.attributes, **inputs}.items()
            if name != "name"
        }
        for name, source in op.sources.items():
            operands[name] = self._operand(source, known)
        *before, last = (self._type(output, op.name) for output in message.outputs)
        placement: Literal["inputs", "attributes"] = "inputs" if message.inputs else "attributes"
        known[id(op)] = Record(message.type, placement, *last, operands, tuple(before))
        return known[id(op)]

    def _operand(self, source: Definition, known: dict[int, Record]) -> Value | Result:
        """A named operand: another operation's result, or a constant."""
        if source.op.decompresses:
            return self._record(source.op, known).result(source.op.results.index(source))
        if "val" not in source.op.live.attributes:
            raise self._damaged(source.key.name, f"a {source.op.type} as an operand of a constant")
        return self._value(source.op.live.attributes["val"], source.key.name)

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

    @contextmanager
    def editing(
        self,
        out: Path | None,
        *,
        overwrite: bool,
        raise_to: Mapping[str, str],
        check: Check | None = None,
        resume: bool = False,
    ) -> Iterator[PackageEdit]:
        """Write a copy of the package to `out`; the opened package can be edited once."""
        assert out is not None
        with destination(out, source=self.path, overwrite=overwrite, resume=resume) as (folder, kept):
            edit = PackageEdit(
                folder, self._layout, self._model, self._programs, self._survey, self._reading, kept
            )
            with edit:
                yield edit
                edit.finish(raise_to)
            with nullcontext() if is_temporary(out) else syncing(folder):
                self._confirm(folder, check)

    def _confirm(self, folder: Path, check: Check | None) -> None:
        self._inputs.check()
        if check:
            try:
                check(self._reopened(), Package.at(folder))
            finally:
                self._inputs.check()  # a copy of something else than there is now fails for that reason

    def _reopened(self) -> Package:
        """The package as it stands on disk: the message of this one has been edited."""
        return Package.at(self.path)

    def _reading(self, name: str) -> BlobFile:
        """A weight file for its values: a mapped file that was cut short ends the process that reads on."""
        self._inputs.check()
        return self._file(name)

    def _file(self, name: str) -> BlobFile:
        if name not in self._files:
            path = self._inputs.opening(self._layout.existing(self._layout.weight_file(name)))
            self._files[name] = BlobFile(path, str(path))
        return self._files[name]

    def _find_weights(self) -> Iterator[Weight]:
        """The weights, those that are immediate values numbered from the start of the program."""
        for number, definition in enumerate(self._survey.definitions):
            op = definition.op.live
            if op.type != "const" and not definition.op.decompresses:
                continue
            found = self._known_type(op.outputs[0].type, definition.key.name)
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
            load=lambda: self._load(message, definition.key.name),
            graph=self.graph,
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
            graph=self.graph,
        )

    def _check(self, message: Any, weight: Weight) -> None:
        """Refuse a constant whose stored type and size are not what its operation yields."""
        if self._known_type(message.type, weight.name) != (weight.dtype, weight.shape):
            raise self._damaged(weight.name, "a value of another type than its result")
        self._value(message, weight.name)

    def _load(self, message: Any, name: str) -> NDArray[Any]:
        self._inputs.check()
        value = self._value(message, name)
        return value.data.reshape(value.shape)

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
        return unreadable(f"{self.path}, constant {name}", got, "values as its type says")
