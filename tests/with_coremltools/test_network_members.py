"""Neural networks in packages: alone, and in pipelines with ML Programs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import coremltools as ct
import numpy as np
import pytest
from coremltools.models.pipeline import Pipeline, PipelineClassifier

from milpass import ModelError, apply, parse, read_weights
from milpass.errors import VerificationError
from milpass.plan import Replaced, Skipped
from milpass.targets import open_target
from tests import networks
from tests.every_layer import every_layer
from tests.packages import digest, masked, model_of
from tests.with_coremltools.programs import chain, converted, dense
from tests.with_coremltools.test_neuralnetworks import by_coremltools, convolutional
from tests.with_coremltools.test_pipelines import FEATURES, FOLDER, chosen, decoded, member, run, saved

EVERYTHING = "select_weights(threshold=0, where=anything)"
LUT = "fit_lut(nbits=4) | replace_const_with_lut()"
FITS = {
    "tables": LUT,
    "numbers": "fit_affine(nbits=8) | replace_const_with_affine()",
    "halves": "fit_cast() | replace_const_with_cast()",
}


@pytest.fixture(scope="module")
def program() -> Any:
    return converted(chain(dense))


@pytest.fixture
def mixed(program: Any, tmp_path: Path) -> Path:
    """A pipeline of a program and, in a pipeline inside, two networks of the same layers."""
    outer, inner = PipelineClassifier(FEATURES, ["a", "b"]), Pipeline(FEATURES, FEATURES)
    for _ in range(2):
        inner.spec.pipeline.models.add().CopyFrom(convolutional())
    inner.spec.pipeline.models[0].specificationVersion = 1
    for each in (member(program, "w"), inner.spec):
        outer.spec.pipelineClassifier.pipeline.models.add().CopyFrom(each)
    outer.spec.pipelineClassifier.pipeline.names.extend(["front", "back"])
    return saved(outer.spec, tmp_path / "m.mlpackage", w=program)


def stages(package: Path) -> tuple[Any, Any, Any]:
    """The members of the mixed pipeline."""
    front, back = model_of(package).pipelineClassifier.pipeline.models
    return front, *back.pipeline.models


def by_label(package: Path, folder: Path) -> dict[str, np.ndarray]:
    """Every weight of the mixed pipeline, decoded by coremltools, as flat arrays."""
    front, *others = stages(package)
    found = {f"front/{name}": array.reshape(-1) for name, array in decoded(package, front).items()}
    for number, each in enumerate(others):
        file = networks.saved(each, folder / f"{number}.mlmodel")
        found |= {f"back/{number}/{name}": array for name, array in by_coremltools(file).items()}
    return found


@pytest.mark.parametrize("name", FITS)
def test_programs_and_networks_in_one_plan(name: str, mixed: Path, tmp_path: Path) -> None:
    """What coremltools decodes has the errors that the plan states, in either kind of model."""
    before = digest(mixed)
    out, plan = apply(parse(f"{EVERYTHING} | {FITS[name]}"), mixed, tmp_path / "out.mlpackage")
    labels = {row.weight.label: row for row in plan.rows}
    assert digest(mixed) == before and len(labels) == len(plan.rows)
    assert {label.rpartition("/")[0] for label in chosen(plan)} >= {"back/0/c", "back/1/c", "back/1/y"}
    assert ("front/dense" in chosen(plan)) == (name != "halves")
    old, new, read = by_label(mixed, tmp_path), by_label(out, tmp_path), read_weights(out)
    assert old.keys() == new.keys() == read.keys() == labels.keys()
    for label, row in labels.items():
        error = np.square(old[label].astype(np.float64) - new[label]).sum()
        result = row.entry.result if isinstance(row.entry, Replaced) else None
        np.testing.assert_allclose(error, result.squared_error if result else 0, rtol=1e-4, atol=1e-12)
        np.testing.assert_allclose(read[label].reshape(-1), new[label], rtol=1e-6, atol=1e-7)


def test_only_what_was_chosen_is_changed(mixed: Path, tmp_path: Path) -> None:
    """One layer of one network: its file is what it becomes in a file of its own, all else as it was."""
    pipeline = parse(f"select_weights(threshold=0, where=name('back/1/y/*')) | {LUT}")
    out, plan = apply(pipeline, mixed, tmp_path / "out.mlpackage")
    assert chosen(plan) == ["back/1/y/weights"] and plan.formats == ("NeuralNetwork and iOS16",) * 2
    alone = networks.saved(stages(mixed)[2], tmp_path / "alone.mlmodel")
    by_itself, _ = apply(parse(str(pipeline).replace("back/1/", "")), alone, tmp_path / "by_itself.mlmodel")
    front, first, second = stages(out)
    assert second == networks.parsed(by_itself)
    assert (masked(front), first) == (masked(stages(mixed)[0]), stages(mixed)[1])
    weights = [package / FOLDER / "weights" / "w.bin" for package in (mixed, out)]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_versions_are_raised_where_a_network_asks_for_them(tmp_path: Path) -> None:
    """Of the network and of what is around it, beside others that stay."""
    outer = networks.new_model("pipeline")
    middle = outer.pipeline.models.add()
    middle.CopyFrom(networks.new_model("pipelineRegressor"))
    middle.pipelineRegressor.pipeline.models.add().CopyFrom(networks.small("neuralNetworkRegressor"))
    outer.pipeline.models.add().CopyFrom(networks.small("neuralNetworkClassifier"))
    source = saved(outer, tmp_path / "m.mlpackage")
    out, plan = apply(
        parse(f"select_weights(threshold=0, where=name('0/*') & anything) | {FITS['halves']}"),
        source,
        tmp_path / "out.mlpackage",
    )
    written = model_of(out)
    middle, kept = written.pipeline.models
    versions = [
        m.specificationVersion for m in (written, middle, middle.pipelineRegressor.pipeline.models[0])
    ]
    assert (versions, kept) == ([2, 2, 2], outer.pipeline.models[1])
    assert {row.weight.key.member for row in plan.replaced} == {"0/0"}


def test_layers_of_networks_alone_have_one_type(mixed: Path) -> None:
    plan = parse(f"select_weights(threshold=100) | {FITS['halves']}").plan(mixed)
    assert {"back/0/c/bias", "back/1/c/bias"} <= set(chosen(plan))
    (note,) = (note for note in plan.notes if note.startswith("Stored as others of their layers are"))
    assert ": 2 weights, " in note


@pytest.mark.parametrize("kind", ["neuralNetwork", "neuralNetworkClassifier", "neuralNetworkRegressor"])
def test_a_network_alone_in_a_package(kind: str, tmp_path: Path) -> None:
    """It becomes what it becomes in an `.mlmodel`, to the byte."""
    model = every_layer() if kind == "neuralNetwork" else networks.small(kind)
    source, file = saved(model, tmp_path / "m.mlpackage"), networks.saved(model, tmp_path / "m.mlmodel")
    for number, text in enumerate(FITS.values()):
        pipeline = parse(f"{EVERYTHING} | {text}")
        out, plan = apply(pipeline, source, tmp_path / f"{number}.mlpackage")
        again, expected = apply(pipeline, file, tmp_path / f"{number}.mlmodel")
        assert str(plan) == str(expected)
        assert (out / FOLDER / "model.mlmodel").read_bytes() == again.read_bytes()
    assert ct.models.MLModel(str(out), skip_model_load=True).get_spec().WhichOneof("Type") == kind


@pytest.mark.parametrize(
    ("where", "labels"),
    [
        ("op_type('innerProduct')", ["back/0/y/weights", "back/1/y/weights"]),
        ("first('convolution') & name('*weights')", ["back/0/c/weights", "back/1/c/weights"]),
        ("first('matmul') | last('innerProduct')", ["front/dense", "back/0/y/weights", "back/1/y/weights"]),
        (
            "near('reLU', 1) | near('activation', 1) & name('back/0/*s')",
            ["back/0/c/bias", "back/0/c/weights"],
        ),
        ("depth_from_output(max=0) & is_weight", ["front/dense", "back/0/y/weights", "back/1/y/weights"]),
    ],
)
def test_selectors(where: str, labels: list[str], mixed: Path) -> None:
    plan = parse(f"select_weights(threshold=0, where={where}) | {LUT}").plan(mixed)
    assert sorted(chosen(plan)) == sorted(labels)


def test_a_loaded_pipeline(mixed: Path, tmp_path: Path) -> None:
    """What was changed in memory counts, in networks too."""
    model = ct.models.MLModel(str(mixed), skip_model_load=True)
    held = model._spec.pipelineClassifier.pipeline.models[1].pipeline.models[1].neuralNetwork.layers
    held[0].convolution.weights.floatValue[0] = 7.0
    result, plan = apply(parse(f"{EVERYTHING} | {FITS['tables']}"), model)
    assert isinstance(result, ct.models.MLModel) and "back/1/c/weights" in chosen(plan)
    result.save(str(tmp_path / "saved.mlpackage"))
    values = read_weights(tmp_path / "saved.mlpackage")
    assert values["back/1/c/weights"].max() > 6 > values["back/0/c/weights"].max()


def test_compressed_weights_are_read_and_decompressed(mixed: Path, tmp_path: Path) -> None:
    out, _ = apply(parse(f"{EVERYTHING} | {FITS['tables']}"), mixed, tmp_path / "out.mlpackage")
    back, plan = apply(parse("decompress()"), out, tmp_path / "back.mlpackage")
    assert {"front/dense", "back/0/c/weights", "back/1/c/weights"} <= set(chosen(plan))
    packed, plain = by_label(out, tmp_path), by_label(back, tmp_path)
    assert packed.keys() == plain.keys()
    for label, array in packed.items():
        np.testing.assert_array_equal(array, plain[label])
    assert not any(weight.encoded for weight in open_target(back).weights())


def test_progress_tells_them_apart(mixed: Path, tmp_path: Path) -> None:
    told: list[str] = []
    pipeline = parse(f"select_weights(threshold=100) | {LUT}")
    _, plan = apply(pipeline, mixed, tmp_path / "o.mlpackage", progress=lambda name, *_: told.append(name))
    assert sorted(told) == sorted(chosen(plan)) and len(told) == 5


def test_other_members_of_a_file_have_rows(program: Any, tmp_path: Path) -> None:
    """Trees and the like, and programs, which no file of their own holds."""
    outer = networks.new_model("pipeline")
    outer.pipeline.models.add().CopyFrom(networks.small())
    outer.pipeline.models.add().CopyFrom(networks.new_model("treeEnsembleRegressor"))
    outer.pipeline.models.add().CopyFrom(member(program, "w"))
    source = networks.saved(outer, tmp_path / "m.mlmodel")
    out, plan = apply(parse(f"{EVERYTHING} | {LUT}"), source, tmp_path / "out.mlmodel")
    assert {row.weight.key.member for row in plan.replaced} == {"0"}
    assert [(row.weight.label, row.entry) for row in plan.rows if row.weight.closed] == [
        (
            "1/treeEnsembleRegressor",
            Skipped("kind", "a model of the kind treeEnsembleRegressor, which is not compressed"),
        ),
        ("2/mlProgram", Skipped("kind", "an ML Program without its package")),
    ]
    assert list(networks.parsed(out).pipeline.models)[1:] == list(outer.pipeline.models)[1:]


def test_a_copy_that_is_not_what_was_fitted_is_found(
    mixed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from milpass.targets.neuralnetwork import edit

    store = edit.store

    def wrongly(message: Any, record: Any) -> str:
        field = store(message, record)
        message.rawValue = bytes(len(message.rawValue))
        return field

    monkeypatch.setattr(edit, "store", wrongly)
    with pytest.raises(VerificationError, match=r"back/0/c/weights"):
        pipeline = parse(f"select_weights(threshold=0, where=name('back/0/c/weights')) | {LUT}")
        apply(pipeline, mixed, tmp_path / "out.mlpackage")
    assert not (tmp_path / "out.mlpackage").exists()


def test_the_command(mixed: Path, tmp_path: Path) -> None:
    written = run("palettize", mixed, "-o", tmp_path / "o.mlpackage", "--threshold", 100)
    assert written.exit_code == 0 and "back/0/c/weights" in written.stdout
    inspected = run("inspect", tmp_path / "o.mlpackage")
    assert "back/1/y/weights" in inspected.stdout and "front/dense" in inspected.stdout


def test_a_damaged_network_in_a_pipeline(mixed: Path) -> None:
    model = model_of(mixed)
    layers = model.pipelineClassifier.pipeline.models[1].pipeline.models[1].neuralNetwork.layers
    layers[0].convolution.weights.floatValue.pop()
    (mixed / FOLDER / "model.mlmodel").write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match=r"weight back/1/c/weights: .*575 elements in floatValue for 576"):
        open_target(mixed)
