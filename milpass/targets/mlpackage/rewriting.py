"""What an edit changes in a package's message: told piece by piece, carried out on a copy at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from milpass.targets.members import Member, members_of
from milpass.targets.mlpackage.operations import rebuild
from milpass.targets.mlpackage.survey import ProgramSurvey, Stored
from milpass.targets.mlpackage.values import to_text
from milpass.targets.survey import Operation


class Rewriting:
    """Operations in the place of others, values in other places of their files, formats.

    The package's own message, by which its values are found, stays as it is; but with `in_place`.
    """

    def __init__(
        self, model: Any, programs: tuple[Member, ...], survey: ProgramSurvey, *, in_place: bool
    ) -> None:
        self._model = model
        self._programs = programs
        self._in_place = in_place
        self._names = {(definition.key.function, definition.key.name) for definition in survey.definitions}
        self._instead: dict[int, list[Any]] = {}
        self._moved: list[tuple[Any, int, int]] = []

    def replace(self, op: Operation, unused: Iterable[Operation], made: list[Any]) -> None:
        """Put operations in the place of one, whose name the last of them takes, and of its own operands."""
        del made[-1].attributes["name"]
        to_text(made[-1].attributes["name"], op.name)
        self._instead.update({id(each.live): [] for each in unused})
        self._instead[id(op.live)] = made

    def move(self, users: Iterable[Stored], offset: int) -> None:
        """Note where values will lie in their file."""
        places = (stored.value.blobFileValue for stored in users)
        self._moved += [(place, place.offset, offset) for place in places]

    def free_name(self, function: str) -> Callable[[str], str]:
        """What makes a name that nothing in a function has yet."""

        def free(wanted: str) -> str:
            name = wanted
            while (function, name) in self._names:
                name += "_"
            self._names.add((function, name))
            return name

        return free

    def message(self, raise_to: Mapping[str, str]) -> Any:
        """The message of the copy, its programs raised to formats, by their places."""
        edited = self._relocated()
        programs = {each.place: each for each in members_of(edited)}
        for source in self._programs:
            copied = programs[source.place]
            rebuild(copied.model.mlProgram, source.model.mlProgram, self._instead)
            if source.place in raise_to:
                copied.raise_to(raise_to[source.place])
        return edited

    def _relocated(self) -> Any:
        """A message in which values are where they have been copied to."""
        for place, _, offset in self._moved:
            place.offset = offset
        if self._in_place:
            return self._model
        copied = type(self._model)()
        copied.CopyFrom(self._model)
        for place, offset, _ in self._moved:
            place.offset = offset
        return copied
