"""A PyMIL program, opened: its constants, and editing them in place."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from milpass.errors import UsageError
from milpass.records import Record
from milpass.targets.base import Check, Part
from milpass.targets.opsets import OPSETS
from milpass.targets.program.edit import ProgramEdit
from milpass.targets.program.values import record_of, tensor_type, values_of
from milpass.targets.program.walk import survey_of
from milpass.targets.storage import FLOATS, is_for_file
from milpass.targets.survey import Definition
from milpass.targets.surveyed import Surveyed
from milpass.weight import Source, Weight

# The first release of PyMIL's opsets and its specification version, from which the others count.
FIRST_RELEASE = (13, 4)


def is_program(model: Any) -> bool:
    """Whether a value is a PyMIL program; asks no one to import coremltools."""
    module = sys.modules.get("coremltools.converters.mil.mil.program")
    return module is not None and isinstance(model, module.Program)


class ProgramTarget(Surveyed):
    """A program as it stands now; what is done to it afterwards by others is not seen."""

    def __init__(self, program: Any) -> None:
        self._program = program
        self._survey = survey_of(program)
        self._definitions: dict[Any, Definition] = {}
        self.weights()  # whatever is unsound is refused at once

    @property
    def name(self) -> str:
        """How errors name the program."""
        return "the Program"

    @property
    def format(self) -> str:
        """The operating system release whose opset the functions use."""
        versions = {int(function.opset_version) for function in self._program.functions.values()}
        return " and ".join(map(_release, sorted(versions)))

    @property
    def releases(self) -> tuple[str, ...]:
        """The formats of ML Programs, oldest first."""
        return tuple(OPSETS)

    def parts(self) -> Mapping[str, Part]:
        """The program alone."""
        return {"": self}

    def hindrance(self, format: str) -> str | None:
        """A program is not raised: the conversion chose its operations for the release that it has."""
        passed = f"pass minimum_deployment_target=ct.target.{format} to the conversion"
        return f"{passed}, or opset_version=ct.target.{format} to a program of one's own"

    def record(self, weight: Weight) -> Record:
        """The operation that stores an already encoded weight."""
        return record_of(self._definitions[weight.key].op.live)

    def stored_at(self, weight: Weight) -> None:
        """In no file."""

    def destination(self, out: Path | None) -> None:
        """Nowhere: it is edited in place; raises `UsageError` where a destination is named."""
        if out is not None:
            raise UsageError(
                str(out),
                who="apply",
                cannot="write a Program to it",
                got="a destination",
                needs="none, since a Program is edited in place",
            )

    def result(self, out: Path | None) -> Any:
        """The program itself."""
        return self._program

    @contextmanager
    def editing(
        self,
        out: Path | None,
        *,
        overwrite: bool,
        raise_to: Mapping[str, str],
        check: Check | None = None,
        resume: bool = False,
    ) -> Iterator[ProgramEdit]:
        """Edit the program at the end of the context; where that fails earlier, it is as it was."""
        edit = ProgramEdit(self._survey.definitions)
        yield edit
        edit.finish()

    def _find_weights(self) -> Iterator[Weight]:
        """The weights, numbered in program order; constants of one array are one source."""
        places: dict[int | str, Source] = {}
        for number, definition in enumerate(self._survey.definitions):
            op = definition.op
            if (op.type != "const" and not op.decompresses) or definition.feeds_constants_only:
                continue
            found = tensor_type(op.live.outputs[0])
            if found is None or found[0] not in FLOATS:
                continue
            self._definitions[definition.key] = definition
            place = places.setdefault(_identity(op.live), Source("", number))
            yield self._weight(definition, *found, place)

    def _weight(self, definition: Definition, dtype: str, shape: tuple[int, ...], place: Source) -> Weight:
        op = definition.op
        weight = Weight(
            definition.key,
            shape,
            dtype,
            place,
            self._survey.readers(definition, len(shape)),
            encoded=op.type if op.decompresses else None,
            nested=tuple(each.type for each in op.operands() if each.decompresses),
            modules=self._survey.modules(definition),
            load=lambda: values_of(op.live.outputs[0]),
            graph=self.graph,
        )
        in_file = is_for_file(dtype, weight.size, attribute=False)
        return weight if op.decompresses else _barred(weight, definition.barred(in_file=in_file))


def _barred(weight: Weight, why: str | None) -> Weight:
    from attrs import evolve

    return evolve(weight, barred=why)


def _identity(live: Any) -> int | str:
    """What tells whether two constants are one: the array itself, or coremltools' name for equal ones."""
    if live.op_type != "const":
        return id(live)
    return live.weight_id or id(live.outputs[0].val)


def _release(version: int) -> str:
    """The release of a specification version."""
    known = {number: name for name, (number, _) in OPSETS.items()}
    first, specification = FIRST_RELEASE
    return known.get(version, f"iOS{first + version - specification}")
