"""Packages that are damaged or hostile: one clear error each, and nothing written."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from milpass import ModelError, Pipeline, apply, fit_lut, replace_const_with_lut, select_weights
from tests.packages import Const, Op, write_package

MODEL = Path("Data/com.apple.CoreML/model.mlmodel")
WEIGHTS = Path("Data/com.apple.CoreML/weights/weight.bin")
PIPELINE = Pipeline(select_weights(threshold=16), fit_lut(nbits=2), replace_const_with_lut())


def package(path: Path, change: Callable[[Any], None] | None = None) -> Path:
    array = np.arange(128, dtype=np.float16).reshape(16, 8)
    steps = [Const("w", array), Op("linear", {"x": "x", "weight": "w"}, "y")]
    return write_package(path / "m.mlpackage", steps, change=change)


def assert_refused(source: Path, message: str) -> None:
    out = source.parent / "out.mlpackage"
    before = sorted(os.listdir(source.parent))
    with pytest.raises(ModelError, match=message) as caught:
        apply(PIPELINE, source, out)
    assert "\n" not in str(caught.value) and caught.value.exit_code == 4
    assert sorted(os.listdir(source.parent)) == before


def overwritten(path: Path, offset: int, form: str, *values: int) -> None:
    data = bytearray(path.read_bytes())
    struct.pack_into(form, data, offset, *values)
    path.write_bytes(data)


def value_of(model: Any) -> Any:
    (block,) = model.mlProgram.functions["main"].block_specializations.values()
    return block.operations[0].attributes["val"]


def test_no_such_path(tmp_path: Path) -> None:
    assert_refused(tmp_path / "none.mlpackage", "no such file or folder")


def test_a_single_file_without_a_model(tmp_path: Path) -> None:
    (tmp_path / "m.mlmodel").write_bytes(b"\x08\x01")
    assert_refused(tmp_path / "m.mlmodel", "an empty model")


def test_a_folder_that_is_no_package(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    assert_refused(tmp_path / "folder", "without Manifest.json")


def test_a_compiled_model(tmp_path: Path) -> None:
    (tmp_path / "m.mlmodelc").mkdir()
    (tmp_path / "m.mlmodelc" / "coremldata.bin").write_bytes(b"")
    assert_refused(tmp_path / "m.mlmodelc", "compiled")


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b'{"rootModelIdentifier": "M"}',
        b'{"itemInfoEntries": {"M": {"path": 3}}, "rootModelIdentifier": "M"}',
        b'{"itemInfoEntries": {"M": {"path": "a\\u0000b"}}, "rootModelIdentifier": "M"}',
        b"[" * 100_000,
    ],
)
def test_a_damaged_manifest(tmp_path: Path, text: bytes) -> None:
    source = package(tmp_path)
    (source / "Manifest.json").write_bytes(text)
    assert_refused(source, "damaged Manifest.json")


@pytest.mark.parametrize("path", ["../../../secret", "/etc/passwd", "com.apple.CoreML/../../../x"])
def test_a_manifest_that_leads_out(tmp_path: Path, path: str) -> None:
    source = package(tmp_path)
    manifest = json.loads((source / "Manifest.json").read_text())
    manifest["itemInfoEntries"]["M"]["path"] = path
    (source / "Manifest.json").write_text(json.dumps(manifest))
    assert_refused(source, "paths that stay inside|the file that the package names")


def test_a_link_that_leads_out(tmp_path: Path) -> None:
    source = package(tmp_path)
    (source / WEIGHTS).rename(tmp_path / "elsewhere.bin")
    (source / WEIGHTS).symlink_to(tmp_path / "elsewhere.bin")
    assert_refused(source, "paths that stay inside")


@pytest.mark.parametrize("length", [1, 7, 100])
def test_a_truncated_model(tmp_path: Path, length: int) -> None:
    source = package(tmp_path)
    (source / MODEL).write_bytes((source / MODEL).read_bytes()[:-length])
    assert_refused(source, "no Core ML model")


def test_an_empty_model(tmp_path: Path) -> None:
    source = package(tmp_path)
    (source / MODEL).write_bytes(b"")
    assert_refused(source, "an empty model")


def test_trees(tmp_path: Path) -> None:
    source = package(tmp_path, lambda model: model.treeEnsembleClassifier.SetInParent())
    assert_refused(source, "a treeEnsembleClassifier")


def test_an_unsound_neural_network(tmp_path: Path) -> None:
    def network(model: Any) -> None:
        product = model.neuralNetwork.layers.add(name="fc").innerProduct
        product.inputChannels, product.outputChannels = 2, 3
        product.weights.floatValue.extend([1.0] * 5)

    assert_refused(package(tmp_path, network), "weight fc/weights: .* 5 elements in floatValue for 6")


def test_a_missing_weight_file(tmp_path: Path) -> None:
    source = package(tmp_path)
    (source / WEIGHTS).unlink()
    assert_refused(source, "no file Data/com.apple.CoreML/weights/weight.bin")


@pytest.mark.parametrize("size", [0, 63, 64, 127, 128, 383])
def test_a_truncated_weight_file(tmp_path: Path, size: int) -> None:
    source = package(tmp_path)
    os.truncate(source / WEIGHTS, size)
    assert_refused(source, "weight file")


@pytest.mark.parametrize(
    ("offset", "form", "value", "message"),
    [
        (4, "<I", 3, "version 3"),
        (64, "<I", 0, "no blob at offset 64"),
        (68, "<I", 2, "type 2"),
        (68, "<I", 77, "type 77"),
        (72, "<Q", 1 << 60, "a blob of"),
        (72, "<Q", 100, "100 bytes"),
        (80, "<Q", 1 << 63, "a blob of"),
        (80, "<Q", 0, "a blob of"),
    ],
)
def test_a_damaged_weight_file(tmp_path: Path, offset: int, form: str, value: int, message: str) -> None:
    source = package(tmp_path)
    overwritten(source / WEIGHTS, offset, form, value)
    assert_refused(source, message)


@pytest.mark.parametrize("offset", [0, 1 << 40, (1 << 64) - 1])
def test_a_reference_outside_the_file(tmp_path: Path, offset: int) -> None:
    def change(model: Any) -> None:
        value_of(model).blobFileValue.offset = offset

    assert_refused(package(tmp_path, change), "a reference to offset")


@pytest.mark.parametrize(
    "name", ["weights/weight.bin", "@model_path/../../../w.bin", "@model_path//etc/passwd", "", "\0"]
)
def test_a_weight_file_named_outside(tmp_path: Path, name: str) -> None:
    def change(model: Any) -> None:
        value_of(model).blobFileValue.fileName = name

    source = package(tmp_path, change)
    assert_refused(source, "weights below|paths that stay inside")


@pytest.mark.parametrize("length", [0, 17, 1 << 62, (1 << 64) - 1])
def test_an_absurd_shape(tmp_path: Path, length: int) -> None:
    def change(model: Any) -> None:
        (block,) = model.mlProgram.functions["main"].block_specializations.values()
        for message in (block.operations[0].outputs[0].type, value_of(model).type):
            message.tensorType.dimensions[0].constant.size = length

    assert_refused(package(tmp_path, change), "elements of fp16|the shape")


def test_a_value_of_another_type_than_its_result(tmp_path: Path) -> None:
    def change(model: Any) -> None:
        value_of(model).type.tensorType.dimensions[0].constant.size = 128
        value_of(model).type.tensorType.dimensions[1].constant.size = 1

    assert_refused(package(tmp_path, change), "constant w.*another type")
