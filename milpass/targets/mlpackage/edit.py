"""Writing a copy of a package: chosen constants replaced, everything else as it was."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from milpass.paging import in_parts
from milpass.records import Record, Value
from milpass.targets.members import Member
from milpass.targets.mlpackage.blobs import BlobFile, BlobWriter
from milpass.targets.mlpackage.layout import WEIGHTS, Layout
from milpass.targets.mlpackage.operations import Operands, built, stored_operands
from milpass.targets.mlpackage.rewriting import Rewriting
from milpass.targets.mlpackage.survey import ProgramSurvey
from milpass.targets.survey import Operation
from milpass.weight import Source, Weight

if TYPE_CHECKING:
    from milpass.targets.neuralnetwork.edit import NetworkEdit

# Bytes of a blob that are copied at a time.
COPIED = 1 << 22


class PackageEdit:
    """Writes blobs in the order of the source's file, so that the copy needs no more than one at a time."""

    def __init__(
        self,
        folder: Path,
        layout: Layout,
        model: Any,
        programs: tuple[Member, ...],
        survey: ProgramSurvey,
        networks: NetworkEdit | None,
        opened: Callable[[str], BlobFile],
        kept: Path | None,
    ) -> None:
        self.kept = kept
        self._networks = networks
        self._folder = folder
        self._layout = layout
        self._opened = opened
        self._ops = {definition.key: definition.op for definition in survey.definitions}
        # networks are edited in place: their weights are in the message
        self._rewriting = Rewriting(model, programs, survey, in_place=networks is not None)
        self._uses = dict(survey.blobs)
        self._sources = survey.sources()
        self._file = min((source.file for source in self._uses), default=WEIGHTS)  # for what was in none
        self._waiting = sorted(self._uses, reverse=True)
        self._writers: dict[str, BlobWriter] = {}
        self._closing = ExitStack()
        self._last: tuple[Record, Operands] | None = None

    def replace(self, weight: Weight, record: Record) -> None:
        """Put an operation in the constant's place; the same record again shares its stored operands."""
        if self._networks and self._networks.holds(weight):
            self._networks.replace(weight, record)
            return
        self._copy_before(weight.source)
        if weight.source.file:
            self._opened(weight.source.file).release_before(weight.source.offset)
        if self._last is None or self._last[0] is not record:
            self._last = (record, stored_operands(record, self._append, weight.source.file or self._file))
        op = self._ops[weight.key]
        unused = op.operands()
        self._forget([op, *unused])
        free = self._rewriting.free_name(weight.key.function)
        self._rewriting.replace(op, unused, built(record, self._last[1], weight.name, free))

    def _forget(self, ops: list[Operation]) -> None:
        """The stored values of operations are used no more."""
        for live in (op.live for op in ops):
            for source in self._sources[id(live)]:
                self._uses[source] = [stored for stored in self._uses[source] if stored.op is not live]

    def finish(self, raise_to: Mapping[str, str]) -> None:
        """Copy what has not been copied, and write the model file last."""
        if self._networks:
            self._networks.check()
        while self._waiting:
            self._copy(self._waiting.pop())
        rewritten = {self._layout.weight_file(name) for name in self._writers}
        for file in self._layout.files():
            if file not in rewritten | {self._layout.model}:
                shutil.copyfile(self._layout.existing(file), self._place(file))
        model = self._rewriting.message(raise_to).SerializeToString(deterministic=True)
        self._place(self._layout.model).write_bytes(model)
        self._layout.complete(self._folder, model)

    def __enter__(self) -> PackageEdit:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closing.__exit__(kind, error, trace)

    def _copy_before(self, source: Source) -> None:
        """Copy the blobs that stand before a place in the source's file and are still used."""
        while self._waiting and self._waiting[-1] < source:
            self._copy(self._waiting.pop())

    def _copy(self, source: Source) -> None:
        users = self._uses[source]
        if not users:
            return
        opened = self._opened(source.file)
        blob = opened.blob(source.offset)
        pieces = in_parts(blob.data, COPIED)
        offset = self._writer(source.file).append(blob.code, blob.data.nbytes, pieces, blob.padding)
        opened.release_before(source.offset + blob.data.nbytes)
        self._rewriting.move(users, offset)

    def _writer(self, name: str) -> BlobWriter:
        if name not in self._writers:
            writer = BlobWriter(self._place(self._layout.weight_file(name)))
            self._writers[name] = self._closing.enter_context(writer)
        return self._writers[name]

    def _place(self, file: Path) -> Path:
        """Where the copy of a file belongs; its folder made."""
        path = self._folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def _append(self, file: str, code: int, value: Value, padding: int) -> int:
        pieces = (part for piece in value.pieces() for part in in_parts(piece, COPIED))
        return self._writer(file).append(code, value.nbytes, pieces, padding)
