"""Neural networks that are written: read again by raw protobuf and numpy, nothing but weights changed."""

from __future__ import annotations

import os
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from milpass import (
    NothingCompressed,
    Pipeline,
    UsageError,
    apply,
    decompress,
    fit_affine,
    fit_cast,
    fit_lut,
    prune_weights,
    read_weights,
    replace_const_with_affine,
    replace_const_with_cast,
    replace_const_with_lut,
    replace_const_with_sparse,
    select_weights,
)
from milpass.granularity import Channels, PerBlock, PerChannel, PerGroupedChannel, PerTensor
from milpass.plan import Replaced, Skipped
from milpass.selectors import name as called
from milpass.selectors import op_type
from milpass.targets import open_target
from tests import networks
from tests.every_layer import every_layer
from tests.networks import AFFINE, CAST, EVERYTHING, LUT, network_of, new_model, saved, small, weights_of

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
    assert {row.weight.key.function for row in plan.replaced} == {"0/0/main"}
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


GROUPS = (PerTensor(), PerChannel(), PerGroupedChannel(2), PerBlock(8))


@pytest.mark.parametrize("nbits", range(1, 9))
def test_every_cell_of_bits_and_groups(nbits: int, tmp_path: Path) -> None:
    source = saved(small(), tmp_path / "m.mlmodel")
    before = network_of(networks.parsed(source)).layers[2].innerProduct.weights
    original = networks.numpy_values(before, (8, 16))
    for groups, mode in product(GROUPS, ("kmeans", "linear", "linear_symmetric")):
        if mode == "linear_symmetric" and nbits == 1:
            continue
        fit = (
            fit_lut(nbits=nbits, granularity=groups)
            if mode == "kmeans"
            else fit_affine(mode=mode, nbits=nbits, granularity=groups)
        )
        store = replace_const_with_lut() if mode == "kmeans" else replace_const_with_affine()
        pipeline = Pipeline(select_weights(threshold=100, where=op_type("innerProduct")), fit, store)
        if groups == PerTensor() or (groups == PerChannel() and mode != "kmeans"):
            out, _ = apply(pipeline, source, tmp_path / "out.mlmodel", overwrite=True)
            message = network_of(networks.parsed(out)).layers[2].innerProduct.weights
            worst = np.abs(networks.numpy_values(message, (8, 16)) - original).max()
            assert message.quantization.numberOfBits == nbits and worst < 0.7 / 2**nbits + 0.05
        else:
            with pytest.raises(NothingCompressed, match="1 the model's format cannot say it"):
                apply(pipeline, source, tmp_path / "none.mlmodel")


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


# Whole numbers for layers that round their input

DYNAMIC = fit_affine(mode="dynamic", granularity=PerTensor()), replace_const_with_affine()


def test_layers_that_round_their_input(tmp_path: Path) -> None:
    """The numbers are the nearest, and the layers are told."""
    source = saved(every_layer(), tmp_path / "m.mlmodel")
    out, plan = apply(Pipeline(EVERYTHING, *DYNAMIC), source, tmp_path / "out.mlmodel")
    assert {row.weight.name for row in plan.replaced} == {"fc/weights", "matmul/weights"}
    left = {r.weight.name: r.entry.reason for r in plan.skipped if isinstance(r.entry, Skipped)}
    expected = "no operation that rounds its input, but batchedMatmul.weights, innerProduct.weights"
    assert expected in left["conv/weights"] and expected in left["fc/bias"]
    before, after = (dict(networks.weight_messages(networks.parsed(path))) for path in (source, out))
    layers = {layer.name: layer for layer in network_of(networks.parsed(out)).layers}
    assert layers["fc"].innerProduct.int8DynamicQuantize
    assert layers["matmul"].batchedMatmul.int8DynamicQuantize
    for row in plan.replaced:
        stored, read = after[row.weight.name], read_weights(out)[row.weight.name]
        values = np.array(list(before[row.weight.name].floatValue), np.float32)
        (scale,) = stored.quantization.linearQuantization.scale
        numbers = np.frombuffer(stored.int8RawValue, np.int8)
        assert not stored.quantization.linearQuantization.bias and stored.quantization.numberOfBits == 8
        np.testing.assert_allclose(scale, np.abs(values).max() / 127, rtol=1e-6)
        assert np.array_equal(numbers, np.rint(values.astype(np.float64) / scale))
        assert read.tobytes() == (numbers * np.float32(scale)).tobytes() and row.nbytes == values.size + 4
    back, _ = apply(decompress(), out, tmp_path / "back.mlmodel")
    layers = {layer.name: layer for layer in network_of(networks.parsed(back)).layers}
    assert not layers["fc"].innerProduct.int8DynamicQuantize


def test_the_version_for_rounded_inputs(tmp_path: Path) -> None:
    source = saved(small(), tmp_path / "m.mlmodel")
    out, _ = apply(Pipeline(EVERYTHING, *DYNAMIC), source, tmp_path / "out.mlmodel")
    assert networks.parsed(out).specificationVersion == 5


def test_scales_of_channels_and_other_bits_are_refused(tmp_path: Path) -> None:
    source = saved(small(), tmp_path / "m.mlmodel")
    pipeline = EVERYTHING | fit_affine(mode="dynamic") | replace_const_with_affine()
    rows = {row.weight.name: row.entry for row in pipeline.plan(source).rows}
    assert "8 bits and one scale where a layer rounds its input, not 8 and 8" in str(rows["fc/weights"])
    with pytest.raises(UsageError, match="needs 8"):
        fit_affine(mode="dynamic", nbits=4)
