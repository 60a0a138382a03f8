"""Neural networks: what is found in them, written, and refused; read by raw protobuf and numpy."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from milpass import (
    ModelError,
    NothingCompressed,
    Pipeline,
    UsageError,
    apply,
    decompress,
    fit_affine,
    fit_cast,
    fit_lut,
    parse,
    prune_weights,
    read_weights,
    replace_const_with_affine,
    replace_const_with_cast,
    replace_const_with_lut,
    replace_const_with_sparse,
    select_weights,
)
from milpass.cli import main
from milpass.errors import MilpassError
from milpass.granularity import Channels, PerChannel, PerGroupedChannel, PerTensor
from milpass.plan import Replaced, Skipped
from milpass.selectors import anything, last, near, op_type
from milpass.selectors import name as called
from milpass.targets import open_target
from milpass.targets.neuralnetwork.layers import TABLE
from tests import networks
from tests.networks import add, add_convolution, add_product, fill, network_of, new_model, saved, small

EVERYTHING = select_weights(threshold=0, where=anything)
LUT = EVERYTHING | fit_lut(nbits=3) | replace_const_with_lut()
AFFINE = EVERYTHING | fit_affine(nbits=4) | replace_const_with_affine()
CAST = EVERYTHING | fit_cast() | replace_const_with_cast()


def weights_of(path: Path) -> dict[str, Any]:
    return {weight.name: weight for weight in open_target(path).weights()}


# The table of layers


def descriptors() -> dict[str, Any]:
    layers = network_of(new_model()).layers.add().DESCRIPTOR.oneofs_by_name["layer"].fields
    return {field.name: field.message_type for field in layers}


def paths_to_weights(message: Any, path: str, within: frozenset[str]) -> set[str]:
    """The ways to `WeightParams` below a message type, other layers left out."""
    found: set[str] = set()
    for field in message.fields:
        kind = field.message_type
        if kind is None or kind.full_name in within or kind.name in ("NeuralNetwork", "NeuralNetworkLayer"):
            continue
        is_repeated = field.is_repeated if hasattr(field, "is_repeated") else field.label == 3
        step = f"{path}{field.name}{'[]' if is_repeated else ''}"
        if kind.name == "WeightParams":
            found.add(step)
        else:
            found |= paths_to_weights(kind, f"{step}.", within | {kind.full_name})
    return found


def test_every_field_that_holds_weights_has_a_row() -> None:
    for kind, message in descriptors().items():
        rows = [row.path for row in TABLE.get(kind, ())]
        assert set(rows) == paths_to_weights(message, "", frozenset({message.full_name})), kind
        assert len(rows) == len(set(rows)), kind
    assert set(TABLE) <= set(descriptors())


def lstm(weights: Any) -> None:
    for gate in ("inputGate", "forgetGate", "blockInput", "outputGate"):
        fill(getattr(weights, f"{gate}WeightMatrix"), 5, 7)
        fill(getattr(weights, f"{gate}RecursionMatrix"), 5, 5)
        fill(getattr(weights, f"{gate}BiasVector"), 5)
    for gate in ("inputGate", "forgetGate", "outputGate"):
        fill(getattr(weights, f"{gate}PeepholeVector"), 5)


def every_layer() -> Any:
    """A network with a layer of each type that holds weights."""
    model = new_model(version=5)
    network = network_of(model)
    add_convolution(network, "conv", "x", "a")
    add_convolution(network, "grouped", "x", "a", nGroups=2)
    add_convolution(network, "deconv", "x", "a", isDeconvolution=True)
    add_convolution(network, "deconv_grouped", "x", "a", isDeconvolution=True, nGroups=3)
    cube = add(network, "convolution3d", "conv3d", "x", "a")
    cube.outputChannels, cube.inputChannels, cube.nGroups, cube.hasBias = 6, 4, 2, True
    cube.kernelDepth, cube.kernelHeight, cube.kernelWidth = 3, 2, 1
    fill(cube.weights, 6, 2, 3, 2, 1)
    fill(cube.bias, 6)
    add_product(network, "fc", "x", "a")
    matmul = add(network, "batchedMatmul", "matmul", "x", "a")
    matmul.weightMatrixFirstDimension, matmul.weightMatrixSecondDimension, matmul.hasBias = 4, 6, True
    fill(matmul.weights, 6, 4)
    fill(matmul.bias, 6)
    embedding = add(network, "embedding", "emb", "x", "a")
    embedding.inputDim, embedding.outputChannels, embedding.hasBias = 30, 4, True
    fill(embedding.weights, 4, 30)
    fill(embedding.bias, 4)
    embedding = add(network, "embeddingND", "emb_nd", "x", "a")
    embedding.vocabSize, embedding.embeddingSize = 20, 3
    fill(embedding.weights, 3, 20)
    norm = add(network, "batchnorm", "bn", "x", "a")
    norm.channels = 9
    for name in ("gamma", "beta", "mean", "variance"):
        fill(getattr(norm, name), 9)
    norm = add(network, "layerNormalization", "ln", "x", "a")
    norm.normalizedShape.extend([2, 5])
    fill(norm.gamma, 10)
    fill(norm.beta, 10)
    scale = add(network, "scale", "scale", "x", "a")
    scale.shapeScale.extend([4, 1, 3])
    scale.shapeBias.extend([4])
    scale.hasBias = True
    fill(scale.scale, 12)
    fill(scale.bias, 4)
    bias = add(network, "bias", "bias", "x", "a")
    bias.shape.extend([4])
    fill(bias.bias, 4)
    rnn = add(network, "simpleRecurrent", "rnn", "x", "a")
    gru = add(network, "gru", "gru", "x", "a")
    one, two = (add(network, kind, kind, "x", "a") for kind in ("uniDirectionalLSTM", "biDirectionalLSTM"))
    for layer in (rnn, gru, one, two):
        layer.inputVectorSize, layer.outputVectorSize = 7, 5
    rnn.hasBiasVector = gru.hasBiasVectors = True
    fill(rnn.weightMatrix, 5, 7)
    fill(rnn.recursionMatrix, 5, 5)
    fill(rnn.biasVector, 5)
    for gate in ("updateGate", "resetGate", "outputGate"):
        fill(getattr(gru, f"{gate}WeightMatrix"), 5, 7)
        fill(getattr(gru, f"{gate}RecursionMatrix"), 5, 5)
        fill(getattr(gru, f"{gate}BiasVector"), 5)
    for layer in (one, two):
        layer.params.hasBiasVectors = layer.params.hasPeepholeVectors = True
    lstm(one.weightParams)
    for _ in range(2):
        lstm(two.weightParams.add())
    fill(add(network, "activation", "prelu", "x", "a").PReLU.alpha, 6)
    softplus = add(network, "activation", "softplus", "x", "a").parametricSoftplus
    fill(softplus.alpha, 6)
    fill(softplus.beta, 6)
    constant = add(network, "loadConstantND", "const", "", "k")
    constant.shape.extend([3, 4])
    fill(constant.data, 3, 4)
    constant = add(network, "loadConstant", "const_3d", "", "k3")
    constant.shape.extend([1, 3, 4])
    fill(constant.data, 3, 4)
    add(network, "batchedMatmul", "takes", "x k", "b")
    add(network, "add", "adds", "b k3", "y")
    fill(add(network, "custom", "custom", "x", "y").weights.add(), 3)
    return model


LSTM_SHAPES = {"WeightMatrix": (5, 7), "RecursionMatrix": (5, 5), "BiasVector": (5,), "PeepholeVector": (5,)}
SHAPES = {
    "conv/weights": ((6, 4, 3, 2), "weight", (0, 1)),
    "conv/bias": ((6,), "bias", None),
    "grouped/weights": ((6, 4, 3, 2), "weight", (0, 1)),
    "deconv/weights": ((4, 6, 3, 2), "weight", (1, 0)),
    "deconv_grouped/weights": ((4, 2, 3, 2), "weight", None),
    "conv3d/weights": ((6, 2, 3, 2, 1), "weight", (0, 1)),
    "fc/weights": ((8, 16), "weight", (0, 1)),
    "matmul/weights": ((6, 4), "weight", (0, 1)),
    "matmul/bias": ((6,), "bias", None),
    "emb/weights": ((4, 30), "embedding", (0, 1)),
    "emb_nd/weights": ((3, 20), "embedding", (0, 1)),
    "bn/variance": ((9,), "norm", None),
    "ln/gamma": ((10,), "norm", None),
    "scale/scale": ((12,), "norm", None),
    "scale/bias": ((4,), "bias", None),
    "bias/bias": ((4,), "bias", None),
    "rnn/recursionMatrix": ((5, 5), "weight", (0, 1)),
    "gru/resetGateWeightMatrix": ((5, 7), "weight", (0, 1)),
    "gru/outputGateBiasVector": ((5,), "bias", None),
    "uniDirectionalLSTM/weightParams.blockInputWeightMatrix": ((5, 7), "weight", (0, 1)),
    "biDirectionalLSTM/weightParams[1].outputGatePeepholeVector": ((5,), "bias", None),
    "prelu/PReLU.alpha": ((6,), "slope", None),
    "softplus/parametricSoftplus.beta": ((6,), "slope", None),
}


def test_shapes_roles_and_axes(tmp_path: Path) -> None:
    model = every_layer()
    found = weights_of(saved(model, tmp_path / "m.mlmodel"))
    stored = [name for name, _ in networks.weight_messages(model)]
    assert len(found) == len(stored)
    for name, (shape, role, axes) in SHAPES.items():
        (reader,) = found[name].readers
        assert (found[name].shape, reader.role, reader.axes) == (shape, role, axes), name
        assert reader.input == name.partition("/")[2] and reader.op_name == name.partition("/")[0]
    assert {len(found[name].shape) for name in found if "Vector" in name} == {1}


def test_values_are_loaded_bit_by_bit(tmp_path: Path) -> None:
    model = every_layer()
    found = weights_of(saved(model, tmp_path / "m.mlmodel"))
    for name, message in networks.weight_messages(model):
        weight = found[name]
        expected = networks.numpy_values(message, weight.shape)
        assert weight.load().tobytes() == expected.tobytes() and weight.load().shape == weight.shape


def test_a_constant_is_read_by_those_that_take_it(tmp_path: Path) -> None:
    found = weights_of(saved(every_layer(), tmp_path / "m.mlmodel"))
    uses = {
        name: [(r.op_type, r.op_name, r.input, r.role, r.through) for r in found[name].readers]
        for name in ("const/data", "const_3d/data")
    }
    assert uses == {
        "const/data": [("batchedMatmul", "takes", "input[1]", "weight", ("loadConstantND",))],
        "const_3d/data": [("add", "adds", "input[1]", None, ("loadConstant",))],
    }
    assert found["const/data"].shape == (3, 4) and found["const_3d/data"].shape == (1, 3, 4)


def test_what_a_layer_does_not_read_is_no_weight(tmp_path: Path) -> None:
    model = small()
    network_of(model).layers[2].innerProduct.hasBias = False
    assert set(weights_of(saved(model, tmp_path / "m.mlmodel"))) == {
        "conv/weights",
        "conv/bias",
        "fc/weights",
    }


# Writing

FITS = {
    "lut": (fit_lut(nbits=3), replace_const_with_lut()),
    "uniform": (fit_lut(mode="uniform", nbits=5), replace_const_with_lut()),
    "linear": (fit_affine(nbits=4), replace_const_with_affine()),
    "linear 1": (fit_affine(nbits=1, granularity=PerTensor()), replace_const_with_affine()),
    "symmetric": (fit_affine(mode="linear_symmetric", nbits=7), replace_const_with_affine()),
    "cast": (fit_cast(), replace_const_with_cast()),
}
GROUPED = "deconv_grouped/weights"  # whose channels lie along no single axis
AXIS_1 = "deconv/weights"
UNCOUNTED = {
    "prelu/PReLU.alpha",
    "softplus/parametricSoftplus.alpha",
    "softplus/parametricSoftplus.beta",
    "custom/weights[0]",
}


@pytest.mark.parametrize("name", FITS)
def test_every_weight_is_stored_as_the_plan_says(name: str, tmp_path: Path) -> None:
    """What numpy makes of the bytes has the errors that the plan states; nothing else is changed."""
    source = saved(every_layer(), tmp_path / "m.mlmodel")
    out, plan = apply(Pipeline(EVERYTHING, *FITS[name]), source, tmp_path / "out.mlmodel")
    before, after = networks.parsed(source), networks.parsed(out)
    rows = {row.weight.name: row for row in plan.rows}
    left = {key for key, row in rows.items() if isinstance(row.entry, Skipped)}
    assert left == UNCOUNTED | ({GROUPED} if name in ("linear", "symmetric") else set())
    old, new = (dict(networks.weight_messages(model)) for model in (before, after))
    read = read_weights(out)
    for key, row in rows.items():
        shape = row.weight.shape
        values = networks.numpy_values(new[key], shape, axis=1 if key == AXIS_1 else 0)
        error = np.square(networks.numpy_values(old[key], shape).astype(np.float64) - values).sum()
        stated = (
            row.entry.result.squared_error if isinstance(row.entry, Replaced) and row.entry.result else 0.0
        )
        np.testing.assert_allclose(error, stated, rtol=1e-9, err_msg=key)
        assert values.tobytes() == read[key].tobytes(), key
    for model in (before, after):
        model.specificationVersion = 0
        for _, message in networks.weight_messages(model):
            message.Clear()
    assert before == after


def test_bytes_are_as_predicted(tmp_path: Path) -> None:
    source = saved(every_layer(), tmp_path / "m.mlmodel")
    for fit, replace in FITS.values():
        pipeline = Pipeline(EVERYTHING, fit, replace)
        predicted = {r.weight.name: r.nbytes for r in pipeline.plan(source).rows}
        _, done = apply(pipeline, source, tmp_path / "out.mlmodel", overwrite=True)
        assert {row.weight.name: row.nbytes for row in done.rows} == predicted


@pytest.mark.parametrize(
    ("pipeline", "version"), [(CAST, 2), (LUT, 3), (AFFINE, 3)], ids=["cast", "lut", "affine"]
)
def test_specification_versions_are_raised_as_the_format_demands(
    pipeline: Pipeline, version: int, tmp_path: Path
) -> None:
    outer = new_model("pipelineClassifier")
    middle = outer.pipelineClassifier.pipeline.models.add()
    middle.CopyFrom(new_model("pipeline"))
    middle.pipeline.models.add().CopyFrom(small("neuralNetworkClassifier"))
    outer.pipelineClassifier.pipeline.models.add().CopyFrom(new_model("neuralNetworkRegressor"))
    out, plan = apply(pipeline, saved(outer, tmp_path / "m.mlmodel"), tmp_path / "out.mlmodel")
    written = networks.parsed(out)
    stages = written.pipelineClassifier.pipeline.models
    versions = [m.specificationVersion for m in (written, stages[0], stages[0].pipeline.models[0], stages[1])]
    assert versions == [version, version, version, 1]
    assert {row.weight.key.function for row in plan.replaced} == {"models[0].models[0]"}
    again, _ = apply(decompress(), out, tmp_path / "again.mlmodel")
    assert networks.parsed(again).specificationVersion == version


@pytest.mark.parametrize("kind", ["neuralNetwork", "neuralNetworkClassifier", "neuralNetworkRegressor"])
@pytest.mark.parametrize("pipeline", [CAST, LUT, AFFINE], ids=["cast", "lut", "affine"])
def test_decompressed_weights_are_what_was_read(kind: str, pipeline: Pipeline, tmp_path: Path) -> None:
    out, _ = apply(pipeline, saved(small(kind), tmp_path / "m.mlmodel"), tmp_path / "out.mlmodel")
    back, plan = apply(decompress(), out, tmp_path / "back.mlmodel")
    assert len(plan.replaced) == 4 and all(w.encoded is None for w in open_target(back).weights())
    expected = read_weights(out)
    for name, message in networks.weight_messages(networks.parsed(back)):
        array = expected[name]
        assert networks.numpy_values(message, array.shape).tobytes() == array.tobytes(), name
        assert not message.rawValue and not message.HasField("quantization")


def test_the_same_bytes_for_any_number_of_threads(tmp_path: Path) -> None:
    source = saved(every_layer(), tmp_path / "m.mlmodel")
    written = [
        apply(LUT, source, tmp_path / f"{threads}.mlmodel", threads=threads)[0].read_bytes()
        for threads in (1, 4)
    ]
    assert written[0] == written[1]


def test_scales_of_vectors_and_of_constants_are_one(tmp_path: Path) -> None:
    source = saved(every_layer(), tmp_path / "m.mlmodel")
    out, _ = apply(AFFINE, source, tmp_path / "out.mlmodel")
    found = weights_of(source)
    for name, message in networks.weight_messages(networks.parsed(out)):
        weight = found[name]
        scales = len(message.quantization.linearQuantization.scale)
        (axes,) = {reader.axes for reader in weight.readers}
        is_left = name in {GROUPED} | UNCOUNTED
        assert scales == (weight.shape[axes[0]] if axes else 0 if is_left else 1), name
    assert found["bn/mean"].channels == Channels(is_one=True)


# Half precision


def test_fp16_takes_the_whole_layer(tmp_path: Path) -> None:
    """Core ML refuses a layer with both types, so what was not chosen goes along, and the plan says so."""
    source = saved(small(), tmp_path / "m.mlmodel")
    choice = select_weights(where=op_type("innerProduct"), threshold=100)
    out, plan = apply(choice | fit_cast() | replace_const_with_cast(), source, tmp_path / "out.mlmodel")
    assert [row.weight.name for row in plan.replaced] == ["fc/weights", "fc/bias"]
    assert plan.notes == (
        "Stored as others of their layers are: 1 weights, fc/bias the first; no layer may have both fp16 and "
        "fp32.",
    )
    back, plan = apply(decompress(called("fc/weights")), out, tmp_path / "back.mlmodel")
    assert [row.weight.name for row in plan.replaced] == ["fc/weights", "fc/bias"]
    assert all(w.encoded is None for w in open_target(back).weights())


def test_tables_go_with_either_type(tmp_path: Path) -> None:
    source = saved(small(), tmp_path / "m.mlmodel")
    tables, _ = apply(
        select_weights(threshold=100) | fit_lut(nbits=2) | replace_const_with_lut(),
        source,
        tmp_path / "t.mlmodel",
    )
    halves, plan = apply(CAST, tables, tmp_path / "h.mlmodel")
    assert [row.weight.name for row in plan.replaced] == ["conv/bias", "fc/bias"]
    # the tables made plain again would stand beside biases in fp16: these go along
    _, plan = apply(decompress(called("*weights")), halves, tmp_path / "p.mlmodel")
    assert len(plan.replaced) == 4 and "2 weights, conv/bias the first" in plan.notes[0]


def test_a_weight_that_cannot_follow_its_layer_ends_the_run(tmp_path: Path) -> None:
    model = small()
    network_of(model).layers[2].innerProduct.bias.floatValue[0] = 1e6
    source = saved(model, tmp_path / "m.mlmodel")
    with pytest.raises(
        UsageError, match=r"fc/bias: milpass cannot write its layer: got .* beside fc/weights"
    ):
        apply(CAST, source, tmp_path / "out.mlmodel")
    assert os.listdir(tmp_path) == ["m.mlmodel"]


# What may not be compressed


def test_updatable_layers_stay_and_others_do_not(tmp_path: Path) -> None:
    model = small()
    model.isUpdatable = True
    network_of(model).layers[2].isUpdatable = True
    for each in ("weights", "bias"):
        getattr(network_of(model).layers[2].innerProduct, each).isUpdatable = True
    out, plan = apply(LUT, saved(model, tmp_path / "m.mlmodel"), tmp_path / "out.mlmodel")
    reasons = {row.weight.name: row.entry.reason for row in plan.rows if isinstance(row.entry, Skipped)}
    assert set(reasons) == {"fc/weights", "fc/bias"}
    assert set(reasons.values()) == {"it is marked updatable: the device trains it, as plain numbers"}
    before, after = network_of(model).layers[2], network_of(networks.parsed(out)).layers[2]
    assert before == after and networks.parsed(out).isUpdatable


@pytest.mark.parametrize(
    ("fits", "code", "reason"),
    [
        ((prune_weights(sparsity=0.5), replace_const_with_sparse()), "opset", "NeuralNetwork has no sparse"),
        ((fit_lut(nbits=2, granularity=PerChannel()), replace_const_with_lut()), "opset", "one table"),
        ((fit_lut(nbits=2, cluster_dim=2), replace_const_with_lut()), "opset", "no tables of vectors"),
        (
            (fit_affine(granularity=PerGroupedChannel(2)), replace_const_with_affine()),
            "opset",
            "scales for a weight or for its output channels",
        ),
        (
            (fit_affine(granularity=PerChannel(axis=1)), replace_const_with_affine()),
            "opset",
            "output channels",
        ),
        (
            (fit_lut(nbits=2), fit_affine(inside="lut"), replace_const_with_lut()),
            "opset",
            "no affine inside lut",
        ),
    ],
)
def test_what_networks_cannot_hold_has_a_row(fits: Any, code: str, reason: str, tmp_path: Path) -> None:
    source = saved(small(), tmp_path / "m.mlmodel")
    with pytest.raises(NothingCompressed) as refused:
        apply(Pipeline(select_weights(threshold=100), *fits), source, tmp_path / "out.mlmodel")
    chosen = [row.entry for row in refused.value.plan.rows if row.weight.rank > 1]
    assert all(isinstance(e, Skipped) and e.code == code and reason in e.reason for e in chosen), chosen
    assert os.listdir(tmp_path) == ["m.mlmodel"]


@pytest.mark.parametrize("release", ["iOS16", "iOS18", "iOS99"])
def test_a_network_cannot_be_raised_to_a_release(release: str, tmp_path: Path) -> None:
    source = saved(small(), tmp_path / "m.mlmodel")
    with pytest.raises(UsageError, match="NeuralNetwork"):
        LUT.plan(source, target=release)


# The flow of data


def flow(path: Path) -> list[tuple[str, str]]:
    return sorted((a.name, b.name) for a, b in open_target(path).graph().networkx.edges)


def test_blobs_that_are_bound_again(tmp_path: Path) -> None:
    model = new_model()
    network = network_of(model)
    add_product(network, "one", "x", "a")
    add_product(network, "two", "a", "b")
    add(network, "copy", "again", "b", "a")
    add_product(network, "three", "a", "y")
    source = saved(model, tmp_path / "m.mlmodel")
    assert flow(source) == [("again", "three"), ("one", "two"), ("two", "again")]
    nodes = {
        n.op_name: (n.reads_input, n.gives_output, n.bears_weight) for n in open_target(source).graph().nodes
    }
    assert nodes["one"] == (True, False, True) and nodes["three"] == (False, True, True)
    assert nodes["again"] == (False, False, False)


def test_loops_and_branches(tmp_path: Path) -> None:
    """A turn reads what the one before it bound; after a branch either may have bound a blob."""
    model = new_model(version=4)
    network = network_of(model)
    add_product(network, "start", "x", "s")
    loop = add(network, "loop", "loop")
    loop.conditionVar = "go"
    add(loop.conditionNetwork, "lessThan", "test", "s", "go")
    add_product(loop.bodyNetwork, "body", "s", "t")
    add(loop.bodyNetwork, "copy", "carry", "t", "s")
    branch = add(network, "branch", "branch", "s")
    add_product(branch.ifBranch, "yes", "s", "y")
    add_product(branch.elseBranch, "no", "s", "y")
    add(network, "copy", "end", "y", "y")
    source = saved(model, tmp_path / "m.mlmodel")
    assert flow(source) == sorted(
        [
            *(
                (before, after)
                for before in ("start", "carry")
                for after in ("test", "body", "branch", "yes", "no")
            ),
            ("body", "carry"),
            ("test", "loop"),
            ("yes", "end"),
            ("no", "end"),
        ]
    )
    found = {weight.name: weight for weight in open_target(source).weights()}
    assert found["body/weights"].key.block == ("loop.bodyNetwork",)
    assert found["no/weights"].key.block == ("branch.elseBranch",)
    assert {n for n, w in found.items() if last("innerProduct").holds(w)} == {"no/weights", "no/bias"}
    assert {n for n, w in found.items() if near("lessThan", 1).holds(w)} == {
        f"start/{each}" for each in ("weights", "bias")
    }
    _, plan = apply(LUT, source, tmp_path / "out.mlmodel")
    assert len(plan.replaced) == 8


def test_layers_of_one_name_are_told_apart(tmp_path: Path) -> None:
    model = new_model()
    for name in ("fc", "fc", ""):
        add_product(network_of(model), name, "x", "y", bias=False)
    names = list(weights_of(saved(model, tmp_path / "m.mlmodel")))
    assert names == ["fc/weights", "fc#2/weights", "innerProduct/weights"]


def test_packed_numbers_of_which_no_layer_tells_how_many(tmp_path: Path) -> None:
    model = new_model(version=3)
    alpha = add(network_of(model), "activation", "prelu", "x", "y").PReLU.alpha
    alpha.quantization.numberOfBits = 3
    alpha.quantization.lookupTableQuantization.floatValue.extend(range(8))
    alpha.rawValue = bytes([0b00101001, 0b11000000])  # 1, 2, 3 and 4, or also a 0 after them
    source = saved(model, tmp_path / "m.mlmodel")
    assert weights_of(source)["prelu/PReLU.alpha"].encoded == "rawValue"
    with pytest.raises(ModelError, match="rawValue is not read"):
        apply(decompress(), source, tmp_path / "out.mlmodel")
    alpha.quantization.numberOfBits = 8
    alpha.quantization.lookupTableQuantization.floatValue.extend(range(8, 256))
    source = saved(model, tmp_path / "m.mlmodel")
    assert read_weights(source)["prelu/PReLU.alpha"].tolist() == [0b00101001, 0b11000000]


# Int8 with a rounded input


def test_whole_numbers_of_a_dynamic_layer_are_read(tmp_path: Path) -> None:
    model = small()
    layer = network_of(model).layers[2].innerProduct
    layer.int8DynamicQuantize = True
    numbers = np.arange(-64, 64, dtype=np.int8).reshape(8, 16)
    layer.weights.Clear()
    layer.weights.int8RawValue = numbers.tobytes()
    layer.weights.quantization.linearQuantization.scale.append(0.5)
    source = saved(model, tmp_path / "m.mlmodel")
    assert np.array_equal(read_weights(source)["fc/weights"], numbers * np.float32(0.5))
    out, _ = apply(decompress(), source, tmp_path / "out.mlmodel")
    written = network_of(networks.parsed(out)).layers[2].innerProduct
    assert not written.int8DynamicQuantize and len(written.weights.floatValue) == 128
    tables, plan = apply(LUT, source, tmp_path / "t.mlmodel")
    assert network_of(networks.parsed(tables)).layers[2].innerProduct.weights == layer.weights
    assert {r.weight.name for r in plan.skipped} == {"fc/weights"}


# Damage


def unsound(change: Callable[[Any], None]) -> Callable[[Path], Path]:
    def make(path: Path) -> Path:
        model = small()
        change(network_of(model).layers[2].innerProduct)
        return saved(model, path)

    return make


def deep(path: Path) -> Path:
    model = new_model()
    network = network_of(model)
    for number in range(12):
        network = add(network, "loop", f"loop{number}").bodyNetwork
    add_product(network, "fc", "x", "y")
    return saved(model, path)


def of_kind(kind: str) -> Callable[[Path], Path]:
    return lambda path: saved(new_model(kind), path)


def packed(field: Any) -> None:
    field.weights.rawValue = b"123"


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
    "no bits": (unsound(lambda p: (p.weights.Clear(), packed(p))), "numbers of 0 bits"),  # type: ignore[func-returns-value]
    "deep": (deep, "networks one inside another, more than 10 deep"),
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
    assert sorted(os.listdir(tmp_path)) == ["folder", "m.mlmodel", "out.mlmodel"]
    assert source.read_bytes() == networks.parsed(source).SerializeToString(deterministic=True)


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
