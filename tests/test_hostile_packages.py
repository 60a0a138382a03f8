"""What the fuzz test and the hostile packages once found, each by itself."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from milpass import ModelError, NothingCompressed, UsageError, apply, parse, read_weights
from milpass.cli import progress
from milpass.granularity import Channels, PerBlock, Ungroupable
from milpass.inspection import inspect_weights
from milpass.targets import open_target
from tests.fuzzing.hostile import HALF, add_op, edited, inline, renamed
from tests.fuzzing.messages import copy_of
from tests.fuzzing.samples import DIGITS, Sample, samples
from tests.packages import Block, Const, Op, model_of, operations_of, set_type, write_package

TABLES = parse("select_weights(threshold=50) | fit_lut(nbits=2) | replace_const_with_lut()")
CONV2, HIDDEN = "conv2_weight_to_fp16", "hidden_weight_to_fp16"
FIELDS = {"int32": 23, "uint8": 31, "int8": 21}


def of(name: str) -> Sample:
    (found,) = [sample for sample in samples() if sample.name == name]
    return found


def changed(tmp_path: Path, name: str, change: Callable[[Any, Any], object]) -> Path:
    """A sample whose message is changed."""
    package = of(name).write(tmp_path / "net.mlpackage")
    edited(change)(package)
    return package


def op_of(block: Any, result: str) -> Any:
    (found,) = [op for op in block.operations if result in [output.name for output in op.outputs]]
    return found


def value_of(op: Any, name: str) -> Any:
    """An operand, wherever the release keeps it."""
    return op.attributes[name] if name in op.attributes else op.inputs[name].arguments[0].value


def refused(package: Path, message: str, text: str = "decompress()") -> None:
    out = package.parent / "out.mlpackage"
    with pytest.raises(ModelError, match=message):
        apply(parse(text), package, out)
    assert os.listdir(package.parent) == [package.name]


def test_an_input_without_arguments(tmp_path: Path) -> None:
    def change(model: Any, block: Any) -> None:
        del op_of(block, CONV2).inputs["lut"].arguments[:]

    refused(changed(tmp_path, "tables18", change), "without a stored operand 'lut'")


def test_a_compressed_constant_of_a_release_that_has_none(tmp_path: Path) -> None:
    def change(model: Any, block: Any) -> None:
        function = model.mlProgram.functions["main"]
        function.block_specializations["CoreML5"].CopyFrom(copy_of(block))
        del function.block_specializations["CoreML6"]
        function.opset = "CoreML5"

    package = changed(tmp_path, "tables16", change)
    refused(package, "which milpass does not read")
    assert [each.distinct for each in inspect_weights(package) if each.weight.encoded] == [None] * 3


def test_a_compressed_constant_of_another_shape_than_its_result(tmp_path: Path) -> None:
    def change(model: Any, block: Any) -> None:
        op_of(block, CONV2).outputs[0].type.tensorType.dimensions[0].constant.size = 128

    refused(changed(tmp_path, "tables16", change), r"where fp16 of shape \(128, 32, 3, 3\) is said")


def test_a_compressed_constant_of_another_type_than_its_result(tmp_path: Path) -> None:
    def change(model: Any, block: Any) -> None:
        op_of(block, CONV2).outputs[0].type.tensorType.dataType = 11

    refused(changed(tmp_path, "tables18", change), "where fp32 of shape")


@pytest.mark.parametrize(
    ("name", "operand", "message"),
    [
        ("tables16", "lut", "string in place of numbers"),
        ("tables16", "shape", "string in place of whole numbers"),
        ("affine16", "axis", "string in place of one whole number"),
        ("affine18", "scale", "string in place of numbers"),
        ("vectors18", "vector_axis", "string in place of one whole number"),
    ],
)
def test_text_where_a_compressed_constant_needs_numbers(
    tmp_path: Path, name: str, operand: str, message: str
) -> None:
    def change(model: Any, block: Any) -> None:
        value = value_of(op_of(block, CONV2), operand)
        value.Clear()
        set_type(value.type, 2, (1,))
        value.immediateValue.tensor.strings.values.append("text")

    refused(changed(tmp_path, name, change), message)


@pytest.mark.parametrize(
    ("name", "operand", "held", "message"),
    [
        ("affine16", "axis", [], "0 elements in place of one whole number"),
        ("affine16", "axis", [4], "axis 4 of a tensor of rank 4"),
        ("vectors18", "vector_axis", [-9], "vectors along axis -9"),
        ("vectors18", "vector_axis", [0, 0], "2 elements in place of one"),
    ],
)
def test_an_axis_that_is_none(tmp_path: Path, name: str, operand: str, held: list[int], message: str) -> None:
    def change(model: Any, block: Any) -> None:
        value = value_of(op_of(block, CONV2), operand)
        value.Clear()
        set_type(value.type, FIELDS["int32"], (len(held),))
        value.immediateValue.tensor.ints.SetInParent()
        value.immediateValue.tensor.ints.values.extend(held)

    refused(changed(tmp_path, name, change), message)


def test_a_table_of_one_axis(tmp_path: Path) -> None:
    def change(model: Any, block: Any) -> None:
        dimensions = value_of(op_of(block, HIDDEN), "lut").type.tensorType.dimensions
        sizes = [dimension.constant.size for dimension in dimensions]
        del dimensions[:]
        dimensions.add().constant.size = int(np.prod(sizes))

    refused(changed(tmp_path, "tables18", change), "a table of shape")


def test_a_number_that_its_type_has_not(tmp_path: Path) -> None:
    def change(model: Any, block: Any) -> None:
        op = add_op(block, "constexpr_lut_to_dense", "late", (2, 2))
        inline(op, "indices", FIELDS["uint8"], np.zeros(4, np.uint8))
        value = op.inputs["lut"].arguments.add().value
        set_type(value.type, 22, (1,))  # int16
        value.immediateValue.tensor.ints.values.append(70_000)

    refused(changed(tmp_path, "tables18", change), "70000 as a number of int16")


def test_a_compressed_constant_without_elements(tmp_path: Path) -> None:
    def change(model: Any, block: Any) -> None:
        op = op_of(block, CONV2)
        op.outputs[0].type.tensorType.dimensions[0].constant.size = 0
        for name, array in (("quantized_data", np.zeros((0, 32, 3, 3), np.int8)),):
            value = op.attributes[name]
            value.Clear()
            set_type(value.type, FIELDS["int8"], array.shape)
            value.immediateValue.tensor.bytes.SetInParent()
        for name, dtype in (("scale", HALF), ("zero_point", FIELDS["int8"])):
            op.attributes[name].Clear()
            set_type(op.attributes[name].type, dtype, ())
            op.attributes[name].immediateValue.tensor.bytes.values = bytes(2 if name == "scale" else 1)

    package = changed(tmp_path, "affine16", change)
    out, plan = apply(parse("decompress()"), package, tmp_path / "out.mlpackage")
    assert CONV2 in str(plan) and read_weights(out)[CONV2].shape == (0, 32, 3, 3)


def test_values_that_are_not_finite_are_decompressed_without_a_warning(tmp_path: Path) -> None:
    def change(model: Any, block: Any) -> None:
        scale = value_of(op_of(block, CONV2), "scale")
        shape = tuple(d.constant.size for d in scale.type.tensorType.dimensions)
        scale.ClearField("blobFileValue")
        several = np.resize(np.array([np.inf, np.nan, 60_000], np.float16), shape)
        scale.immediateValue.tensor.bytes.values = several.tobytes()

    package = changed(tmp_path, "affine18", change)
    out, _ = apply(parse("decompress()"), package, tmp_path / "out.mlpackage")
    before, after = read_weights(package)[CONV2], read_weights(out)[CONV2]
    assert not np.isfinite(before).all() and before.tobytes() == after.tobytes()


def test_what_cannot_be_decoded_stays_and_does_not_hinder_the_rest(tmp_path: Path) -> None:
    def change(model: Any, block: Any) -> None:
        op_of(block, CONV2).type = "constexpr_of_tomorrow"

    package = changed(tmp_path, "tables18", change)
    out, plan = apply(TABLES, package, tmp_path / "out.mlpackage")
    assert [row.weight.name for row in plan.replaced] == ["conv1_weight_to_fp16"]
    assert operations_of(out)[CONV2].type == "constexpr_of_tomorrow"


def test_two_results_of_one_name(tmp_path: Path) -> None:
    steps = [
        Const("w", np.arange(128, dtype=np.float16).reshape(16, 8)),
        Const("w", np.ones((16, 8), np.float16)),
        Op("linear", {"x": "x", "weight": "w"}, "y"),
    ]
    refused(write_package(tmp_path / "m.mlpackage", steps), "several results named 'w' in one block")


def test_a_constant_of_two_results(tmp_path: Path) -> None:
    def change(model: Any, block: Any) -> None:
        op_of(block, CONV2).outputs.add(name="more").type.CopyFrom(op_of(block, CONV2).outputs[0].type)

    refused(changed(tmp_path, "digits", change), "a constant of 2 results")


def test_damaged_numbers_in_the_model_file(tmp_path: Path) -> None:
    def change(model: Any, block: Any) -> None:
        op_of(block, "small").attributes["val"].immediateValue.tensor.bytes.values = b"\0" * 3

    refused(changed(tmp_path, "blocks", change), "constant small.*", repr(TABLES))


def test_a_model_of_several_opsets_is_not_raised(tmp_path: Path) -> None:
    """Its block for the later release would be lost."""

    def change(model: Any, block: Any) -> None:
        function = model.mlProgram.functions["main"]
        function.block_specializations["CoreML8"].CopyFrom(copy_of(block))

    package = changed(tmp_path, "digits", change)
    with pytest.raises(NothingCompressed) as caught:
        apply(TABLES, package, tmp_path / "out.mlpackage", target="iOS18")
    assert "functions of several opsets" in str(caught.value.plan)


def test_a_model_of_a_release_not_known_is_not_turned_into_an_earlier_one(tmp_path: Path) -> None:
    def change(model: Any, block: Any) -> None:
        function = model.mlProgram.functions["main"]
        function.block_specializations["CoreML99"].CopyFrom(copy_of(block))
        del function.block_specializations["CoreML6"]
        function.opset = "CoreML99"

    package = changed(tmp_path, "digits", change)
    with pytest.raises(NothingCompressed) as caught:
        apply(TABLES, package, tmp_path / "out.mlpackage", target="iOS18")
    assert "CoreML99 is no release that milpass knows" in str(caught.value.plan)


def test_blocks_deeper_than_a_compressed_constant_leaves_readable(tmp_path: Path) -> None:
    """At 44 the plain constant could be read and what took its place could not."""
    array = np.arange(128, dtype=np.float16).reshape(16, 8)
    for depth, is_sound in ((40, True), (44, False)):
        inner = Block([Const("w", array), Op("linear", {"x": "x", "weight": "w"}, "y")], ("y",))
        for number in range(depth):
            inner = Block([Op("cond", {"x": "x"}, f"c{number}", blocks=(inner,))], (f"c{number}",))
        (tmp_path / str(depth)).mkdir()
        package = write_package(tmp_path / str(depth) / "m.mlpackage", {"main": inner})
        text = "fit_lut(nbits=2) | fit_affine(inside='lut') | replace_const_with_lut()"
        if not is_sound:
            refused(package, "blocks one inside another", f"select_weights(threshold=9) | {text}")
            continue
        pipeline = parse(f"select_weights(threshold=9) | {text}")
        out, _ = apply(pipeline, package, package.with_name("out"), target="iOS18")
        assert read_weights(out)["w"].shape == (16, 8)


def test_looking_at_a_program_adds_nothing_to_it(tmp_path: Path) -> None:
    """A map makes what it is asked for: a constant's value, the input of a reader of states."""

    def change(model: Any, block: Any) -> None:
        block.operations.add(type="read_state").outputs.add(name="state")
        set_type(op_of(block, "state").outputs[0].type, HALF, (1,))
        flag = block.operations.add(type="const")
        set_type(flag.outputs.add(name="flag").type, 1, ())
        op = add_op(block, "matmul", "late", (1, 64), x=[HIDDEN], y=[HIDDEN])
        op.inputs["transpose_x"].arguments.add(name="flag")

    package = changed(tmp_path, "digits", change)
    out, _ = apply(TABLES, package, tmp_path / "out.mlpackage")
    found = operations_of(out)
    assert not found["state"].inputs and "val" not in found["flag"].attributes


def test_an_operand_that_is_a_result_of_its_block_stays(tmp_path: Path) -> None:
    def change(model: Any, block: Any) -> None:
        op = block.operations.add(type="const")
        set_type(op.outputs.add(name="numbers").type, FIELDS["int8"], (2, 2))
        set_type(op.attributes["val"].type, FIELDS["int8"], (2, 2))
        op.attributes["val"].immediateValue.tensor.bytes.values = bytes(4)
        late = add_op(block, "constexpr_blockwise_shift_scale", "late", (2, 2), data=["numbers"])
        inline(late, "scale", HALF, np.ones((1, 1), np.float16))
        block.outputs.append("numbers")

    package = changed(tmp_path, "affine18", change)
    out, _ = apply(parse("decompress()"), package, tmp_path / "out.mlpackage")
    assert operations_of(out)["late"].type == "const" and "numbers" in operations_of(out)


def test_functions_come_in_the_order_of_their_names(tmp_path: Path) -> None:
    """A message's maps have another order in each process."""
    array = np.arange(128, dtype=np.float16).reshape(16, 8)
    step = [Const("w", array), Op("linear", {"x": "x", "weight": "w"}, "y")]
    names = [f"f{number}" for number in range(20)]
    package = write_package(tmp_path / "m.mlpackage", {name: Block(step, ("y",)) for name in names})
    assert [weight.key.function for weight in open_target(package).weights()] == sorted(names)


def test_long_names_and_control_characters_are_shown_short_and_escaped(tmp_path: Path) -> None:
    package = shutil.copytree(DIGITS, tmp_path / "net.mlpackage")
    renamed("\x1b[31m\n" + "n" * 100_000)(package)
    text = str(TABLES.plan(package))
    assert "\\x1b[31m\\nnnn" in text and max(map(len, text.splitlines())) < 1000
    with pytest.raises(ModelError) as caught:
        open_target("\x1b\u2028\x07" + "p" * 100_000)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 2000
    assert "\\x1b" in str(caught.value)


def test_brackets_in_a_name_are_no_markup_of_the_progress_line(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.StringIO()
    monkeypatch.setattr("rich.console.Console", lambda stderr: Console(file=shown, force_terminal=True))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with progress.progress(quiet=False) as report:
        assert report is not None
        report("[/b]weight", 1, 2)
    assert "[/b]weight" in shown.getvalue()


def test_paths_that_are_no_unicode_or_that_the_output_cannot_say(tmp_path: Path) -> None:
    package = shutil.copytree(DIGITS, tmp_path / os.fsdecode(b"net\xff.mlpackage"))
    out = tmp_path / (os.fsdecode(b"aus\xff") + "\u4e2d")
    command = [sys.executable, "-m", "milpass", "palettize", str(package), "-o", str(out)]
    for encoding in ("ascii", "latin-1", "utf-8"):
        environment = {**os.environ, "PYTHONIOENCODING": encoding}
        done = subprocess.run([*command, "--overwrite"], capture_output=True, env=environment, check=False)
        assert (done.returncode, done.stderr) == (0, b""), done.stderr
        assert b"wrote" in done.stdout


def test_a_path_with_a_zero_byte() -> None:
    with pytest.raises(ModelError, match="a path with a zero byte"):
        open_target("a\0b")
    with pytest.raises(UsageError, match="zero byte"):
        apply(TABLES, DIGITS, "a\0b")


def test_the_nearest_groups_of_a_long_axis_are_found_at_once() -> None:
    with pytest.raises(Ungroupable, match=re.escape("2 or 4 do")):
        PerBlock((3, 1)).groups((1 << 40, 1), Channels(0, 1))


def test_the_model_of_a_sound_copy_is_unchanged_but_for_its_constants(tmp_path: Path) -> None:
    out, _ = apply(TABLES, DIGITS, tmp_path / "out.mlpackage")
    before, after = model_of(DIGITS), model_of(out)
    before.ClearField("mlProgram")
    after.ClearField("mlProgram")
    assert before == after
