"""Neural networks: the table of layers, what is found in them, and how data flows; read by raw protobuf."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from milpass import (
    ModelError,
    apply,
    decompress,
    read_weights,
)
from milpass.selectors import (
    Selector,
    depth_from_input,
    depth_from_output,
    first,
    is_weight,
    kernel_channels,
    last,
    layer_type,
    near,
    output_channels,
)
from milpass.targets import open_target
from milpass.targets.neuralnetwork.layers import TABLE
from tests import networks
from tests.every_layer import every_layer
from tests.networks import (
    LUT,
    add,
    add_convolution,
    add_product,
    network_of,
    new_model,
    saved,
    small,
    weights_of,
)

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


def test_places_in_the_flow_choose(tmp_path: Path) -> None:
    model = new_model()
    network = network_of(model)
    add_convolution(network, "c1", "x", "a")
    branch = add(network, "branch", "branch", "a")
    add_product(branch.ifBranch, "p1", "a", "b")
    add_product(branch.elseBranch, "p2", "a", "b")
    add(network, "softmax", "soft", "b", "c")
    add_product(network, "p3", "c", "y")
    found = open_target(saved(model, tmp_path / "m.mlmodel")).weights()
    assert [w.name.partition("/")[0] for w in found[::2]] == ["c1", "p1", "p2", "p3"]  # as they stand

    def chosen(where: Selector) -> str:
        return " ".join(
            w.name.removesuffix("/weights") for w in found if where.holds(w) and is_weight.holds(w)
        )

    assert chosen(first("innerProduct")) == "p1"
    assert chosen(last("innerProduct", n=2)) == "p2 p3"
    assert chosen(near("softmax", 1)) == "p1 p2 p3"
    assert chosen(depth_from_input(max=1)) == "c1 p1 p2"
    assert chosen(depth_from_output(min=1, max=1)) == "p1 p2"
    assert chosen(layer_type("inner*") & output_channels(min=8)) == "p1 p2 p3"
    assert chosen(kernel_channels(max=4)) == "c1"


def test_many_loops_one_inside_another(tmp_path: Path) -> None:
    """The walk does not double with each: thirty are read at once, and every turn reads the one before it."""
    model = new_model(version=4)
    network = network_of(model)
    for number in range(30):
        network = add(network, "loop", f"loop{number}").bodyNetwork
    add_product(network, "first", "x", "x")
    add_product(network, "second", "x", "x")
    source = saved(model, tmp_path / "m.mlmodel")
    assert flow(source) == [("first", "second"), ("second", "first")]
    assert len(weights_of(source)["first/weights"].key.block) == 30


def test_layers_of_one_name_are_told_apart(tmp_path: Path) -> None:
    model = new_model()
    for name in ("fc", "fc", ""):
        add_product(network_of(model), name, "x", "y", bias=False)
    names = list(weights_of(saved(model, tmp_path / "m.mlmodel")))
    assert names == ["fc/weights", "fc#2/weights", "innerProduct/weights"]


def test_names_that_look_numbered_are_told_apart(tmp_path: Path) -> None:
    model = new_model()
    given = ("fc", "fc", "fc#2", "fc#2", "fc")
    products = [add_product(network_of(model), name, "x", "y", bias=False) for name in given]
    weights = weights_of(saved(model, tmp_path / "m.mlmodel"))
    assert len(weights) == len(given)
    for weight, product in zip(weights.values(), products, strict=True):
        np.testing.assert_array_equal(weight.load().reshape(-1), np.array(product.weights.floatValue, "f4"))


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
