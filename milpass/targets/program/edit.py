"""Editing a program in place: constants give way to the operations that decompress them."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from threading import Lock
from typing import Any

from milpass.records import Record, Result, Value
from milpass.targets.program.values import as_argument
from milpass.targets.survey import Definition
from milpass.weight import Key, Weight

# coremltools' builder has one stack of blocks for the whole process.
_ONE_AT_A_TIME = Lock()


class ProgramEdit:
    """Keeps what is to be replaced, so that nothing has changed if a later fit fails."""

    kept = None

    def __init__(self, definitions: Iterable[Definition]) -> None:
        self._definitions = {definition.key: definition for definition in definitions}
        self._names = {
            (key.function, name) for key, each in self._definitions.items() for name in _names(each)
        }
        self._records: dict[Key, Record] = {}

    def replace(self, weight: Weight, record: Record) -> None:
        """Put an operation in the constant's place, once all are known."""
        self._records[weight.key] = record

    def finish(self) -> None:
        """Edit block by block: entering one costs time in proportion to its operations."""
        with _ONE_AT_A_TIME:
            self._edit()

    def _edit(self) -> None:
        from coremltools.converters.mil import Builder as mb
        from coremltools.converters.mil.mil.scope import ScopeInfo, ScopeSource

        keys = sorted(self._records, key=lambda key: (key.function, key.block))
        graph_pass = ScopeInfo(source=ScopeSource.COREMLTOOLS_GRAPH_PASS, data=["milpass"])
        with mb.scope(graph_pass):
            for _, group in groupby(keys, key=lambda key: (key.function, key.block)):
                chosen = [(self._definitions[key], self._records[key]) for key in group]
                with chosen[0][0].op.live.enclosing_block:
                    for definition, record in chosen:
                        _replace(definition, record, self._names)


def _names(definition: Definition) -> tuple[str, str]:
    """Those of the operation and of its result."""
    return definition.op.live.name, definition.key.name


def _replace(definition: Definition, record: Record, names: set[tuple[str, str]]) -> None:
    """Build the operation before the constant, hand it the constant's readers and names, remove that."""
    old = definition.op.live
    (variable,) = old.outputs
    made = _Building(old, definition.key.function, names).built(record, old.name)
    old.enclosing_block.replace_uses_of_var_after_op(
        anchor_op=old, old_var=variable, new_var=made, force_replace=True
    )
    old.enclosing_block.remove_ops([old])
    made.op.name, made.name = old.name, variable.name
    definition.op.live = made.op


class _Building:
    """Builds a record before an operation, those that it nests before it, each once.

    `names` are those that are taken, with their functions; those that it takes are added.
    """

    def __init__(self, before: Any, function: str, names: set[tuple[str, str]]) -> None:
        self._before = before
        self._function = function
        self._names = names
        self._made: dict[int, Any] = {}

    def built(self, record: Record, name: str) -> Any:
        """The record's last result."""
        from coremltools.converters.mil import Builder as mb

        operands = {key: self._operand(given, f"{name}_{key}") for key, given in record.operands.items()}
        return getattr(mb, record.op_type)(**operands, name=name, before_op=self._before)

    def _operand(self, operand: Value | Result, name: str) -> Any:
        if isinstance(operand, Value):
            return as_argument(operand)
        if id(operand.record) not in self._made:
            nested = operand.record
            self._made[id(nested)] = self.built(nested, self._free(name, 1 + len(nested.before)))
        made = self._made[id(operand.record)]
        return made[operand.number] if isinstance(made, tuple | list) else made

    def _free(self, name: str, results: int) -> str:
        """A name that is free in the function, as are those that coremltools numbers for several results."""
        while True:
            numbered = [f"{name}_{n}" for n in range(results)] if results > 1 else []
            taken = {(self._function, each) for each in (name, *numbered)}
            if not taken & self._names:
                self._names |= taken
                return name
            name += "_"
