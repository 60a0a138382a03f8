"""The package target: what it finds, what it writes, and that nothing else changes."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from milpass import (
    Pipeline,
    apply,
    decompress,
    fit_lut,
    prune_weights,
    read_weights,
    replace_const_with_lut,
    replace_const_with_sparse,
    select_weights,
)
from milpass.plan import Skipped
from milpass.selectors import Selector, anything, is_weight, name
from milpass.targets import open_target
from milpass.weight import Weight
from tests.packages import (
    Block,
    Const,
    Op,
    blob_bytes,
    digest,
    masked,
    model_of,
    operations_of,
    write_package,
)

# The type that numpy has not, by the numbers of MIL's DataType and of MILBlob's.
BFLOAT16, BFLOAT16_BLOB = 13, 5


def weight(seed: int, shape: tuple[int, ...] = (16, 8), dtype: type = np.float16) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def palettization(nbits: int = 4, where: Selector = is_weight) -> Pipeline:
    return select_weights(threshold=64, where=where) | fit_lut(nbits=nbits) | replace_const_with_lut()


def two_linears(path: Path) -> Path:
    steps = [
        Const("w1", weight(1)),
        Const("b1", weight(2, (16,))),
        Op("linear", {"x": "x", "weight": "w1", "bias": "b1"}, "h"),
        Const("w2", weight(3, dtype=np.float32)),
        Op("linear", {"x": "h", "weight": "w2"}, "y"),
    ]
    return write_package(path, steps)


def test_constants_are_found_with_their_readers(tmp_path: Path) -> None:
    loop = Block([Op("matmul", {"x": "i", "y": "outer"}, "m")], outputs=("m",), inputs=("i",))
    steps = [
        Const("outer", weight(1)),
        Const("turned", weight(2)),
        Op("transpose", {"x": "turned"}, "turned_t"),
        Op("linear", {"x": "x", "weight": "turned_t"}, "h"),
        Op("while_loop", {"loop_vars": "h"}, "l", blocks=(loop,)),
    ]
    found = {w.name: w for w in open_target(write_package(tmp_path / "m.mlpackage", steps)).weights()}
    assert [(r.op_type, r.op_name, r.input, r.role) for r in found["outer"].readers] == [
        ("matmul", "m_op", "y", "weight")
    ]
    (reader,) = found["turned"].readers
    assert (reader.op_type, reader.role, reader.through) == ("linear", "weight", ("transpose",))
    assert (found["outer"].shape, found["outer"].dtype, found["outer"].nbytes) == ((16, 8), "fp16", 256)


def test_an_inner_constant_hides_an_outer_one_of_the_same_name(tmp_path: Path) -> None:
    inner = Block([Const("w", weight(1)), Op("linear", {"x": "i", "weight": "w"}, "m")], ("m",), ("i",))
    steps = [
        Const("w", weight(2)),
        Op("conv", {"x": "x", "weight": "w"}, "h"),
        Op("while_loop", {"loop_vars": "h"}, "l", blocks=(inner,)),
    ]
    outer, hidden = open_target(write_package(tmp_path / "m.mlpackage", steps)).weights()
    assert outer.key.block == () and hidden.key.block == ("l_op[0]",)
    assert [r.op_type for r in outer.readers] == ["conv"]
    assert [r.op_type for r in hidden.readers] == ["linear"]


def test_values_are_those_written(tmp_path: Path) -> None:
    for found in open_target(two_linears(tmp_path / "m.mlpackage")).weights():
        expected = {"w1": weight(1), "b1": weight(2, (16,)), "w2": weight(3, dtype=np.float32)}
        np.testing.assert_array_equal(found.load(), expected[found.name])


def test_a_lookup_table_takes_the_constants_place(tmp_path: Path) -> None:
    source = two_linears(tmp_path / "m.mlpackage")
    out, _ = apply(palettization(nbits=4), source, tmp_path / "out.mlpackage")
    op = operations_of(out)["w1"]
    assert op.type == "constexpr_lut_to_dense" and not op.inputs
    assert list(op.attributes["name"].immediateValue.tensor.strings.values) == ["w1"]
    assert [d.constant.size for d in op.outputs[0].type.tensorType.dimensions] == [16, 8]
    table = np.frombuffer(blob_bytes(out, op.attributes["lut"]), np.float16)
    packed = np.frombuffer(blob_bytes(out, op.attributes["indices"]), np.uint8)
    indices = np.stack([packed & 15, packed >> 4], axis=1).reshape(16, 8)
    shape = np.frombuffer(op.attributes["shape"].immediateValue.tensor.bytes.values, np.uint32)
    assert table.shape == (16,) and shape.tolist() == [16, 8]
    nearest = np.abs(weight(1)[..., None].astype(float) - table.astype(float)).argmin(axis=-1)
    np.testing.assert_array_equal(indices, nearest)


def test_all_but_the_chosen_constants_stays_equal(tmp_path: Path) -> None:
    source = two_linears(tmp_path / "m.mlpackage")
    before = digest(source)
    out, plan = apply(palettization(where=name("w1")), source, tmp_path / "out.mlpackage")
    assert [row.weight.name for row in plan.replaced] == ["w1"]
    assert masked(model_of(out), ["w1"]) == masked(model_of(source), ["w1"])
    for kept in ("b1", "w2"):
        value = operations_of(out)[kept].attributes["val"]
        assert blob_bytes(out, value) == blob_bytes(source, operations_of(source)[kept].attributes["val"])
    assert digest(source) == before
    assert (out / "Manifest.json").read_bytes() == (source / "Manifest.json").read_bytes()


def test_other_files_of_the_package_are_copied(tmp_path: Path) -> None:
    source = two_linears(tmp_path / "m.mlpackage")
    (source / "Data" / "notes").mkdir()
    (source / "Data" / "notes" / "a.txt").write_bytes(b"kept")
    out, _ = apply(palettization(), source, tmp_path / "out.mlpackage")
    assert (out / "Data" / "notes" / "a.txt").read_bytes() == b"kept"


def test_bytes_shared_by_two_constants_are_stored_once(tmp_path: Path) -> None:
    array = weight(1)
    steps = [
        Const("a", array, share="s"),
        Const("b", array, share="s"),
        Op("linear", {"x": "x", "weight": "a"}, "h"),
        Op("linear", {"x": "h", "weight": "b"}, "y"),
    ]
    source = write_package(tmp_path / "m.mlpackage", steps)
    both, _ = apply(palettization(), source, tmp_path / "both.mlpackage")
    ops = operations_of(both)
    for operand in ("indices", "lut"):
        assert len({ops[n].attributes[operand].blobFileValue.offset for n in "ab"}) == 1
    mixed, _ = apply(palettization(where=name("b")), source, tmp_path / "mixed.mlpackage")
    assert blob_bytes(mixed, operations_of(mixed)["a"].attributes["val"]) == array.tobytes()
    assert operations_of(mixed)["b"].type == "constexpr_lut_to_dense"


def test_functions_and_files_each_keep_their_own(tmp_path: Path) -> None:
    def body(seed: int, file: str) -> Block:
        const = Const("w", weight(seed), file=f"@model_path/weights/{file}")
        return Block([const, Op("linear", {"x": "x", "weight": "w"}, "y")], ("y",))

    functions = {"main": body(1, "0.bin"), "other": body(2, "1.bin")}
    source = write_package(tmp_path / "m.mlpackage", functions)
    out, plan = apply(palettization(), source, tmp_path / "out.mlpackage")
    assert sorted(row.weight.key.function for row in plan.replaced) == ["main", "other"]
    for function in model_of(out).mlProgram.functions.values():
        (block,) = function.block_specializations.values()
        assert block.operations[0].attributes["indices"].blobFileValue.fileName.endswith(".bin")
    names = {path.name for path in (out / "Data/com.apple.CoreML/weights").iterdir()}
    assert names == {"0.bin", "1.bin"}


@pytest.mark.parametrize(
    ("steps", "reason"),
    [
        ([Const("w", weight(1)), Op("prelu", {"x": "x", "alpha": "w"}, "y")], "plain constant"),
        ([Const("w", weight(1), immediate=True), Op("linear", {"weight": "w"}, "y")], "model file"),
    ],
)
def test_what_cannot_be_fed_compressed_is_refused(
    tmp_path: Path, steps: list[Const | Op], reason: str
) -> None:
    source = write_package(tmp_path / "m.mlpackage", steps)
    (row,) = palettization(where=anything).plan(source).rows
    assert isinstance(row.entry, Skipped) and row.entry.code == "barred"
    assert reason in row.entry.reason


def test_a_constant_that_leaves_its_block_is_refused(tmp_path: Path) -> None:
    block = Block([Const("w", weight(1))], outputs=("w",))
    source = write_package(tmp_path / "m.mlpackage", {"main": block})
    (row,) = palettization(where=anything).plan(source).rows
    assert isinstance(row.entry, Skipped) and "result of its block" in row.entry.reason


def test_a_program_before_ios16_is_raised(tmp_path: Path) -> None:
    steps = [Const("w", weight(1)), Op("linear", {"x": "x", "weight": "w"}, "y")]
    source = write_package(tmp_path / "m.mlpackage", steps, version=6, opset="CoreML5")
    out, plan = apply(palettization(), source, tmp_path / "out.mlpackage")
    model = model_of(out)
    function = model.mlProgram.functions["main"]
    assert (model.specificationVersion, function.opset) == (7, "CoreML6")
    assert list(function.block_specializations) == ["CoreML6"]
    assert "raised from iOS15 to iOS16" in plan.notes[0]


def test_a_program_whose_operations_would_change_is_not_raised(tmp_path: Path) -> None:
    steps = [Const("w", weight(1)), Op("gather", {"x": "w"}, "g"), Op("topk", {"x": "g"}, "y")]
    source = write_package(tmp_path / "m.mlpackage", steps, version=6, opset="CoreML5")
    (row,) = palettization().plan(source).rows
    assert isinstance(row.entry, Skipped) and row.entry.code == "opset"
    assert "gather, topk" in row.entry.reason


def test_compressed_constants_are_rows_and_are_read(tmp_path: Path) -> None:
    source = two_linears(tmp_path / "m.mlpackage")
    once, _ = apply(palettization(where=name("w1")), source, tmp_path / "once.mlpackage")
    twice, plan = apply(palettization(), once, tmp_path / "twice.mlpackage")
    codes = {row.weight.name: getattr(row.entry, "code", "replaced") for row in plan.rows}
    assert codes == {"w1": "encoded", "b1": "size", "w2": "replaced"}
    np.testing.assert_array_equal(read_weights(once)["w1"], read_weights(twice)["w1"])


def test_a_weight_that_is_not_finite_stays_as_it_is(tmp_path: Path) -> None:
    bad = weight(1)
    bad[3, 5] = np.nan
    bad[4, 0] = np.inf
    steps = [
        Const("bad", bad),
        Op("linear", {"x": "x", "weight": "bad"}, "h"),
        Const("good", weight(2)),
        Op("linear", {"x": "h", "weight": "good"}, "y"),
    ]
    source = write_package(tmp_path / "m.mlpackage", steps)
    out, plan = apply(palettization(), source, tmp_path / "out.mlpackage")
    reasons = {row.weight.name: row.entry.reason for row in plan.skipped if isinstance(row.entry, Skipped)}
    assert reasons == {"bad": "2 of 128 elements are not finite, the first at [3, 5]"}
    assert blob_bytes(out, operations_of(out)["bad"].attributes["val"]) == bad.tobytes()


def test_tables_that_share_their_indices_stay_apart(tmp_path: Path) -> None:
    steps = [
        Const("a", weight(1)),
        Op("linear", {"x": "x", "weight": "a"}, "h"),
        Const("b", 2 * weight(1)),
        Op("linear", {"x": "h", "weight": "b"}, "y"),
    ]
    source = write_package(tmp_path / "m.mlpackage", steps)
    small, _ = apply(palettization(), source, tmp_path / "small.mlpackage")
    model, values = model_of(small), read_weights(small)
    (block,) = model.mlProgram.functions["main"].block_specializations.values()
    first, second = (op for op in block.operations if op.type == "constexpr_lut_to_dense")
    offset = first.attributes["indices"].blobFileValue.offset
    second.attributes["indices"].blobFileValue.offset = offset
    (small / "Data" / "com.apple.CoreML" / "model.mlmodel").write_bytes(model.SerializeToString())
    back, _ = apply(decompress(), small, tmp_path / "back.mlpackage")
    for key, array in read_weights(back).items():
        np.testing.assert_array_equal(array, values[key])


def test_weights_that_share_their_bytes_are_each_fitted_by_their_importance(tmp_path: Path) -> None:
    steps = [
        Const("a", weight(1), share="s"),
        Const("b", weight(1), share="s"),
        Op("linear", {"x": "x", "weight": "a"}, "h"),
        Op("linear", {"x": "h", "weight": "b"}, "y"),
    ]
    source = write_package(tmp_path / "m.mlpackage", steps)
    asked = []

    def importance(weight: Weight) -> np.ndarray:
        asked.append(weight.name)
        return np.ones(weight.shape)

    fit = fit_lut(nbits=2, importance=importance)
    apply(select_weights(64) | fit | replace_const_with_lut(), source, tmp_path / "out.mlpackage")
    assert sorted(asked) == ["a", "b"]


def test_what_stands_in_the_model_file_is_decompressed_to_a_weight_file(tmp_path: Path) -> None:
    steps = [Const("w", np.zeros((5, 16), np.float16)), Op("linear", {"x": "x", "weight": "w"}, "y")]
    source = write_package(tmp_path / "m.mlpackage", steps)
    pruned = select_weights(64) | prune_weights(sparsity=0.5) | replace_const_with_sparse()
    small, _ = apply(pruned, source, tmp_path / "small.mlpackage")
    back, _ = apply(decompress(), small, tmp_path / "back.mlpackage")
    assert blob_bytes(back, operations_of(back)["w"].attributes["val"]) == bytes(160)


def test_bf16_constants_stay_and_are_read(tmp_path: Path) -> None:
    values = np.random.default_rng(2).normal(size=(8, 64)).astype(np.float32)
    upper = (values.view(np.uint32) >> 16).astype(np.uint16)

    def change(model: Any) -> None:
        (block,) = model.mlProgram.functions["main"].block_specializations.values()
        (const,) = (each for each in block.operations if each.outputs[0].name == "b")
        for kind in (const.outputs[0].type, const.attributes["val"].type):
            kind.tensorType.dataType = BFLOAT16

    steps = [
        Const("w", values.astype(np.float16)),
        Const("b", upper.view(np.float16)),
        Op("linear", {"x": "x", "weight": "w", "bias": "b"}, "y"),
    ]
    source = write_package(tmp_path / "m.mlpackage", steps, change=change)
    (file,) = source.rglob("weight.bin")
    data = bytearray(file.read_bytes())
    at = data.rindex(struct.pack("<II", 0xDEADBEEF, 1))
    data[at + 4 : at + 8] = struct.pack("<I", BFLOAT16_BLOB)
    file.write_bytes(bytes(data))
    pipeline = select_weights(64, where=anything) | fit_lut(nbits=4) | replace_const_with_lut()
    out, plan = apply(pipeline, source, tmp_path / "out.mlpackage")
    assert [row.weight.name for row in plan.replaced] == ["w"]
    assert blob_bytes(out, operations_of(out)["b"].attributes["val"]) == upper.tobytes()
    expected = (upper.astype(np.uint32) << 16).view(np.float32)
    assert np.array_equal(read_weights(out)["b"], expected)
