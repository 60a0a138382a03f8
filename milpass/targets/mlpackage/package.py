"""An `.mlpackage` on disk, opened: its constants without their values, its values as views of the file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from milpass.errors import UsageError
from milpass.records import Record
from milpass.targets.base import Check, Part
from milpass.targets.members import NETWORKS, PROGRAM, members_of
from milpass.targets.mlpackage.blobs import BlobFile
from milpass.targets.mlpackage.constants import Constants
from milpass.targets.mlpackage.destination import destination, is_temporary
from milpass.targets.mlpackage.edit import PackageEdit
from milpass.targets.mlpackage.layout import Layout, unreadable
from milpass.targets.mlpackage.moving import syncing
from milpass.targets.mlpackage.parts import PARTS
from milpass.targets.mlpackage.soundness import unsound_constants, unsound_functions
from milpass.targets.mlpackage.survey import ProgramSurvey
from milpass.targets.mlpackage.unchanged import InputFiles
from milpass.targets.protobuf import parse_model
from milpass.targets.surveyed import Surveyed
from milpass.weight import Weight

if TYPE_CHECKING:
    from milpass.graph import Graph
    from milpass.targets.neuralnetwork.weights import NetworkWeights


class Package(Surveyed):
    """An opened package; raises `ModelError` for anything but a sound ML Program, network or pipeline."""

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
        self._check_structure()
        # whatever is unsound is refused at once
        self._constants = Constants(self._survey, self.name, self.graph, self._file, self._inputs)
        self._networks = self._found_networks()

    @classmethod
    def at(cls, path: Path) -> Package:
        """The package at a path."""
        layout = Layout.of(path)
        inputs = InputFiles()
        inputs.opening(layout.existing(layout.model))
        return cls(layout, parse_model(layout.model_bytes(), str(path)), inputs)

    def _found_networks(self) -> NetworkWeights | None:
        """The weights of networks; most packages have none, and need nothing of what reads them."""
        if not any(each.kind in NETWORKS for each in self._members):
            return None
        from milpass.targets.neuralnetwork.networks import Networks
        from milpass.targets.neuralnetwork.weights import NetworkWeights

        return NetworkWeights(Networks.of(self._model), self.name, self.graph)

    def _check_kind(self) -> None:
        needs = "an ML Program, a neural network, or a pipeline of models"
        if not self._members or not all(each.kind for each in self._members):
            raise unreadable(self._layout.root, "an empty model", needs)
        if self._members[0].model is self._model and self._members[0].kind not in PARTS:
            raise unreadable(self._layout.root, f"a {self._members[0].kind}", needs)
        programs = (each for each in self._members if each.kind == PROGRAM)
        if any(model.isUpdatable for each in programs for model in (*each.around, each.model)):
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
        """The operating system release whose opset the program uses; of a pipeline those of its models."""
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
        """What stores an already encoded weight, the values of an operation as views of the file."""
        networks = self._networks
        return (networks if networks and weight.key in networks.held else self._constants).record(weight)

    def op_counts(self) -> Counter[str]:
        """How often each type of operation, or layer, occurs."""
        return super().op_counts() + (self._networks.layer_counts() if self._networks else Counter())

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
                folder,
                self._layout,
                self._model,
                self._programs,
                self._survey,
                self._networks.edit() if self._networks else None,
                self._reading,
                kept,
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
                check(self._reopened() if self._networks else self, Package.at(folder))
            finally:
                self._inputs.check()  # a copy of something else than there is now fails for that reason

    def _reopened(self) -> Package:
        """The package as it stands on disk: networks, whose values are in the message, have been edited."""
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
        """Those of programs and of networks, member by member."""
        order = {each.place: number for number, each in enumerate(self._members)}
        found = (*self._constants.weights, *(self._networks.weights if self._networks else ()))
        yield from sorted(found, key=lambda weight: order.get(weight.key.member, 0))

    def _find_graph(self) -> Graph:
        """That of programs and that of networks beside it."""
        graph = super()._find_graph()
        return graph.joined(self._networks.graph()) if self._networks else graph
