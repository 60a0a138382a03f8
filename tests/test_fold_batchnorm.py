"""Folded networks give what the original ones give, evaluated in numpy from the raw messages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from milpass import (
    apply,
    fit_lut,
    fold_batchnorm,
    parse,
    replace_const_with_lut,
    select_weights,
)
from milpass.cli import main
from milpass.errors import NothingCompressed, UsageError
from milpass.targets.neuralnetwork.folding import fold
from milpass.targets.neuralnetwork.networks import Networks
from tests.networks import add, fill, network_of, new_model
from tests.packages import Const, Op, write_package

CHANNELS, INPUTS, SIDE = 6, 4, 5
KERNEL = (2, 3)


def floats(message: Any) -> np.ndarray:
    return np.array(message.floatValue, np.float64)


def convolved(parameters: Any, x: np.ndarray) -> np.ndarray:
    """A convolution or deconvolution of [C, H, W] without padding, by its definition."""
    groups, outputs = max(parameters.nGroups, 1), parameters.outputChannels
    height, width = parameters.kernelSize
    inputs = len(x) // groups
    if parameters.isDeconvolution:
        kernel = floats(parameters.weights).reshape(len(x), outputs // groups, height, width)
        y = np.zeros((outputs, x.shape[1] + height - 1, x.shape[2] + width - 1))
        for c in range(len(x)):
            for j in range(outputs // groups):
                for row, column in np.ndindex(x.shape[1:]):
                    place = c // inputs * (outputs // groups) + j
                    y[place, row : row + height, column : column + width] += kernel[c, j] * x[c, row, column]
    else:
        kernel = floats(parameters.weights).reshape(outputs, inputs, height, width)
        y = np.zeros((outputs, x.shape[1] - height + 1, x.shape[2] - width + 1))
        for o, row, column in np.ndindex(y.shape):
            first = o // (outputs // groups) * inputs
            seen = x[first : first + inputs, row : row + height, column : column + width]
            y[o, row, column] = (kernel[o] * seen).sum()
    return y + (floats(parameters.bias)[:, None, None] if parameters.hasBias else 0)


def multiplied(parameters: Any, x: np.ndarray) -> np.ndarray:
    matrix = floats(parameters.weights).reshape(parameters.outputChannels, -1)
    y = matrix @ x.reshape(-1) + (floats(parameters.bias) if parameters.hasBias else 0)
    return y[:, None, None]


def normalized(parameters: Any, x: np.ndarray) -> np.ndarray:
    gamma, beta, mean, variance = (
        floats(getattr(parameters, name))[:, None, None] for name in ("gamma", "beta", "mean", "variance")
    )
    return gamma * (x - mean) / np.sqrt(variance + parameters.epsilon) + beta


LAYERS = {
    "convolution": convolved,
    "innerProduct": multiplied,
    "batchnorm": normalized,
    "scale": lambda p, x: (
        floats(p.scale)[:, None, None] * x + (floats(p.bias)[:, None, None] if p.hasBias else 0)
    ),
    "bias": lambda p, x: x + floats(p.bias)[:, None, None],
    "activation": lambda p, x: np.maximum(x, 0),
}


def evaluated(model: Any, x: np.ndarray) -> dict[str, np.ndarray]:
    """What each blob stands for in the end."""
    blobs = {"x": x}
    for layer in network_of(model).layers:
        kind = layer.WhichOneof("layer")
        blobs[layer.output[0]] = LAYERS[kind](getattr(layer, kind), blobs[layer.input[0]])
    return blobs


def add_convolution(network: Any, name: str, source: str, result: str, **fields: Any) -> Any:
    parameters = add(network, "convolution", name, source, result)
    groups = fields.get("nGroups", 1)
    deconvolution = fields.get("isDeconvolution", False)
    parameters.outputChannels, parameters.nGroups = CHANNELS, groups
    parameters.kernelChannels = INPUTS if deconvolution else INPUTS // groups
    parameters.isDeconvolution, parameters.hasBias = deconvolution, fields.get("hasBias", True)
    parameters.kernelSize.extend(KERNEL)
    parameters.valid.SetInParent()
    shape = (INPUTS, CHANNELS // groups) if deconvolution else (CHANNELS, INPUTS // groups)
    fill(parameters.weights, *shape, *KERNEL)
    if parameters.hasBias:
        fill(parameters.bias, CHANNELS)
    return parameters


def add_batchnorm(network: Any, name: str, source: str, result: str) -> Any:
    parameters = add(network, "batchnorm", name, source, result)
    parameters.channels, parameters.epsilon = CHANNELS, 1e-3
    for field in ("gamma", "beta", "mean"):
        fill(getattr(parameters, field), CHANNELS, scale=1.0)
    parameters.variance.floatValue.extend((np.arange(CHANNELS) / 3 + 0.1).tolist())
    return parameters


def add_scale(network: Any, name: str, source: str, result: str, *shape: int) -> Any:
    parameters = add(network, "scale", name, source, result)
    parameters.shapeScale.extend(shape)
    parameters.shapeBias.extend(shape)
    parameters.hasBias = True
    fill(parameters.scale, *shape, scale=1.0)
    fill(parameters.bias, *shape, scale=1.0)
    return parameters


def add_bias(network: Any, name: str, source: str, result: str, *shape: int) -> Any:
    parameters = add(network, "bias", name, source, result)
    parameters.shape.extend(shape)
    fill(parameters.bias, *shape, scale=1.0)
    return parameters


def saved(model: Any, tmp_path: Path) -> Path:
    path = tmp_path / "m.mlmodel"
    path.write_bytes(model.SerializeToString())
    return path


def folded(model: Any, tmp_path: Path) -> tuple[Any, Any]:
    """The model after folding alone, and the plan."""
    out, plan = apply(fold_batchnorm(), saved(model, tmp_path), tmp_path / "out.mlmodel")
    found = new_model()
    found.ParseFromString(Path(out).read_bytes())
    return found, plan


def names(model: Any) -> list[str]:
    return [layer.name for layer in network_of(model).layers]


def check_same(model: Any, other: Any, blob: str = "y") -> None:
    x = np.random.default_rng(3).normal(size=(INPUTS, SIDE, SIDE))
    before, after = evaluated(model, x)[blob], evaluated(other, x)[blob]
    np.testing.assert_allclose(after, before, rtol=1e-5, atol=1e-5 * np.abs(before).max())


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("deconvolution", [False, True])
@pytest.mark.parametrize("has_bias", [False, True])
def test_convolution_and_batchnorm(groups: int, deconvolution: bool, has_bias: bool, tmp_path: Path) -> None:
    model = new_model()
    network = network_of(model)
    fields = {"nGroups": groups, "isDeconvolution": deconvolution, "hasBias": has_bias}
    add_convolution(network, "conv", "x", "a", **fields)
    add_batchnorm(network, "norm", "a", "y")
    after, plan = folded(model, tmp_path)
    assert names(after) == ["conv"] and network_of(after).layers[0].output[:] == ["y"]
    assert plan.is_edited and "1 layer is folded into those before, norm the first." in plan.notes
    check_same(model, after)


def test_a_chain_of_all_kinds(tmp_path: Path) -> None:
    model = new_model()
    network = network_of(model)
    add_convolution(network, "conv", "x", "a")
    add_batchnorm(network, "norm", "a", "a")
    add_scale(network, "scale", "a", "b", CHANNELS, 1, 1)
    add_bias(network, "bias", "b", "c", 1)
    add(network, "activation", "relu", "c", "d").ReLU.SetInParent()
    product = add(network, "innerProduct", "product", "d", "e")
    product.inputChannels, product.outputChannels = CHANNELS * 4 * 3, CHANNELS
    fill(product.weights, CHANNELS, CHANNELS * 4 * 3)
    add_scale(network, "last", "e", "y", CHANNELS)
    after, _ = folded(model, tmp_path)
    assert names(after) == ["conv", "relu", "product"]
    check_same(model, after)


def _an_output(model: Any) -> None:
    model.description.output.add().name = "a"


def _read_twice(model: Any) -> None:
    add(network_of(model), "activation", "relu", "a", "z").ReLU.SetInParent()


def _of_its_input(model: Any) -> None:
    network_of(model).layers[1].batchnorm.instanceNormalization = True


def _trained(model: Any) -> None:
    network_of(model).layers[0].isUpdatable = True


def _rounded(model: Any) -> None:
    weights = network_of(model).layers[0].convolution.weights
    half = np.array(weights.floatValue, np.float16).tobytes()
    weights.Clear()
    weights.float16Value = half


def _without_an_end(model: Any) -> None:
    network_of(model).layers[1].batchnorm.variance.floatValue[0] = -1.0


def _trained_on(model: Any) -> None:
    loss = network_of(model).updateParams.lossLayers.add()
    loss.meanSquaredErrorLossLayer.input = "a"


def _rebound_between(model: Any) -> None:
    """`y` is read by another layer before the batchnorm gives it anew."""
    layers = network_of(model).layers
    norm = type(layers[1]).FromString(layers[1].SerializeToString())
    del layers[1]
    model.description.input.add().name = "y"
    add(network_of(model), "activation", "relu", "y", "z").ReLU.SetInParent()
    layers.append(norm)


def _two_inputs(model: Any) -> None:
    network_of(model).layers[1].input.append("a")


def _uneven_groups(model: Any) -> None:
    convolution = network_of(model).layers[0].convolution
    convolution.isDeconvolution, convolution.nGroups = True, 3  # of 4 input channels
    convolution.weights.Clear()
    fill(convolution.weights, 4, CHANNELS // 3, *KERNEL)


def _uneven_outputs(model: Any) -> None:
    convolution = network_of(model).layers[0].convolution
    convolution.isDeconvolution, convolution.nGroups = True, 4  # 6 output channels
    convolution.weights.Clear()
    fill(convolution.weights, 4, CHANNELS // 4, *KERNEL)


def _one_channel(model: Any) -> None:
    norm = network_of(model).layers[1].batchnorm
    norm.channels = 1
    for name in ("gamma", "beta", "mean", "variance"):
        del getattr(norm, name).floatValue[1:]


def _no_variance(model: Any) -> None:
    norm = network_of(model).layers[1].batchnorm
    norm.epsilon, norm.variance.floatValue[:] = 0, [0] * CHANNELS


STAYS = [
    _two_inputs,
    _uneven_groups,
    _uneven_outputs,
    _one_channel,
    _no_variance,
    _an_output,
    _read_twice,
    _of_its_input,
    _trained,
    _rounded,
    _without_an_end,
    _trained_on,
    _rebound_between,
]


@pytest.mark.parametrize("change", STAYS, ids=lambda change: change.__name__)
def test_what_must_stay_stays(change: Any, tmp_path: Path) -> None:
    model = new_model()
    network = network_of(model)
    add_convolution(network, "conv", "x", "a")
    add_batchnorm(network, "norm", "a", "y")
    change(model)
    with pytest.raises(NothingCompressed):
        folded(model, tmp_path)
    fits = fold_batchnorm() | select_weights(0) | fit_lut(nbits=8) | replace_const_with_lut()
    if change not in (_trained, _rounded):  # nothing else is to be chosen there
        out, _ = apply(fits, tmp_path / "m.mlmodel", tmp_path / "out.mlmodel")
        after = new_model()
        after.ParseFromString(Path(out).read_bytes())
        assert names(after) == names(model)


def test_a_loss_of_no_kind_hinders_nothing(tmp_path: Path) -> None:
    model = new_model()
    network = network_of(model)
    add_convolution(network, "conv", "x", "a")
    add_batchnorm(network, "norm", "a", "y")
    network.updateParams.lossLayers.add()
    after, _ = folded(model, tmp_path)
    assert names(after) == ["conv"]


def test_many_pairs_are_folded_in_one_walk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = new_model()
    network = network_of(model)
    for number in range(50):
        add_convolution(network, f"conv{number}", "x", f"a{number}")
        add_batchnorm(network, f"norm{number}", f"a{number}", f"y{number}")
    walks, walk = [], Networks.of
    monkeypatch.setattr(Networks, "of", lambda model: walks.append(model) or walk(model))
    gone, _ = fold(model)
    assert gone == [f"norm{number}" for number in range(50)] and len(walks) == 2
    assert names(model) == [f"conv{number}" for number in range(50)]


def test_numbers_of_places_are_no_channels(tmp_path: Path) -> None:
    model = new_model()
    network = network_of(model)
    add_convolution(network, "conv", "x", "a")
    add_scale(network, "scale", "a", "y", 1, 4, 3)
    with pytest.raises(NothingCompressed) as nothing:
        folded(model, tmp_path)
    assert any("numbers of shape [1, 4, 3]" in note for note in nothing.value.plan.notes)


def test_folded_and_compressed_in_one_pipeline(tmp_path: Path) -> None:
    model = new_model()
    network = network_of(model)
    add_convolution(network, "conv", "x", "a", hasBias=False)
    add_batchnorm(network, "norm", "a", "y")
    pipeline = parse(
        "fold_batchnorm() | select_weights(threshold=0) | fit_lut(nbits=4) | replace_const_with_lut()"
    )
    assert parse(repr(pipeline)) == pipeline
    source = saved(model, tmp_path)
    plan = pipeline.plan(source)
    assert {row.weight.name for row in plan.rows} == {"conv/weights", "conv/bias"}
    out, done = apply(pipeline, source, tmp_path / "out.mlmodel")
    after = new_model()
    after.ParseFromString(Path(out).read_bytes())
    (layer,) = network_of(after).layers
    assert layer.convolution.weights.quantization.numberOfBits == 4 and layer.convolution.bias.floatValue
    assert len(done.replaced) == 1


def test_it_stands_first_and_needs_a_network(tmp_path: Path) -> None:
    model = new_model()
    add_convolution(network_of(model), "conv", "x", "y")
    source = saved(model, tmp_path)
    with pytest.raises(UsageError, match=r"select_weights before it, needs the first place"):
        (select_weights() | fold_batchnorm()).plan(source)
    steps = [Const("w", np.ones((4, 4), np.float16)), Op("linear", {"x": "x", "weight": "w"}, "y")]
    package = write_package(tmp_path / "m.mlpackage", steps)
    with pytest.raises(UsageError, match=r"a model of iOS16, needs an .mlmodel of a neural network"):
        (fold_batchnorm() | select_weights()).plan(package)


def test_the_command_folds(tmp_path: Path) -> None:
    model = new_model()
    network = network_of(model)
    add_convolution(network, "conv", "x", "a")
    add_batchnorm(network, "norm", "a", "y")
    source, out = saved(model, tmp_path), tmp_path / "out.mlmodel"
    arguments = ["apply", str(source), "-p", "fold_batchnorm()"]
    shown = CliRunner().invoke(main, [*arguments, "--dry-run"])
    assert shown.exit_code == 0 and "1 layer is folded" in shown.output and not out.exists()
    assert CliRunner().invoke(main, [*arguments, "-o", str(out)]).exit_code == 0
    after = new_model()
    after.ParseFromString(out.read_bytes())
    check_same(model, after)
