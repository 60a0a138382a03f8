"""From records to operations of an ML Program's message, those that they nest before them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any, TypeAlias

from milpass.records import Record, Result, Value
from milpass.targets import protobuf
from milpass.targets.mlpackage.values import describe, to_immediate, to_text
from milpass.targets.storage import TYPES, is_for_file, padding

# The stored operands of records as messages: (record's id, name) -> message.
Operands: TypeAlias = dict[tuple[int, str], Any]
# (file, type code, value, padding) -> the offset at which it was written
Append: TypeAlias = Callable[[str, int, Value, int], int]


def stored_operands(record: Record, append: Append, file: str) -> Operands:
    """Write the large operands of a record, and of those that it nests, to a weight file."""
    found: Operands = {}
    for each in _nested(record):
        attribute = each.placement == "attributes"
        for name, operand in each.operands.items():
            if isinstance(operand, Value):
                found[id(each), name] = _stored(operand, append, file, attribute=attribute)
    return found


def _nested(record: Record) -> list[Record]:
    """A record and those that it nests, each once, innermost first."""
    found: dict[int, Record] = {}
    for operand in record.operands.values():
        if isinstance(operand, Result):
            found.update({id(each): each for each in _nested(operand.record)})
    return [*found.values(), record]


def _stored(value: Value, append: Append, file: str, *, attribute: bool) -> Any:
    message = protobuf.mil().Value()
    size = prod(value.shape)
    if not is_for_file(value.dtype, size, attribute=attribute):
        to_immediate(message, value)
        return message
    describe(message.type, value.dtype, value.shape)
    message.blobFileValue.fileName = file
    code, missing = TYPES[value.dtype].code, padding(value.dtype, size)
    message.blobFileValue.offset = append(file, code, value, missing)
    return message


def built(record: Record, operands: Operands, name: str, free: Callable[[str], str]) -> list[Any]:
    """The operations of a record, itself last and named `name`; `free` gives names to the others."""
    ops: list[Any] = []
    results: dict[int, list[str]] = {}
    records = _nested(record)
    wanted = {
        id(operand.record): f"{name}_{key}"
        for each in records
        for key, operand in each.operands.items()
        if isinstance(operand, Result)
    }
    for each in records:
        own = name if each is record else free(wanted[id(each)])
        results[id(each)] = [*(free(f"{own}_{n}") for n in range(len(each.before))), own]
        ops.append(_operation(each, operands, results))
    return ops


def _operation(record: Record, operands: Operands, results: dict[int, list[str]]) -> Any:
    op = protobuf.mil().Operation(type=record.op_type)
    names = results[id(record)]
    for name, (dtype, shape) in zip(names, record.results, strict=True):
        output = op.outputs.add(name=name)
        describe(output.type, dtype, shape)
    for key, operand in record.operands.items():
        if record.placement == "attributes":
            op.attributes[key].CopyFrom(operands[id(record), key])
        elif isinstance(operand, Value):
            op.inputs[key].arguments.add().value.CopyFrom(operands[id(record), key])
        else:
            op.inputs[key].arguments.add().name = results[id(operand.record)][operand.number]
    to_text(op.attributes["name"], names[-1])
    return op


def rebuild(program: Any, source: Any, instead: Mapping[int, list[Any]]) -> None:
    """Put operations in the place of others in a copy of a program, by the `id` of the source's messages."""
    for name, function in source.functions.items() if instead else ():
        copied = program.functions[name].block_specializations
        for opset, block in function.block_specializations.items():
            _rebuild(copied[opset], block, instead)


def _rebuild(block: Any, source: Any, instead: Mapping[int, list[Any]]) -> None:
    pairs = list(zip(block.operations, source.operations, strict=True))
    for op, known in pairs:
        for inner, known_inner in zip(op.blocks, known.blocks, strict=True):
            _rebuild(inner, known_inner, instead)
    if any(id(known) in instead for _, known in pairs):
        ops = [each for op, known in pairs for each in instead.get(id(known), [op])]
        del block.operations[:]
        block.operations.extend(ops)
