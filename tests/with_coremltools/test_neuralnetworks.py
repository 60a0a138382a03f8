"""Neural networks made, read and decoded by coremltools, those that Apple quantized among them."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import coremltools as ct
import numpy as np
import pytest
from coremltools.models import datatypes
from coremltools.models.neural_network import NeuralNetworkBuilder, quantization_utils

from milpass import (
    NothingCompressed,
    Pipeline,
    apply,
    decompress,
    fit_affine,
    fit_cast,
    fit_lut,
    fold_batchnorm,
    read_weights,
    replace_const_with_affine,
    replace_const_with_cast,
    replace_const_with_lut,
    select_weights,
)
from milpass.dialects.neuralnetwork import NEURAL_NETWORK
from milpass.granularity import PerTensor
from milpass.plan import Replaced, Skipped
from milpass.selectors import anything
from milpass.targets import open_target
from milpass.targets.neuralnetwork import values
from milpass.testing import TargetTests
from milpass.testing.targets import BRANCHES, MODEL
from tests import networks
from tests.with_coremltools.conftest import MODELS

ALL = [Path(folder) for folder in [os.environ.get("MILPASS_ALL_MODELS", "")] if folder]
REAL = sorted((MODELS / "neuralnetwork").glob("*.mlmodel"))
EVERYTHING = select_weights(threshold=0, where=anything)


def normal(*shape: int) -> np.ndarray:
    return (np.random.default_rng(sum(shape)).standard_t(4, shape) * 0.1).astype(np.float32)


def builder(inputs: dict[str, tuple[int, ...]], outputs: list[str], mode: str | None = None) -> Any:
    arrays = [(name, datatypes.Array(*shape)) for name, shape in inputs.items()]
    with contextlib.redirect_stdout(io.StringIO()):
        return NeuralNetworkBuilder(
            arrays, [(name, None) for name in outputs], mode=mode, disable_rank5_shape_mapping=True
        )


def convolutional() -> Any:
    """The network of the text MODEL: coremltools keeps kernels as [H, W, C_in, C_out]."""
    made = builder({"x": (1, 4, 8, 8)}, ["z"])
    made.add_convolution(
        "c", 4, 16, 3, 3, 1, 1, "valid", 1, normal(3, 3, 4, 16), normal(16), True,
        input_name="x", output_name="c",
    )  # fmt: skip
    made.add_activation("r", "RELU", "c", "r")
    made.add_reshape_static("f", "r", "f", (1, 576))
    made.add_inner_product("y", normal(12, 576), None, 576, 12, False, "f", "y")
    made.add_load_constant_nd("scores", "scores", normal(1, 12), (1, 12))
    made.add_add_broadcastable("z", ["y", "scores"], "z")
    return made.spec


def branching() -> Any:
    """The network of the text BRANCHES, whose layers cannot share a weight."""
    made = builder({"x": (1, 16)}, ["z"])
    square = {"weight_matrix_rows": 16, "weight_matrix_columns": 16}
    made.add_batched_mat_mul("a", ["x"], "a", W=normal(16, 16), **square)
    made.add_batched_mat_mul("b", ["a"], "b", W=normal(16, 16), **square)
    made.add_reduce_sum("total", "b", "total", axes=None, reduce_all=True)
    made.add_greater_than("positive", ["total"], "positive", alpha=0.0)
    branch = made.add_branch("taken", "positive").branch
    taken = NeuralNetworkBuilder(nn_spec=branch.ifBranch, disable_rank5_shape_mapping=True)
    taken.add_batched_mat_mul("t", ["b"], "z", W=normal(16, 16), **square)
    NeuralNetworkBuilder(nn_spec=branch.elseBranch, disable_rank5_shape_mapping=True).add_copy("o", "b", "z")
    return made.spec


def by_coremltools(path: Path) -> dict[str, np.ndarray]:
    """Every weight by its name, dequantized by coremltools, as flat arrays; by numpy where it has no way.

    It has none back from fp16 and from int8; what it has none for by its layer is left empty.
    """
    spec = ct.utils.load_spec(str(path))
    for _, message in networks.weight_messages(spec):
        if message.float16Value:
            message.floatValue.extend(np.frombuffer(message.float16Value, np.float16).tolist())
            message.ClearField("float16Value")
        if message.int8RawValue:
            values = networks.numpy_values(message, (len(message.int8RawValue),))
            message.Clear()
            message.floatValue.extend(values.tolist())
    with contextlib.redirect_stdout(io.StringIO()):
        quantization_utils._dequantize_nn_spec(networks.network_of(spec))
    return {name: np.array(each.floatValue, np.float32) for name, each in networks.weight_messages(spec)}


class TestNeuralNetwork(TargetTests):
    types = MappingProxyType(
        {
            "conv": "convolution",
            "relu": "activation",
            "reshape": "reshapeStatic",
            "linear": "innerProduct",
            "add": "addBroadcastable",
        }
    )
    inputs = MappingProxyType({"weight": "weights"})
    names = MappingProxyType(
        {
            "kernel": "c/weights",
            "bias": "c/bias",
            "matrix": "y/weights",
            "scores": "scores/data",
            "shared": "a/weights",
            "inner": "t/weights",
        }
    )
    dtype = "fp32"
    table = "lookupTableQuantization"
    shares = False

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    def made(self, text: str) -> Path:
        spec = {MODEL: convolutional, BRANCHES: branching}[text]()
        return networks.saved(spec, self.destination())

    def values(self, model: Path) -> Mapping[str, np.ndarray]:
        return by_coremltools(model)

    def op_types(self, model: Path) -> list[str]:
        layers = networks.network_of(ct.utils.load_spec(str(model))).layers
        kinds = [layer.WhichOneof("layer") for layer in layers]
        return [kind for kind in kinds if not kind.startswith("loadConstant")]

    def destination(self) -> Path:
        return self.folder / f"{len(list(self.folder.iterdir()))}.mlmodel"


FITS = [
    *((fit_lut(nbits=nbits), replace_const_with_lut()) for nbits in range(1, 9)),
    *((fit_lut(mode="uniform", nbits=nbits), replace_const_with_lut()) for nbits in (1, 5, 8)),
    (fit_lut(mode="unique"), replace_const_with_lut()),
    *((fit_affine(nbits=nbits), replace_const_with_affine()) for nbits in range(1, 9)),
    *(
        (fit_affine(mode="linear_symmetric", nbits=nbits), replace_const_with_affine())
        for nbits in range(2, 9)
    ),
    (fit_cast(), replace_const_with_cast()),
]


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Layers of many kinds."""
    made = builder({"x": (1, 6, 8, 8)}, ["y", "z"])
    made.add_convolution(
        "conv", 3, 8, 3, 3, 1, 1, "same", 2, normal(3, 3, 3, 8), normal(8), True,
        input_name="x", output_name="a",
    )  # fmt: skip
    made.add_convolution(
        "deconv", 8, 10, 2, 2, 2, 2, "valid", 1, normal(2, 2, 8, 10), normal(10), True,
        is_deconv=True, input_name="a", output_name="b",
    )  # fmt: skip
    made.add_batchnorm("bn", 10, *(normal(10) for _ in range(3)), np.abs(normal(10)), "b", "c")
    made.add_reshape_static("flat", "c", "f", (16, 160))
    made.add_inner_product("fc", normal(20, 160), normal(20), 160, 20, True, "f", "g")
    made.add_batched_mat_mul(
        "mm", ["g"], "y", weight_matrix_rows=20, weight_matrix_columns=7, W=normal(20, 7), bias=normal(7)
    )
    made.add_embedding_nd("emb", "y", "z", 30, 4, normal(4, 30), normal(4))
    return networks.saved(made.spec, tmp_path_factory.mktemp("networks") / "sample.mlmodel")


@pytest.mark.parametrize(("fit", "replace"), FITS, ids=repr)
def test_coremltools_decodes_what_the_plan_says(fit: Any, replace: Any, sample: Path, tmp_path: Path) -> None:
    check(Pipeline(EVERYTHING, fit, replace), sample, tmp_path)


@pytest.mark.parametrize("path", REAL, ids=lambda path: path.stem)
def test_real_models_go_through_every_mode(path: Path, tmp_path: Path) -> None:
    for number, (fit, replace) in enumerate(FITS[:: 1 if path.stat().st_size < 200_000 else 4]):
        (tmp_path / str(number)).mkdir()
        check(Pipeline(EVERYTHING, fit, replace), path, tmp_path / str(number))


@pytest.mark.skipif(not ALL, reason="`make test-models FOLDER=...` names a folder of models")
@pytest.mark.parametrize(
    "path",
    sorted(p for each in ALL for p in each.rglob("*.mlmodel") if not p.parent.name.startswith("com.apple")),
    ids=lambda path: path.stem,
)
def test_every_network(path: Path, tmp_path: Path) -> None:
    for number, (fit, replace) in enumerate(FITS):
        (tmp_path / str(number)).mkdir()
        check(Pipeline(EVERYTHING, fit, replace), path, tmp_path / str(number))


def check(pipeline: Pipeline, source: Path, folder: Path) -> None:
    """The errors by coremltools' decoding are the plan's; biases and half precision go the same way."""
    try:
        out, plan = apply(pipeline, source, folder / "out.mlmodel")
    except NothingCompressed as nothing:
        codes = {row.entry.code for row in nothing.plan.rows if isinstance(row.entry, Skipped)}
        assert codes <= {"encoded", "barred", "data", "kind"}
        return
    if ct.utils.load_spec(str(source)).WhichOneof("Type").startswith("pipeline"):
        return
    before, after = by_coremltools(source), by_coremltools(out)
    read, stored = read_weights(out), dict(networks.weight_messages(networks.parsed(out)))
    assert len(before) == len(plan.rows)
    for row in plan.rows:
        key = row.weight.name.rpartition("/")
        name = row.weight.name if row.weight.name in before else f"{row.weight.readers[0].op_name}/{key[2]}"
        if not after[name].size:
            after[name] = networks.numpy_values(stored[name], row.weight.shape).reshape(-1)
        error = np.square(before[name].astype(np.float64) - after[name]).sum()
        if isinstance(row.entry, Replaced):
            assert row.entry.result
            signal = np.square(before[name].astype(np.float64)).sum()
            np.testing.assert_allclose(error, row.entry.result.squared_error, rtol=1e-4, atol=1e-13 * signal)
        else:
            assert row.entry.code in ("encoded", "barred", "data") and error == 0, row
        greatest = np.abs(after[name]).max()
        np.testing.assert_allclose(read[row.weight.name].reshape(-1), after[name], atol=1e-6 * greatest)


def quantized(nbits: int, mode: str, selector: Any = None) -> Any:
    """The convolutional network, quantized by coremltools."""
    spec = convolutional()
    model = ct.models.MLModel(spec, skip_model_load=True)
    options = {} if selector is None else {"selector": selector}
    with contextlib.redirect_stdout(io.StringIO()):
        made = quantization_utils.quantize_weights(model, nbits, mode, **options)
    return made.get_spec() if hasattr(made, "get_spec") else made


@pytest.mark.parametrize("nbits", range(1, 9))
@pytest.mark.parametrize("mode", ["linear", "linear_lut"])
def test_what_coremltools_wrote_is_written_again(mode: str, nbits: int, tmp_path: Path) -> None:
    check_bytes(networks.saved(quantized(nbits, mode), tmp_path / "m.mlmodel"), encoded=5)


@pytest.mark.parametrize("path", [p for p in REAL if "int8" in p.stem], ids=lambda path: path.stem)
def test_what_apple_wrote_is_written_again(path: Path) -> None:
    check_bytes(path, encoded=52)


def check_bytes(path: Path, encoded: int) -> None:
    """Each weight decodes as by coremltools; the same encoding gives the same bytes again."""
    target, expected = open_target(path), by_coremltools(path)
    messages = dict(networks.weight_messages(networks.parsed(path)))
    found = [weight for weight in target.weights() if weight.encoded]
    assert len(found) == encoded - (encoded == 5)  # of the five the constant is left by coremltools' default
    for weight in found:
        encoding = NEURAL_NETWORK.read(target.record(weight))
        np.testing.assert_allclose(encoding.decode().reshape(-1), expected[weight.name], rtol=1e-5, atol=1e-6)
        again = type(messages[weight.name])()
        values.store(again, NEURAL_NETWORK.spell(encoding))
        assert again.SerializeToString() == messages[weight.name].SerializeToString(), weight.name


@pytest.mark.parametrize("nbits", [1, 4, 8])
def test_our_linear_is_theirs_where_theirs_is_sound(nbits: int, tmp_path: Path) -> None:
    """The same scales, biases and numbers, but where a value lies in the middle between two."""
    theirs = networks.saved(quantized(nbits, "linear"), tmp_path / "theirs.mlmodel")
    source = networks.saved(convolutional(), tmp_path / "m.mlmodel")
    ours, _ = apply(
        EVERYTHING | fit_affine(nbits=nbits) | replace_const_with_affine(), source, tmp_path / "ours.mlmodel"
    )
    messages = [dict(networks.weight_messages(networks.parsed(path))) for path in (theirs, ours)]
    for name in ("c/weights", "c/bias", "y/weights"):
        one, other = (each[name] for each in messages)
        ours_, theirs_ = (m.quantization.linearQuantization for m in (other, one))
        assert list(ours_.bias) == list(theirs_.bias)
        np.testing.assert_allclose(list(ours_.scale), list(theirs_.scale), rtol=2e-7)
        assert np.mean(np.frombuffer(one.rawValue, "u1") != np.frombuffer(other.rawValue, "u1")) < 1e-3


def test_half_precision_is_decompressed(tmp_path: Path) -> None:
    source = networks.saved(quantized(16, "linear"), tmp_path / "m.mlmodel")
    expected = by_coremltools(source)
    out, plan = apply(decompress(), source, tmp_path / "out.mlmodel")
    after = by_coremltools(out)
    assert plan.replaced and {n: a.tobytes() for n, a in after.items()} == {
        n: a.tobytes() for n, a in expected.items()
    }


def test_rounded_inputs_are_those_of_coremltools_but_for_its_truncation(sample: Path, tmp_path: Path) -> None:
    spec = ct.utils.load_spec(str(sample))
    with contextlib.redirect_stdout(io.StringIO()):
        theirs = quantization_utils.activate_int8_int8_matrix_multiplications(spec)
    dynamic = fit_affine(mode="dynamic", granularity=PerTensor()) | replace_const_with_affine()
    out, plan = apply(EVERYTHING | dynamic, sample, tmp_path / "out.mlmodel")
    ours = networks.parsed(out)
    assert ours.specificationVersion == theirs.specificationVersion == 5
    found, expected = (dict(networks.weight_messages(each)) for each in (ours, theirs))
    for row in plan.replaced:
        mine, other = found[row.weight.name], expected[row.weight.name]
        scales = [list(each.quantization.linearQuantization.scale) for each in (mine, other)]
        np.testing.assert_allclose(*scales, rtol=1e-6)
        numbers = [np.frombuffer(each.int8RawValue, np.int8).astype(int) for each in (mine, other)]
        assert set(np.abs(numbers[0]) - np.abs(numbers[1])) == {0, 1}
    for model in (ours, theirs):
        for _, message in networks.weight_messages(model):
            message.Clear()
    assert ours.SerializeToString(deterministic=True) == theirs.SerializeToString(deterministic=True)


def test_pipelines_of_coremltools(tmp_path: Path) -> None:
    inner = convolutional()
    outer = ct.models.pipeline.Pipeline([("x", datatypes.Array(1, 4, 8, 8))], [("z", datatypes.Array(1, 12))])
    for number in range(2):
        stage = type(inner)()
        stage.CopyFrom(inner)
        networks.network_of(stage).layers[0].name = f"conv{number}"
        outer.spec.pipeline.models.add().CopyFrom(stage)
    source = networks.saved(outer.spec, tmp_path / "m.mlmodel")
    out, plan = apply(
        EVERYTHING | fit_lut(nbits=2) | replace_const_with_lut(), source, tmp_path / "o.mlmodel"
    )
    assert {row.weight.key.function for row in plan.replaced} == {"0/main", "1/main"}
    written = ct.utils.load_spec(str(out))
    versions = [written.specificationVersion, *(m.specificationVersion for m in written.pipeline.models)]
    assert versions == [3, 4, 4]  # what tables ask for, and what the networks had


class TestLoadedNetwork(TestNeuralNetwork):
    def made(self, text: str) -> Any:
        return ct.models.MLModel(str(super().made(text)), skip_model_load=True)

    def values(self, model: Any) -> Mapping[str, np.ndarray]:
        return by_coremltools(networks.saved(model.get_spec(), self.destination()))

    def op_types(self, model: Any) -> list[str]:
        return super().op_types(networks.saved(model.get_spec(), self.destination()))

    def test_the_same_with_a_destination_and_without(self) -> None:
        pipeline = EVERYTHING | fit_affine(nbits=3) | replace_const_with_affine()
        path = TestNeuralNetwork.made(self, MODEL)
        model, out = ct.models.MLModel(str(path), skip_model_load=True), self.folder / "out.mlmodel"
        before = model.get_spec().SerializeToString(deterministic=True)
        expected = apply(pipeline, path, self.destination())[0].read_bytes()
        made, _ = apply(pipeline, model)
        saved, _ = apply(pipeline, model, out)
        assert out.read_bytes() == expected == made.get_spec().SerializeToString(deterministic=True)
        assert isinstance(saved, ct.models.MLModel) and saved.get_spec() == made.get_spec()
        assert model.get_spec().SerializeToString(deterministic=True) == before


def test_layers_of_a_model_in_memory_are_folded_in_a_copy() -> None:
    network = NeuralNetworkBuilder([("x", datatypes.Array(8, 6, 6))], [("y", datatypes.Array(16, 4, 4))])
    kernel = np.random.default_rng(0).normal(size=(3, 3, 8, 16))
    network.add_convolution(
        "conv", 8, 16, 3, 3, 1, 1, "valid", 1, kernel, None, False, input_name="x", output_name="a"
    )
    numbers = np.random.default_rng(1).random((4, 16))
    network.add_batchnorm("norm", 16, *numbers, input_name="a", output_name="y")
    model = ct.models.MLModel(network.spec, skip_model_load=True)
    before = model.get_spec()
    steps = fold_batchnorm() | select_weights(0) | fit_lut(nbits=8) | replace_const_with_lut()
    made, plan = apply(steps, model)
    assert model.get_spec() == before and plan.is_edited
    assert [layer.name for layer in made.get_spec().neuralNetwork.layers] == ["conv"]
    alone, _ = apply(fold_batchnorm(), model)
    assert len(alone.get_spec().neuralNetwork.layers[0].convolution.bias.floatValue) == 16
