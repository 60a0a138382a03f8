"""`quantize_weights` and selectors of layers, against coremltools' own on the same networks."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import coremltools as ct
import numpy as np
import pytest
from coremltools.models import MLModel
from coremltools.models.neural_network import quantization_utils as theirs
from coremltools.proto import Model_pb2

from milpass import MilpassWarning, UsageError, compat, fit_lut, replace_const_with_lut, select_weights
from milpass.selectors import (
    Selector,
    anything,
    kernel_channels,
    layer_type,
    name,
    op_name,
    output_channels,
    role,
    size,
)
from tests import networks
from tests.every_layer import every_layer

# The originals, whatever stands in their place later.
THEIRS = theirs.quantize_weights
NEEDS_SKLEARN = pytest.mark.skipif(find_spec("sklearn") is None, reason="coremltools needs scikit-learn")


def loaded(message: Any) -> Any:
    """The `MLModel` of a message of milpass' own loading."""
    spec = Model_pb2.Model.FromString(message.SerializeToString())
    with contextlib.redirect_stdout(io.StringIO()):
        return MLModel(spec)


def quietly(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    with contextlib.redirect_stdout(io.StringIO()):
        return function(*args, **kwargs)


def quantized(model: Any) -> dict[str, str]:
    """Which field holds the values of each weight that is not plain any more, from the message alone."""
    return {
        place: next(field for field in ("rawValue", "float16Value", "int8RawValue") if getattr(each, field))
        for place, each in networks.weight_messages(model.get_spec())
        if not len(each.floatValue)
    }


def nested() -> Any:
    """A branch and a loop around layers with weights, and some beside them."""
    message = networks.small()
    network = networks.network_of(message)
    branch = networks.add(network, "branch", "fork", "y", "")
    networks.add_product(branch.ifBranch, "inside", "y", "z")
    networks.add_convolution(branch.elseBranch, "else", "y", "z")
    loop = networks.add(network, "loop", "turns", "", "")
    loop.maxLoopIterations = 3
    networks.add_product(loop.bodyNetwork, "turn", "z", "z")
    wide = networks.add(network, "batchedMatmul", "wide", "z", "w")
    wide.weightMatrixFirstDimension, wide.weightMatrixSecondDimension, wide.hasBias = 16, 40, True
    networks.fill(wide.weights, 40, 16)
    networks.fill(wide.bias, 40)
    return message


@pytest.fixture(scope="module")
def model() -> Any:
    return loaded(nested())


class Named(compat.QuantizedLayerSelector):
    """As documentation of coremltools has it."""

    def do_quantize(self, layer: Any, weight_param: str | None = None) -> bool:
        return super().do_quantize(layer) and layer.name != "inside" and weight_param != "bias"


class Loose(compat.QuantizedLayerSelector):
    def do_quantize(self, layer: Any, **kwargs: Any) -> bool:
        return super().do_quantize(layer) and "turn" not in layer.name


class EverySecond(compat.QuantizedLayerSelector):
    """Counts the layers with weights: each must be asked about once."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def do_quantize(self, layer: Any, weight_param: str | None = None) -> bool:
        if not super().do_quantize(layer) or layer.WhichOneof("layer") in ("branch", "loop"):
            return bool(super().do_quantize(layer))
        if weight_param is None:
            self.count += 1
        return self.count % 2 == 1


SELECTORS: dict[str, Callable[[], Any]] = {
    "base": compat.QuantizedLayerSelector,
    "named": Named,
    "loose": Loose,
    "every second": EverySecond,
    "advanced": lambda: compat.AdvancedQuantizedLayerSelector(["bias"], 4, 200),
    "no kernels": lambda: compat.AdvancedQuantizedLayerSelector(["innerProduct"], 5, 10),
    "small kernels": lambda: compat.AdvancedQuantizedLayerSelector(["batchedMatmul"], 4, 10),
    "products": compat.MatrixMultiplyLayerSelector,
    "wide products": lambda: compat.MatrixMultiplyLayerSelector(minimum_output_channels=9),
    "narrow products": lambda: compat.MatrixMultiplyLayerSelector(100, 2, 3, 16, 39),
}


@pytest.mark.parametrize("kind", SELECTORS)
@pytest.mark.parametrize("nbits", [5, 16])
def test_their_selectors_choose_what_they_choose_there(model: Any, kind: str, nbits: int) -> None:
    ours = compat.quantize_weights(model, nbits, selector=SELECTORS[kind]())
    peer = quietly(THEIRS, model, nbits, selector=SELECTORS[kind]())
    found, wanted = quantized(ours), quantized(peer)
    if nbits == 16:  # all of a layer, which Core ML takes in one type alone
        found, wanted = ({place.partition("/")[0]: 0 for place in each} for each in (found, wanted))
    assert found == wanted
    assert ours.get_spec().specificationVersion <= peer.get_spec().specificationVersion


def choice(where: Selector) -> Any:
    return (
        select_weights(threshold=0, where=where & role("weight"))
        | fit_lut(nbits=4)
        | replace_const_with_lut()
    )


SAID: tuple[tuple[Any, Selector], ...] = (
    (
        compat.AdvancedQuantizedLayerSelector(["innerProduct"], 5, 10),
        ~layer_type("innerProduct") & (~layer_type("convolution") | kernel_channels(min=5)),
    ),
    (
        compat.AdvancedQuantizedLayerSelector(["batchedMatmul"], 4, 144),
        ~layer_type("batchedMatmul") & (~layer_type("convolution") | size(min=144)),
    ),
    (Loose(), ~op_name("turn*")),
    (
        compat.MatrixMultiplyLayerSelector(include_layers_with_names=["inside", "wide"]),
        name("inside/*") | name("wide/*"),
    ),
    (
        compat.MatrixMultiplyLayerSelector(maximum_input_channels=16, minimum_output_channels=9),
        (layer_type("innerProduct") | layer_type("batchedMatmul"))
        & kernel_channels(max=16)
        & output_channels(min=9),
    ),
)


@pytest.mark.parametrize(("theirs_own", "said"), SAID)
def test_the_same_is_said_in_our_words(tmp_path: Path, theirs_own: Any, said: Selector) -> None:
    path = networks.saved(nested(), tmp_path / "net.mlmodel")
    chosen = [
        [row.weight.name for row in choice(where).plan(path).replaced]
        for where in (compat.layer_selector(theirs_own), said)
    ]
    assert chosen[0] == chosen[1]
    assert 0 < len(chosen[0]) < 6


def test_a_selector_of_layers_wants_layers_and_a_method(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="needs an object with do_quantize"):
        compat.layer_selector(object())
    where = compat.layer_selector(Named())
    assert repr(where) == "<layers by Named>"
    pipeline = select_weights(where=where) | fit_lut(nbits=4) | replace_const_with_lut()
    with pytest.raises(UsageError, match="needs a neural network"):
        pipeline.plan("examples/digits.mlpackage")


@pytest.mark.parametrize("nbits", [1, 5, 8])
@pytest.mark.parametrize("mode", ["linear", "linear_lut"])
def test_numbers_stand_for_what_they_stand_for_there(model: Any, mode: str, nbits: int) -> None:
    ours, peer = compat.quantize_weights(model, nbits, mode), quietly(THEIRS, model, nbits, mode)
    assert quantized(ours) == quantized(peer)
    pairs = zip(
        networks.weight_messages(ours.get_spec()), networks.weight_messages(peer.get_spec()), strict=True
    )
    plain = dict(networks.weight_messages(model.get_spec()))
    for (place, one), (_, other) in pairs:
        values = np.array(plain[place].floatValue, np.float32)
        rows = 1 if place.endswith("bias") or "lut" in mode else ROWS[place.partition("/")[0]]
        mine, their = (
            networks.numpy_values(each, (rows, values.size // rows)).ravel() for each in (one, other)
        )
        step = np.ptp(values) / (2**nbits - 1)
        assert np.isclose(mine, their, atol=1e-6).mean() > 0.98  # the rest lies halfway between two
        assert np.abs(mine - values).max() <= step / 2 + 1e-6


# Output channels of the layers in `nested`, along the first axis.
ROWS = {"conv": 6, "fc": 8, "inside": 8, "else": 6, "turn": 8, "wide": 40}


def test_symmetric_numbers_and_those_of_other_modes(model: Any) -> None:
    symmetric = [
        quantized(quietly(function, model, 8, "linear_symmetric"))
        for function in (compat.quantize_weights, THEIRS)
    ]
    assert symmetric[0] == symmetric[1]
    back = compat.quantize_weights(compat.quantize_weights(model, 16), None, "dequantization")
    assert not quantized(back)


@NEEDS_SKLEARN
def test_tables_of_k_means_work(model: Any) -> None:
    for mode in ("kmeans", "kmeans_lut"):
        tables = compat.quantize_weights(model, 3, mode)
        assert len(quantized(tables)) == 12
    message = dict(networks.weight_messages(tables.get_spec()))["wide/weights"]
    values = np.array(dict(networks.weight_messages(model.get_spec()))["wide/weights"].floatValue)
    from sklearn.cluster import KMeans

    found = networks.numpy_values(message, (40, 16)).ravel()
    peer = KMeans(8, n_init=3, random_state=0).fit(values[:, None])
    assert ((found - values) ** 2).sum() <= peer.inertia_ * (1 + 1e-6)


def test_a_table_of_ones_own(model: Any) -> None:
    seen: list[tuple[int, Any]] = []

    def signs(nbits: int, wp: Any) -> tuple[Any, Any]:
        seen.append((nbits, wp.shape))
        return np.array([[-1.0], [1.0], [0.0], [0.0]]), (wp > 0).reshape(1, -1).astype(float)

    ours = compat.quantize_weights(model, 2, "custom_lut", lut_function=signs)
    ours_seen, seen = seen, []
    quietly(
        THEIRS, model, 2, "custom_lut", lut_function=lambda n, wp: (signs(n, wp)[0].ravel(), signs(n, wp)[1])
    )
    assert sorted(ours_seen) == sorted(seen[::2])
    plain = dict(networks.weight_messages(model.get_spec()))
    for place, each in networks.weight_messages(ours.get_spec()):
        values = np.array(plain[place].floatValue)
        assert (networks.numpy_values(each, values.shape) == np.where(values > 0, 1, -1)).all()


WRONG: tuple[tuple[int | None, str, dict[str, Any]], ...] = (
    (None, "linear", {}),
    (9, "linear", {}),
    (0, "kmeans_lut", {}),
    (-4, "linear_lut", {}),
    (4, "linear_symmetric", {}),
    (4, "custom_lut", {}),
    (4, "custom_lut", {"lut_function": 3}),
)


@pytest.mark.parametrize(("nbits", "mode", "more"), WRONG)
def test_errors_are_theirs(model: Any, nbits: Any, mode: str, more: dict[str, Any]) -> None:
    with pytest.raises(Exception) as peer:
        quietly(THEIRS, model, nbits, mode, **more)
    with pytest.raises(Exception) as ours:
        compat.quantize_weights(model, nbits, mode, **more)
    assert str(ours.value) == str(peer.value)


def test_an_unknown_mode_and_a_function_that_fails(model: Any) -> None:
    with pytest.raises(Exception, match="Invalid quantization mode"):
        compat.quantize_weights(model, 8, "linea")
    with pytest.raises(Exception, match="Call to Lookup Table function failed"):
        compat.quantize_weights(model, 4, "custom_lut", lut_function=lambda nbits, wp: 1 / 0)


def test_what_is_marked_updatable_stays(caplog: pytest.LogCaptureFixture) -> None:
    message = networks.small()
    message.isUpdatable = True
    message.neuralNetwork.layers[2].isUpdatable = True
    model = loaded(message)
    with caplog.at_level(logging.WARNING, "coremltools.milpass"):
        assert set(quantized(compat.quantize_weights(model, 8))) == {"conv/weights", "conv/bias"}
    assert "fc/weights: it is marked updatable" in caplog.text
    with pytest.raises(Exception, match="updatable models cannot get quantized to FP16"):
        compat.quantize_weights(model, 16)


def test_a_path_a_spec_and_a_model_give_the_same(tmp_path: Path, model: Any) -> None:
    path = networks.saved(nested(), tmp_path / "net.mlmodel")
    spec = ct.utils.load_spec(str(path))
    made = [compat.quantize_weights(each, 6).get_spec() for each in (path, str(path), spec, MLModel(spec))]
    assert all(each == made[0] for each in made)
    assert not quantized(MLModel(spec))  # the one that was handed over
    units = MLModel(str(path), compute_units=ct.ComputeUnit.CPU_ONLY)
    assert compat.quantize_weights(units, 6).compute_unit == ct.ComputeUnit.CPU_ONLY


def test_an_ml_program_is_refused() -> None:
    program = MLModel("examples/digits.mlpackage", skip_model_load=True)
    with pytest.raises(UsageError, match="got a model of type mlProgram"):
        compat.quantize_weights(program, 8)


def test_warnings_tell_what_is_not_used(model: Any) -> None:
    with pytest.warns(MilpassWarning, match="sample_data is not used"):
        compat.quantize_weights(model, 8, sample_data=[{"x": np.zeros(3)}])
    with pytest.warns(MilpassWarning, match="'select' is no argument"):
        compat.quantize_weights(model, 8, select=Named())


def test_nothing_left_to_do_gives_the_model_as_it_is(model: Any) -> None:
    done = compat.quantize_weights(model, 8)
    assert compat.quantize_weights(done, 4).get_spec() == done.get_spec()


@pytest.mark.parametrize("kind", ["pipeline", "pipelineClassifier", "pipelineRegressor"])
def test_pipelines_of_models(kind: str) -> None:
    outer = networks.new_model(kind)
    pipeline = outer.pipeline if kind == "pipeline" else getattr(outer, kind).pipeline
    pipeline.models.add().CopyFrom(networks.small())
    pipeline.names.append("first")
    made = compat.quantize_weights(loaded(outer), 4, "linear_lut").get_spec()
    assert len(quantized(MLModel(made))) == 4
    assert made.specificationVersion == 3


def test_programs_beside_networks_stay_as_they_are() -> None:
    outer = networks.new_model("pipeline")
    program = MLModel("examples/digits.mlpackage", skip_model_load=True)
    outer.pipeline.models.add().CopyFrom(networks.small())
    outer.pipeline.models.add().MergeFromString(program.get_spec().SerializeToString())
    outer.pipeline.names.extend(["net", "digits"])
    spec = Model_pb2.Model.FromString(outer.SerializeToString())
    both = MLModel(spec, weights_dir=program.weights_dir, skip_model_load=True)
    for selector in (None, Named()):
        made = compat.quantize_weights(both, 4, "linear_lut", selector=selector).get_spec()
        assert quantized_in(made.pipeline.models[0])
        assert made.pipeline.models[1].mlProgram == both.get_spec().pipeline.models[1].mlProgram


def quantized_in(spec: Any) -> list[str]:
    return [place for place, each in networks.weight_messages(spec) if each.rawValue]


def test_every_layer_that_they_take_is_taken() -> None:
    message = every_layer()
    kinds = {layer.name: layer.WhichOneof("layer") for layer in networks.network_of(message).layers}
    for layer in networks.network_of(message).layers:
        if layer.WhichOneof("layer") == "convolution":
            layer.convolution.nGroups = max(layer.convolution.nGroups, 1)  # they divide by it
    found = quantized(compat.quantize_weights(loaded(message), 4, "linear_lut"))
    peer = quantized(quietly(THEIRS, loaded(message), 4, "linear_lut"))
    assert set(peer) - set(found) == set()
    assert {kinds[place.partition("/")[0]] for place in set(found) - set(peer)} <= {
        "convolution3d",
        "layerNormalization",
    }


def test_the_pipeline_is_printed() -> None:
    printed = repr(compat.quantization_pipeline(6, "linear"))
    assert printed == (
        "select_weights(threshold=0, where=anything) | fit_affine(mode='linear', nbits=6) | "
        "replace_const_with_affine()"
    )
    where = op_name("fc*")
    assert "where=op_name('fc*')" in repr(compat.quantization_pipeline(16, selector=where))
    assert repr(compat.quantization_pipeline(None, "dequantization")) == "Pipeline(decompress())"
    assert compat.quantization_pipeline(4, "kmeans", selector=anything) == compat.quantization_pipeline(
        4, "kmeans_lut"
    )


def test_patch_puts_it_in_place() -> None:
    with compat.patch():
        assert theirs.quantize_weights is compat.quantize_weights
        assert ct.models.neural_network.quantization_utils.quantize_weights is compat.quantize_weights
    assert theirs.quantize_weights is THEIRS
