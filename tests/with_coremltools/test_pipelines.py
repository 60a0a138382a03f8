"""Pipelines of models: ML Programs and networks are compressed as they are alone, all else stays."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import coremltools as ct
import numpy as np
import pytest
from click.testing import CliRunner
from coremltools.converters.mil import Builder as mb
from coremltools.converters.mil.frontend.milproto.load import load
from coremltools.models.neural_network import NeuralNetworkBuilder
from coremltools.models.pipeline import Pipeline, PipelineClassifier, PipelineRegressor

from milpass import ModelError, NothingCompressed, UsageError, apply, parse, read_weights
from milpass.cli import main
from milpass.plan import Plan, Skipped
from milpass.report import plan_data
from milpass.targets import open_target
from milpass.targets.mlpackage.soundness import MAX_BLOCKS
from tests.packages import Block, Const, Op, blob_bytes, digest, masked, model_of, write_package
from tests.with_coremltools.programs import SIDE, chain, converted, dense, matrix, palettized, pruned
from tests.with_coremltools.test_targets import constants

TABLES = "select_weights(threshold=100) | fit_lut(nbits=4) | replace_const_with_lut()"
FOLDER = Path("Data/com.apple.CoreML")
FEATURES = [("x", ct.models.datatypes.Array(SIDE))]


def another() -> Any:
    return mb.const(val=matrix(7), name="dense_1")


@pytest.fixture(scope="module")
def plain() -> Any:
    return converted(chain(dense, another))


@pytest.fixture(scope="module")
def packed() -> Any:
    return converted(chain(palettized, pruned, dense))


@pytest.fixture(scope="module")
def newer() -> Any:
    return converted(chain(dense, release=ct.target.iOS18), ct.target.iOS18)


@pytest.fixture(scope="module")
def oldest() -> Any:
    return converted(chain(dense, release=ct.target.iOS15), ct.target.iOS15)


@pytest.fixture(scope="module")
def network() -> Any:
    builder = NeuralNetworkBuilder(FEATURES, [("y", ct.models.datatypes.Array(SIDE))])
    weights = np.arange(SIDE * SIDE, dtype=np.float32).reshape(SIDE, SIDE)
    builder.add_inner_product("dense", weights, None, SIDE, SIDE, False, "x", "y")
    return builder.spec


@pytest.fixture(scope="module")
def other(network: Any) -> Any:
    """A model of a kind that is not looked into."""
    spec = type(network)()
    spec.CopyFrom(network)
    spec.identity.SetInParent()
    return spec


def saved(pipeline: Any, path: Path, **weights: Any) -> Path:
    """A pipeline's message as a package; `weights` are models whose weight files get these names."""
    folder = path.parent / f"{path.stem}-weights"
    folder.mkdir()
    for name, model in weights.items():
        shutil.copyfile(Path(model.weights_dir) / "weight.bin", folder / f"{name}.bin")
    ct.models.MLModel(pipeline, weights_dir=str(folder), skip_model_load=True).save(str(path))
    shutil.rmtree(folder)
    return path


def member(model: Any, file: str) -> Any:
    """The message of a model whose weights lie in a file of another name."""
    spec = model.get_spec()
    for function in spec.mlProgram.functions.values():
        for block in function.block_specializations.values():
            for op in block.operations:
                for value in op.attributes.values():
                    if value.WhichOneof("value") == "blobFileValue":
                        value.blobFileValue.fileName = f"@model_path/weights/{file}.bin"
    return spec


def decoded(package: Path, spec: Any) -> dict[str, np.ndarray]:
    """The constants of a member by name, as coremltools decodes them."""
    weights = str(package / FOLDER / "weights")
    return dict(constants(load(spec, spec.specificationVersion, file_weights_dir=weights)))


def op_types(spec: Any) -> dict[str, str]:
    (function,) = spec.mlProgram.functions.values()
    ops = function.block_specializations[function.opset].operations
    return {op.outputs[0].name: op.type for op in ops}


def chosen(plan: Plan) -> list[str]:
    return [row.weight.label for row in plan.replaced]


def run(*arguments: Any) -> Any:
    return CliRunner().invoke(main, [str(each) for each in arguments])


def test_programs_of_one_pipeline_are_each_compressed(plain: Any, packed: Any, tmp_path: Path) -> None:
    source = tmp_path / "m.mlpackage"
    ct.utils.make_pipeline(plain, packed).save(str(source))
    before = digest(source)
    out, plan = apply(parse(TABLES), source, tmp_path / "out.mlpackage")
    assert chosen(plan) == ["0/dense", "0/dense_1", "1/dense"] and digest(source) == before
    assert "0/dense_1" in str(plan) and {row.weight.key.function for row in plan.rows} == {"0/main", "1/main"}
    old, new = model_of(source), model_of(out)
    names = [["dense", "dense_1"], ["dense"]]
    for was, now, replaced in zip(old.pipeline.models, new.pipeline.models, names, strict=True):
        assert masked(was, replaced) == masked(now, replaced)
        assert {name for name, kind in op_types(now).items() if kind != op_types(was)[name]} == set(replaced)
        was.Clear(), now.Clear()
    assert old == new


def test_they_decode_to_what_the_plan_states(plain: Any, packed: Any, tmp_path: Path) -> None:
    source = tmp_path / "m.mlpackage"
    ct.utils.make_pipeline(plain, packed).save(str(source))
    out, plan = apply(parse(TABLES), source, tmp_path / "out.mlpackage")
    old, new = (dict(everything(package)) for package in (source, out))
    found = read_weights(out)
    assert found.keys() == new.keys() == old.keys()
    for row in plan.rows:
        label = row.weight.label
        np.testing.assert_array_equal(found[label], new[label])
        error = np.sum(np.square(old[label].astype(np.float64) - new[label].astype(np.float64)))
        stated = row.entry.result.squared_error if row in plan.replaced else 0.0  # type: ignore[union-attr]
        np.testing.assert_allclose(error, stated, rtol=1e-9)


def everything(package: Path) -> Iterator[tuple[str, np.ndarray]]:
    for number, spec in enumerate(model_of(package).pipeline.models):
        for name, array in decoded(package, spec).items():
            yield f"{number}/{name}", array


@pytest.mark.parametrize("kind", [PipelineClassifier, PipelineRegressor])
def test_nested_pipelines_with_other_kinds_of_models(
    kind: Any, plain: Any, packed: Any, network: Any, other: Any, tmp_path: Path
) -> None:
    given = {"class_labels": ["a", "b"]} if kind is PipelineClassifier else {"output_features": "y"}
    outer, inner = kind(FEATURES, **given), Pipeline(FEATURES, FEATURES)
    for each in (network, member(packed, "b"), other):
        inner.add_model(each)
    for each in (inner.spec, member(plain, "a")):
        outer.add_model(each)
    held = getattr(outer.spec, outer.spec.WhichOneof("Type")).pipeline
    held.names.extend(["front", "head"])
    source = saved(outer.spec, tmp_path / "m.mlpackage", a=plain, b=packed)
    out, plan = apply(parse(TABLES), source, tmp_path / "out.mlpackage")
    assert chosen(plan) == ["front/0/dense/weights", "front/1/dense", "head/dense", "head/dense_1"]
    (left,) = (row for row in plan.rows if row.weight.closed)
    assert left.weight.label == "front/2/identity" and isinstance(left.entry, Skipped)
    assert left.entry == Skipped("kind", "a model of the kind identity, which is not compressed")
    after = model_of(out)
    front, head = getattr(after, after.WhichOneof("Type")).pipeline.models
    assert front.pipeline.models[2] == other
    (layer,) = front.pipeline.models[0].neuralNetwork.layers
    assert layer.innerProduct.weights.quantization.numberOfBits == 4
    assert op_types(head)["dense"] == op_types(front.pipeline.models[1])["dense"] == "constexpr_lut_to_dense"
    assert len(np.unique(decoded(out, head)["dense"])) <= 16


def test_a_weight_of_two_members_is_stored_once(plain: Any, tmp_path: Path) -> None:
    pipeline = Pipeline(FEATURES, FEATURES)
    for _ in range(2):
        pipeline.add_model(member(plain, "both"))
    source = saved(pipeline.spec, tmp_path / "m.mlpackage", both=plain)
    out, plan = apply(parse(TABLES), source, tmp_path / "out.mlpackage")
    assert len(plan.replaced) == 4
    first, second = model_of(out).pipeline.models
    assert first == second and op_types(first)["dense"] == "constexpr_lut_to_dense"
    alone = tmp_path / "alone.mlpackage"
    apply(parse(TABLES), plain, alone)
    files = [out / FOLDER / "weights" / "both.bin", alone / FOLDER / "weights" / "weight.bin"]
    assert files[0].read_bytes() == files[1].read_bytes()
    only, _ = apply(parse(TABLES.replace("100", "100, where=name('1/*')")), source, tmp_path / "o.mlpackage")
    first, second = model_of(only).pipeline.models
    assert masked(first) == masked(model_of(source).pipeline.models[0])
    before = decoded(source, model_of(source).pipeline.models[0])["dense"]
    np.testing.assert_array_equal(decoded(only, first)["dense"], before)


def test_each_member_keeps_its_release(
    plain: Any, packed: Any, newer: Any, oldest: Any, tmp_path: Path
) -> None:
    source = tmp_path / "m.mlpackage"
    ct.utils.make_pipeline(packed, newer, oldest, plain).save(str(source))
    choice = "where=~name('3/*')"
    out, plan = apply(parse(TABLES.replace("100", f"100, {choice}")), source, tmp_path / "out.mlpackage")
    assert plan.formats == ("iOS15 and iOS16 and iOS18", "iOS16 and iOS18")
    assert any(note.startswith("The model '2' of the pipeline is raised from iOS15") for note in plan.notes)
    old, new = model_of(source), model_of(out)
    assert [each.specificationVersion for each in (new, *new.pipeline.models)] == [9, 7, 9, 7, 7]
    assert masked(old.pipeline.models[3]) == masked(new.pipeline.models[3])
    spellings = [set(op.attributes) for op in map(_dense, new.pipeline.models[:3])]
    assert spellings == [{"name", "indices", "lut", "shape"}, {"name"}, {"name", "indices", "lut", "shape"}]
    for spec, again in zip(old.pipeline.models, new.pipeline.models, strict=True):
        assert decoded(source, spec).keys() == decoded(out, again).keys()


def _dense(spec: Any) -> Any:
    (function,) = spec.mlProgram.functions.values()
    ops = function.block_specializations[function.opset].operations
    return next(op for op in ops if op.outputs[0].name == "dense")


def test_a_target_raises_the_members_and_the_pipelines_around_them(
    packed: Any, network: Any, tmp_path: Path
) -> None:
    outer, inner, idle = (Pipeline(FEATURES, FEATURES) for _ in range(3))
    inner.add_model(member(packed, "w"))
    idle.add_model(network)
    for each in (inner.spec, idle.spec):
        outer.add_model(each)
    source = saved(outer.spec, tmp_path / "m.mlpackage", w=packed)
    chosen = parse(TABLES.replace("100", "100, where=name('0/*')"))
    out, plan = apply(chosen, source, tmp_path / "out.mlpackage", target="iOS18")
    assert plan.formats == ("NeuralNetwork and iOS16", "NeuralNetwork and iOS18")
    assert "2 constants already compressed" in plan.notes[-1]
    old, new = model_of(source), model_of(out)
    raised, kept = new.pipeline.models
    assert (new.specificationVersion, raised.specificationVersion) == (9, 9)
    assert kept == old.pipeline.models[1] and kept.specificationVersion < 7
    assert {f.opset for f in raised.pipeline.models[0].mlProgram.functions.values()} == {"CoreML8"}
    was, now = (decoded(p, m.pipeline.models[0].pipeline.models[0]) for p, m in ((source, old), (out, new)))
    for name in ("palettized", "pruned"):
        np.testing.assert_array_equal(was[name], now[name])
    for release, needs in (("iOS17", "needs iOS18 or later"), ("iOS99", "one of iOS16, .*NeuralNetwork")):
        with pytest.raises(UsageError, match=needs):
            apply(parse(TABLES), out, tmp_path / "no.mlpackage", target=release)


@pytest.mark.parametrize(
    ("where", "names"),
    [
        ("name('dense')", ["0/dense", "1/dense"]),
        ("name('1/dense*')", ["1/dense", "1/dense_1"]),
        ("matches('^0/')", ["0/dense", "0/dense_1"]),
        ("first('matmul')", ["0/dense", "1/dense"]),
        ("depth_from_output(max=0)", ["0/dense_1", "1/dense_1"]),
        ("near('matmul', 0) & ~name('0/*')", ["1/dense", "1/dense_1"]),
        ("name('dense*') & op_type('mat*')", ["0/dense", "0/dense_1", "1/dense", "1/dense_1"]),
    ],
)
def test_selectors(where: str, names: list[str], plain: Any) -> None:
    model = ct.utils.make_pipeline(plain, plain)
    assert chosen(parse(TABLES.replace("100", f"100, where={where}")).plan(model, strict=True)) == names


def test_a_loaded_pipeline(plain: Any, packed: Any, tmp_path: Path) -> None:
    model = ct.utils.make_pipeline(plain, packed)
    result, plan = apply(parse(TABLES), model)
    model.save(str(tmp_path / "m.mlpackage"))
    out, expected = apply(parse(TABLES), tmp_path / "m.mlpackage", tmp_path / "out.mlpackage")
    assert isinstance(result, ct.models.MLModel) and str(plan) == str(expected)
    result.save(str(tmp_path / "saved.mlpackage"))
    assert model_of(tmp_path / "saved.mlpackage") == model_of(out)
    for name in ("0-weight.bin", "1-weight.bin"):
        files = [p / FOLDER / "weights" / name for p in (tmp_path / "saved.mlpackage", out)]
        assert files[0].read_bytes() == files[1].read_bytes()


def test_the_command(plain: Any, other: Any, tmp_path: Path) -> None:
    pipeline = Pipeline(FEATURES, FEATURES)
    for each in (member(plain, "w"), other):
        pipeline.add_model(each)
    source = saved(pipeline.spec, tmp_path / "m.mlpackage", w=plain)
    shown = run("palettize", source, "--nbits", 4, "--threshold", 100, "--dry-run", "--all")
    assert shown.exit_code == 0 and "a model of the kind identity" in shown.stdout
    assert "would write: 2 of 2 constants" in shown.stdout and "0/dense_1" in shown.stdout
    written = run("palettize", source, "-o", tmp_path / "o.mlpackage", "--nbits", 4, "--threshold", 100)
    assert written.exit_code == 0 and "1 left as they are: a model in a pipeline" in written.stdout
    inspected = run("inspect", tmp_path / "o.mlpackage")
    assert "0/dense" in inspected.stdout and "1/identity" in inspected.stdout
    assert inspected.stdout.splitlines()[-1].startswith("2 constants")
    weights = json.loads(run("inspect", source, "--json").stdout)["weights"]
    assert [(w["function"], w["name"]) for w in weights[:2]] == [("0/main", "dense"), ("0/main", "dense_1")]


def test_nothing_to_compress(other: Any, tmp_path: Path) -> None:
    pipeline = Pipeline(FEATURES, FEATURES)
    pipeline.add_model(other)
    source = saved(pipeline.spec, tmp_path / "m.mlpackage")
    with pytest.raises(NothingCompressed, match="1 a model in a pipeline") as nothing:
        apply(parse(TABLES), source, tmp_path / "out.mlpackage")
    (row,) = plan_data(nothing.value.plan)["weights"]
    assert (row["function"], row["name"], row["reason"]) == ("0/", "identity", "kind")
    for text in ("decompress()", TABLES.replace("100", "0, where=anything")):
        assert [row.entry.code for row in parse(text).plan(source).skipped] == ["kind"]  # type: ignore[union-attr]


def damaged_offset(model: Any) -> None:
    (function,) = model.pipeline.models[1].mlProgram.functions.values()
    for op in function.block_specializations[function.opset].operations:
        if op.type == "const" and op.attributes["val"].WhichOneof("value") == "blobFileValue":
            op.attributes["val"].blobFileValue.offset = 1 << 40


def another_type(model: Any) -> None:
    (function,) = model.pipeline.models[1].mlProgram.functions.values()
    for op in function.block_specializations[function.opset].operations:
        if op.type == "const" and op.outputs[0].name == "dense_1":
            op.attributes["val"].type.tensorType.dataType = 11


def renamed_function(model: Any) -> None:
    functions = model.pipeline.models[1].mlProgram.functions
    functions["a/b"].CopyFrom(functions["main"])


DAMAGES = {
    "an offset outside": (damaged_offset, "reference to offset"),
    "a value of another type": (another_type, "constant 1/dense_1: .* a value of another type"),
    "an empty member": (lambda model: model.pipeline.models.add(), "an empty model"),
    "no members": (lambda model: model.pipeline.SetInParent() or model.pipeline.Clear(), "an empty model"),
    "no block": (
        lambda model: model.pipeline.models[0].mlProgram.functions["main"].block_specializations.clear(),
        "without a block",
    ),
    "a slash in a function": (renamed_function, "a function named 'a/b' in a pipeline"),
    "an updatable member": (
        lambda model: setattr(model.pipeline.models[1], "isUpdatable", True),
        "updatable",
    ),
    "a missing file": (
        lambda model: model.pipeline.models[1].CopyFrom(member_elsewhere(model.pipeline.models[1])),
        "no file",
    ),
}


def member_elsewhere(spec: Any) -> Any:
    text = spec.SerializeToString()
    return type(spec).FromString(text.replace(b"1-weight.bin", b"9-weight.bin"))


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_member(damage: str, plain: Any, tmp_path: Path) -> None:
    source = tmp_path / "m.mlpackage"
    ct.utils.make_pipeline(plain, plain).save(str(source))
    model = model_of(source)
    change, message = DAMAGES[damage]
    change(model)
    (source / FOLDER / "model.mlmodel").write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match=message):
        open_target(source)
    result = run("palettize", source, "-o", tmp_path / "out.mlpackage", "--nbits", 4)
    assert (
        result.exit_code == 4 and len(result.stderr.splitlines()) == 1 and re.search(message, result.stderr)
    )
    assert not (tmp_path / "out.mlpackage").exists()


def test_names_that_do_not_tell_members_apart(plain: Any) -> None:
    for names, place in ((["a", "b"], "a"), (["a", "a"], "0"), (["a/b", "c"], "0"), (["a"], "0")):
        model = ct.utils.make_pipeline(plain, plain)
        model._spec.pipeline.names.extend(names)
        assert open_target(model).weights()[0].key.member == place


def test_members_as_deep_as_they_can_be_written(tmp_path: Path) -> None:
    """Whatever can be read can be written and read again, nested pipelines with nested blocks among them."""
    array = np.random.default_rng(0).standard_normal((8, 8)).astype(np.float16)
    outcomes = set()
    for pipelines in (1, 10, 20, 21):
        most = MAX_BLOCKS - 2 * pipelines
        for blocks in {0, max(most, 1), max(most + 1, 2)}:
            outcomes.add(_outcome(tmp_path / f"{pipelines}-{blocks}", pipelines, blocks, array))
    assert outcomes == {"written", "refused"}


def _outcome(folder: Path, pipelines: int, blocks: int, array: np.ndarray) -> str:
    inner: list[Const | Op] = [Const("w", array), Op("linear", {"x": "x", "weight": "w"}, "y")]
    for _ in range(blocks):
        inner = [Op("while_loop", {"x": "x"}, "y", blocks=(Block(inner, ("y",)),))]
    source = write_package(folder / "m.mlpackage", inner)
    model = model_of(source)
    for _ in range(pipelines):
        around = type(model)(specificationVersion=7)
        around.pipelineClassifier.pipeline.models.append(model)
        model = around
    (source / FOLDER / "model.mlmodel").write_bytes(model.SerializeToString())
    try:
        out, plan = apply(parse(TABLES.replace("100", "10")), source, folder / "out.mlpackage")
    except ModelError:
        return "refused"
    assert len(plan.replaced) == 1 and model_of(out).IsInitialized()
    return "written"


def test_unchosen_bytes_are_the_same(plain: Any, packed: Any, tmp_path: Path) -> None:
    source = tmp_path / "m.mlpackage"
    ct.utils.make_pipeline(plain, packed).save(str(source))
    where = "where=name('0/dense')"
    out, _ = apply(parse(TABLES.replace("100", f"100, {where}")), source, tmp_path / "out.mlpackage")
    kept = [
        blob_bytes(package, _dense(model_of(package).pipeline.models[1]).attributes["val"])
        for package in (source, out)
    ]
    assert kept[0] == kept[1]
