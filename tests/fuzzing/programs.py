"""Damage to a program that only one who knows programs would do: types, shapes, names, order, nesting."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from math import prod
from random import Random
from typing import Any

from tests.fuzzing.messages import OP_TYPES, copy_of, values_of
from tests.fuzzing.octets import NUMBERS
from tests.fuzzing.samples import MODEL, WEIGHTS, Sample, samples

# Types of as many bits: MIL's number, the code in weight files.
ALIKE = (
    ((10, 1), (13, 5), (22, 6), (32, 7)),
    ((11, 2), (23, 14), (33, 15)),
    ((21, 4), (31, 3)),
    ((25, 8), (35, 11)),
)
OPSETS = ("CoreML5", "CoreML6", "CoreML7", "CoreML8", "CoreML9", "CoreML99", "")


def damaged_program(sample: Sample, random: Random) -> Sample:
    """The model with a few operations changed."""
    model = sample.model
    for _ in range(random.choice((1, 1, 2, 4))):
        found = list(_blocks(model))
        if found:
            block = random.choice(found)
            random.choice(_CHANGES)(model, block, random)
    return sample.with_file(MODEL, model.SerializeToString(deterministic=True))


def spliced(sample: Sample, random: Random) -> Sample:
    """Operations of another sample among those of this one, whose weight file has no such values."""
    model, donor = sample.model, random.choice(samples())
    block = random.choice(list(_blocks(model)))
    foreign = random.choice(list(_blocks(donor.model)))
    start, count = random.randrange(len(foreign.operations)), random.choice((1, 3, 10))
    mark = random.choice(("", "other_", "other_", "other_"))
    for op in foreign.operations[start : start + count]:
        _insert(block, _renamed(op, mark), random)
    if random.random() < 0.5:
        sample = sample.with_file(WEIGHTS, donor.files[WEIGHTS])
    return sample.with_file(MODEL, model.SerializeToString(deterministic=True))


def _renamed(op: Any, mark: str) -> Any:
    """A copy of an operation, its results and operands called otherwise."""
    copy = copy_of(op)
    named = [*copy.outputs, *(b for argument in values_of(copy.inputs) for b in argument.arguments)]
    for each in named:
        if each.name:
            each.name = mark + each.name
    return copy


def _blocks(model: Any) -> Iterator[Any]:
    """Every block that has operations."""
    waiting = [
        block
        for function in values_of(model.mlProgram.functions)
        for block in values_of(function.block_specializations)
    ]
    while waiting:
        block = waiting.pop()
        waiting += [inner for op in block.operations for inner in op.blocks]
        if block.operations:
            yield block


def _insert(block: Any, op: Any, random: Random) -> None:
    """Put a copy of an operation anywhere in a block."""
    ops = [copy_of(each) for each in (*block.operations, op)]
    ops.insert(random.randrange(len(ops)), ops.pop())
    del block.operations[:]
    block.operations.extend(ops)


def _types_of(op: Any) -> list[Any]:
    """The types of an operation's results and of its values."""
    return [*(output.type for output in op.outputs), *(value.type for value in _values_of(op))]


def _values_of(op: Any) -> list[Any]:
    """The values that an operation holds, but for its name."""
    bindings = [b for argument in values_of(op.inputs) for b in argument.arguments]
    bound = [b.value for b in bindings if b.WhichOneof("binding") == "value"]
    return [*(op.attributes[name] for name in sorted(op.attributes) if name != "name"), *bound]


def _shape(model: Any, block: Any, random: Random) -> None:
    """One length, or the rank, the same in the result and in what is stored."""
    types = _types_of(random.choice(block.operations))
    length, place = random.choice(NUMBERS), random.randrange(4)
    for each in random.sample(types, random.randint(0, len(types))) if random.random() < 0.3 else types:
        dimensions = each.tensorType.dimensions
        if random.random() < 0.1:
            del dimensions[:]
        elif random.random() < 0.1:
            for _ in range(random.choice((1, 5, 32, 64, 1000))):
                dimensions.add().constant.size = random.choice((0, 1, 1, 1, 1 << 63))
        elif dimensions:
            dimensions[place % len(dimensions)].constant.size = length


def _reshape(model: Any, block: Any, random: Random) -> None:
    """As many elements in another shape: axes exchanged, put together, or put in; the same in all or not."""
    types = _types_of(random.choice(block.operations))
    seed, share = random.random(), random.choice((0.3, 1.0))
    for each in types:
        shape = [dimension.constant.size for dimension in each.tensorType.dimensions]
        if not shape or random.random() > share:
            continue
        alike = Random(seed)
        alike.shuffle(shape)
        if alike.random() < 0.3:
            shape[:2] = [prod(shape[:2])]
        elif alike.random() < 0.3:
            shape.insert(alike.randrange(len(shape) + 1), 1)
        del each.tensorType.dimensions[:]
        for length in shape:
            each.tensorType.dimensions.add().constant.size = length % (1 << 64)


def damaged_types(sample: Sample, random: Random) -> Sample:
    """A stored value of another type of as many bits, which the weight file confirms."""
    model, data = sample.model, bytearray(sample.files[WEIGHTS])
    ops = [op for block in _blocks(model) for op in block.operations]
    held = [(op, value) for op in ops for value in _values_of(op)]
    stored = [each for each in held if each[1].WhichOneof("value") == "blobFileValue"]
    if not stored:
        return sample
    op, value = random.choice(stored)
    number, code = random.choice(random.choice(ALIKE))
    for each in (value.type, *(_types_of(op) if random.random() < 0.3 else ())):
        each.tensorType.dataType = number
    at = value.blobFileValue.offset + 4
    if at + 4 <= len(data):
        struct.pack_into("<I", data, at, code)
    changed = sample.with_file(WEIGHTS, bytes(data))
    return changed.with_file(MODEL, model.SerializeToString(deterministic=True))


def _dtype(model: Any, block: Any, random: Random) -> None:
    """Another type of elements, the same everywhere in an operation or not."""
    types = _types_of(random.choice(block.operations))
    dtype = random.choice((0, 1, 2, 10, 11, 12, 13, 20, 21, 22, 23, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40))
    for each in types:
        if random.random() < 0.7:
            each.tensorType.dataType = dtype


def _op_type(model: Any, block: Any, random: Random) -> None:
    random.choice(block.operations).type = random.choice(OP_TYPES)


def _result(model: Any, block: Any, random: Random) -> None:
    """A result named as another one, or as an operand of its own operation."""
    op, other = random.choice(block.operations), random.choice(block.operations)
    names = [binding.name for argument in values_of(op.inputs) for binding in argument.arguments]
    names += [output.name for output in other.outputs]
    if op.outputs and names:
        random.choice(op.outputs).name = random.choice(names)


def _operand(model: Any, block: Any, random: Random) -> None:
    """An input that takes another result: its own, a later one, several, none."""
    op, other = random.choice(block.operations), random.choice(block.operations)
    if not op.inputs:
        return
    argument = op.inputs[random.choice(sorted(op.inputs))]
    if random.random() < 0.2:
        argument.arguments.add()
    names = [output.name for output in (*other.outputs, *op.outputs)] or ["none"]
    if argument.arguments:
        random.choice(argument.arguments).name = random.choice(names)


def _move(model: Any, block: Any, random: Random) -> None:
    """An operation elsewhere, in another block perhaps."""
    place = random.randrange(len(block.operations))
    copy = copy_of(block.operations[place])
    del block.operations[place]
    _insert(random.choice([*_blocks(model), block]), copy, random)


def _offset(model: Any, block: Any, random: Random) -> None:
    """A value that lies elsewhere in the weight file, as another one does or nothing."""
    stored = [each for op in block.operations for each in values_of(op.attributes)]
    stored += [b.value for op in block.operations for a in values_of(op.inputs) for b in a.arguments]
    stored = [each for each in stored if each.WhichOneof("value") == "blobFileValue"]
    if stored:
        one, other = random.choice(stored), random.choice(stored)
        numbers = (*NUMBERS, one.blobFileValue.offset + 64, other.blobFileValue.offset)
        one.blobFileValue.offset = random.choice((random.choice(numbers), other.blobFileValue.offset))


def _opset(model: Any, block: Any, random: Random) -> None:
    function = model.mlProgram.functions[random.choice(sorted(model.mlProgram.functions))]
    function.opset = random.choice(OPSETS)
    if random.random() < 0.5:
        function.block_specializations[function.opset].CopyFrom(block)


def _nest(model: Any, block: Any, random: Random) -> None:
    """The block's operations below many blocks, one in the other."""
    inner = copy_of(block)
    for _ in range(random.choice((1, 5, 20, 60))):
        outer = type(block)()
        outer.operations.add(type="cond").blocks.add().CopyFrom(inner)
        inner = outer
    del block.operations[:]
    block.operations.extend(inner.operations)


_CHANGES = (
    _shape,
    _reshape,
    _reshape,
    _dtype,
    _op_type,
    _result,
    _operand,
    _operand,
    _move,
    _offset,
    _opset,
    _nest,
)
