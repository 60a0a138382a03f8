"""Neural networks that are damaged, destinations that will not do, and the command: one line each."""

from __future__ import annotations

import os
import random
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from milpass import (
    ModelError,
    UsageError,
    apply,
    decompress,
    fit_affine,
    parse,
    read_weights,
    replace_const_with_affine,
)
from milpass.cli import main
from milpass.errors import MilpassError, NothingCompressed
from milpass.selectors import name as called
from tests import networks
from tests.every_layer import every_layer, lstm
from tests.networks import AFFINE, CAST, EVERYTHING, LUT, network_of, new_model, saved, small

# Damage


def unsound(change: Callable[[Any], None]) -> Callable[[Path], Path]:
    def make(path: Path) -> Path:
        model = small()
        change(network_of(model).layers[2].innerProduct)
        return saved(model, path)

    return make


def of_kind(kind: str) -> Callable[[Path], Path]:
    return lambda path: saved(new_model(kind), path)


def packed(field: Any) -> None:
    field.weights.rawValue = b"123"


def set_bits(field: Any, nbits: int) -> None:
    field.weights.quantization.numberOfBits = nbits


def written(data: bytes) -> Callable[[Path], Path]:
    def make(path: Path) -> Path:
        path.write_bytes(data)
        return path

    return make


DAMAGED: dict[str, tuple[Callable[[Path], Path], str]] = {
    "nothing": (written(b""), "an empty model"),
    "text": (written(b"not a model at all"), "18 bytes that are no Core ML model"),
    "cut short": (written(small().SerializeToString()[:-100]), "that are no Core ML model"),
    "an ML Program": (of_kind("mlProgram"), "an ML Program without its package"),
    "trees": (of_kind("treeEnsembleClassifier"), "a treeEnsembleClassifier, needs a neural network"),
    "too few": (unsound(lambda p: p.weights.floatValue.pop()), "127 elements in floatValue for 128"),
    "channels": (unsound(lambda p: setattr(p, "outputChannels", 1 << 60)), "128 elements in floatValue"),
    "both": (unsound(packed), "both floatValue and rawValue"),
    "odd halves": (
        unsound(lambda p: (p.weights.Clear(), setattr(p.weights, "float16Value", b"x" * 257))),  # type: ignore[func-returns-value]
        "128 elements in float16Value",
    ),
    "few bytes": (
        unsound(lambda p: (p.weights.Clear(), packed(p), set_bits(p, 3))),  # type: ignore[func-returns-value]
        "8 elements in rawValue for 128",
    ),
    "no channels": (
        unsound(
            lambda p: (p.weights.Clear(), packed(p), set_bits(p, 3), setattr(p, "outputChannels", 0))  # type: ignore[func-returns-value]
        ),
        "8 elements in rawValue for 0",
    ),
    "no bits": (unsound(lambda p: (p.weights.Clear(), packed(p))), "numbers of 0 bits"),  # type: ignore[func-returns-value]
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_networks_end_in_one_line(name: str, tmp_path: Path) -> None:
    make, message = DAMAGED[name]
    source = make(tmp_path / "m.mlmodel")
    with pytest.raises(ModelError) as refused:
        apply(LUT, source, tmp_path / "out.mlmodel")
    assert message in str(refused.value) and "\n" not in str(refused.value)
    result = CliRunner().invoke(main, ["inspect", str(source)])
    assert result.exit_code == 4 and result.stderr == f"milpass: {refused.value}\n"
    assert os.listdir(tmp_path) == ["m.mlmodel"]


def nested(loops: int, pipelines: int, *, deepest: bool) -> Any:
    """A network inside loops, inside pipelines; `deepest` is the layer whose weights are the deepest."""
    model = new_model(version=4)
    network = network_of(model)
    for number in range(loops):
        network = networks.add(network, "loop", f"loop{number}").bodyNetwork
    networks.add_product(network, "fc", "x", "x")
    if deepest:
        layer = networks.add(network, "biDirectionalLSTM", "lstm", "x", "y")
        layer.inputVectorSize, layer.outputVectorSize = 7, 5
        lstm(layer.weightParams.add())
    for _ in range(pipelines):
        around = new_model("pipelineClassifier")
        around.pipelineClassifier.pipeline.models.add().CopyFrom(model)
        model = around
    return model


@pytest.mark.parametrize("deepest", [False, True])
@pytest.mark.parametrize("pipelines", [0, 1, 15])
def test_whatever_is_read_can_be_written_and_read_again(
    pipelines: int, deepest: bool, tmp_path: Path
) -> None:
    outcomes = []
    for loops in (31 - pipelines, 32 - pipelines):
        source = saved(nested(loops, pipelines, deepest=deepest), tmp_path / f"{loops}.mlmodel")
        try:
            for number, pipeline in enumerate((LUT, AFFINE, CAST)):
                out, _ = apply(pipeline, source, tmp_path / f"{loops}-{number}.mlmodel")
                networks.parsed(out)
            outcomes.append("written")
        except ModelError as error:
            outcomes.append("refused")
            assert str(error).startswith(f"{source}: ")
    assert outcomes == ["written", "refused"]


def test_values_as_large_as_any_are_refused_without_a_warning(tmp_path: Path) -> None:
    model = small()
    values = network_of(model).layers[2].innerProduct.weights.floatValue
    values[0], values[1] = 3.4e38, -3.4e38
    source = saved(model, tmp_path / "m.mlmodel")
    text = "fit_affine(mode='linear_symmetric', nbits=4) | replace_const_with_affine()"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _, plan = apply(EVERYTHING | parse(text), source, tmp_path / "out.mlmodel")
    (left,) = plan.skipped
    assert left.weight.name == "fc/weights" and "more than fp32 holds" in left.entry.reason  # type: ignore[union-attr]


def test_parameters_that_do_not_fit_are_told_when_they_are_read(tmp_path: Path) -> None:
    out, _ = apply(AFFINE, saved(small(), tmp_path / "m.mlmodel"), tmp_path / "out.mlmodel")
    model = networks.parsed(out)
    network_of(model).layers[2].innerProduct.weights.quantization.linearQuantization.scale.pop()
    source = saved(model, tmp_path / "odd.mlmodel")
    with pytest.raises(ModelError, match=r"fc/weights: .* got 7 scales for the shape"):
        apply(decompress(), source, tmp_path / "back.mlmodel")
    assert CliRunner().invoke(main, ["inspect", str(source)]).exit_code == 0
    _, plan = apply(decompress(called("conv*")), source, tmp_path / "back.mlmodel")
    assert len(plan.replaced) == 2


def test_bytes_after_the_numbers_do_not_matter(tmp_path: Path) -> None:
    """As to Core ML, which asks for enough of them."""
    out, _ = apply(LUT, saved(small(), tmp_path / "m.mlmodel"), tmp_path / "out.mlmodel")
    model, expected = networks.parsed(out), read_weights(out)
    for _, message in networks.weight_messages(model):
        message.rawValue += bytes(9)
    found = read_weights(saved(model, tmp_path / "more.mlmodel"))
    assert {n: a.tobytes() for n, a in found.items()} == {n: a.tobytes() for n, a in expected.items()}


def test_absurd_numbers_of_bits(tmp_path: Path) -> None:
    model = small()
    weights = network_of(model).layers[2].innerProduct.weights
    weights.Clear()
    weights.int8RawValue = bytes(128)
    weights.quantization.numberOfBits = (1 << 64) - 1
    weights.quantization.linearQuantization.scale.append(float("nan"))
    source = saved(model, tmp_path / "m.mlmodel")
    assert CliRunner().invoke(main, ["inspect", str(source)]).exit_code == 0
    assert np.isnan(read_weights(source)["fc/weights"]).all()
    _, plan = apply(LUT, source, tmp_path / "out.mlmodel")
    assert {row.weight.name for row in plan.skipped} == {"fc/weights"}


def test_only_refusals_escape_from_damaged_files(tmp_path: Path) -> None:
    sound = [every_layer().SerializeToString()]
    for pipeline in (LUT, AFFINE, CAST):
        path = tmp_path / "sound.mlmodel"
        out, _ = apply(pipeline, saved(small(), path), tmp_path / "out.mlmodel", overwrite=True)
        sound.append(out.read_bytes())
    source, out, drawn = tmp_path / "m.mlmodel", tmp_path / "out.mlmodel", random.Random(8)
    for number in range(150):
        data = bytearray(drawn.choice(sound))
        for _ in range(drawn.choice([1, 1, 3])):
            data[drawn.randrange(len(data))] = drawn.randrange(256)
        source.write_bytes(data[: drawn.choice([len(data), len(data), drawn.randrange(len(data))])])
        pipeline = drawn.choice([LUT, AFFINE, CAST, decompress()])
        try:
            apply(pipeline, source, out, overwrite=True)
        except MilpassError as error:
            assert "\n" not in str(error), number


# Destinations and the command


def test_destinations(tmp_path: Path) -> None:
    source, out = saved(small(), tmp_path / "m.mlmodel"), tmp_path / "out.mlmodel"
    apply(LUT, source, out)
    first_bytes = out.read_bytes()
    with pytest.raises(UsageError, match="exists"):
        apply(AFFINE, source, out)
    assert out.read_bytes() == first_bytes
    apply(AFFINE, source, out, overwrite=True)
    assert out.read_bytes() != first_bytes
    folder = tmp_path / "folder"
    folder.mkdir()
    for place, message in (
        (source, "the input itself"),
        (folder, "something that is no file"),
        (tmp_path / "none" / "out.mlmodel", "no folder"),
    ):
        with pytest.raises(UsageError, match=message):
            apply(LUT, source, place, overwrite=True)
    with pytest.raises(UsageError, match="no destination"):
        apply(LUT, source)
    with pytest.raises(UsageError, match="the name of a package, needs the path"):
        apply(LUT, source, tmp_path / "out.mlpackage")
    assert sorted(os.listdir(tmp_path)) == ["folder", "m.mlmodel", "out.mlmodel"]
    assert source.read_bytes() == networks.parsed(source).SerializeToString(deterministic=True)


def test_a_run_tidies_up_after_one_that_was_killed(tmp_path: Path) -> None:
    source, out = saved(small(), tmp_path / "m.mlmodel"), tmp_path / "out.mlmodel"
    left = tmp_path / ".out.mlmodel.0123abcd.milpass-partial"
    left.mkdir()
    (left / "model.mlmodel").write_bytes(b"half")
    out.write_bytes(b"what was there")
    apply(LUT, source, out, overwrite=True)
    assert sorted(os.listdir(tmp_path)) == ["m.mlmodel", "out.mlmodel"]
    assert len(networks.parsed(out).neuralNetwork.layers) == 3


def test_a_source_that_changes_meanwhile_is_refused(tmp_path: Path) -> None:
    source = saved(small(), tmp_path / "m.mlmodel")

    def change(*_: object) -> None:
        source.write_bytes(source.read_bytes() + b"\0")

    with pytest.raises(ModelError, match="changed meanwhile"):
        apply(LUT, source, tmp_path / "out.mlmodel", progress=change)
    assert os.listdir(tmp_path) == ["m.mlmodel"]


def test_the_command(tmp_path: Path) -> None:
    source, out = saved(small(), tmp_path / "m.mlmodel"), tmp_path / "out.mlmodel"

    def run(*arguments: object) -> Any:
        return CliRunner().invoke(main, [*map(str, arguments)])

    shown = run("inspect", source)
    assert shown.exit_code == 0 and "4 constants" in shown.output
    done = run("palettize", source, "-o", out, "--nbits", 5, "--threshold", 100)
    assert done.exit_code == 0
    quantization = network_of(networks.parsed(out)).layers[0].convolution.weights.quantization
    assert quantization.numberOfBits == 5 and len(quantization.lookupTableQuantization.floatValue) == 32
    assert "lookupTableQuantization" in run("inspect", out).output
    text = "select_weights(threshold=0, where=anything) | fit_affine(nbits=6) | replace_const_with_affine()"
    assert run("apply", source, "-o", out, "--overwrite", "-p", text).exit_code == 0
    assert parse(text) == EVERYTHING | fit_affine(nbits=6) | replace_const_with_affine()
    assert run("palettize", source, "-o", tmp_path / "none.mlmodel").exit_code == 3
    assert run("palettize", source, "-o", out, "--threshold", 100).exit_code == 2
    assert run("palettize", source, "-o", out, "--overwrite", "--target", "iOS16").exit_code == 2


@pytest.mark.parametrize("fit", ["mode='linear_symmetric', nbits=4", "nbits=1", "nbits=8"])
@pytest.mark.filterwarnings("error")
def test_values_near_the_end_of_fp32_are_a_row_without_warnings(fit: str, tmp_path: Path) -> None:
    model = new_model()
    product = networks.add(network_of(model), "innerProduct", "fc", "x", "y")
    product.inputChannels = product.outputChannels = 2
    product.weights.floatValue.extend([3.4e38, -3.4e38, 0, 1])
    pipeline = parse(f"select_weights(threshold=0) | fit_affine({fit}) | replace_const_with_affine()")
    with pytest.raises(NothingCompressed, match="1 its values forbid it"):
        apply(pipeline, saved(model, tmp_path / "m.mlmodel"), tmp_path / "out.mlmodel")
    assert os.listdir(tmp_path) == ["m.mlmodel"]
