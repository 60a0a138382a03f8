"""The functions in coremltools' place, against coremltools' own on the same models and configs."""

from __future__ import annotations

import inspect
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from milpass import MilpassWarning, UsageError, compat, fit_lut, parse, replace_const_with_lut
from milpass import select_weights as select
from milpass.selectors import anything
from tests.strategies import quick
from tests.with_coremltools.conftest import ct

mb = __import__("coremltools.converters.mil", fromlist=["Builder"]).Builder
theirs = ct.optimize.coreml
FUNCTIONS = (
    "palettize_weights",
    "linear_quantize_weights",
    "prune_weights",
    "decompress_weights",
    "get_weights_metadata",
)
# Theirs clusters fp32 and small weights by scikit-learn.
NEEDS_SKLEARN = pytest.mark.skipif(find_spec("sklearn") is None, reason="coremltools needs scikit-learn")
# The originals, whatever stands in their place later.
ORIGINALS = {name: getattr(theirs, name) for name in FUNCTIONS}


def drawn(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


def program(release: Any = ct.target.iOS18) -> Any:
    """A convolution, two linears of one weight, a matmul, an addition of a constant, a normalization."""

    @mb.program(input_specs=[mb.TensorSpec(shape=(1, 8, 12, 12))], opset_version=release)
    def net(x: Any) -> Any:
        shared = mb.const(val=drawn(64, 64), name="shared")
        x = mb.conv(x=x, weight=drawn(16, 8, 3, 3), bias=drawn(16), name="c1")
        x = mb.conv(x=x, weight=drawn(16, 16, 3, 3), name="c2")
        x = mb.add(x=x, y=drawn(1, 16, 8, 8), name="a1")
        x = mb.reshape(x=x, shape=(16, 64))
        x = mb.linear(x=x, weight=shared, name="l1")
        x = mb.linear(x=mb.relu(x=x), weight=shared, name="l2")
        return mb.matmul(x=x, y=drawn(64, 48), name="m1")

    return net


def converted(release: Any = ct.target.iOS18) -> Any:
    return ct.convert(
        program(release),
        minimum_deployment_target=release,
        compute_precision=ct.precision.FLOAT32,
        skip_model_load=True,
    )


@pytest.fixture(scope="module")
def model() -> Any:
    return converted()


def stored(compressed: Any) -> dict[tuple[str, str], tuple[str, ...]]:
    """(operation, input) -> the operations that store it, told by coremltools' own loading."""
    spec = compressed.get_spec()
    loaded = compat.models.load(
        model_spec=spec,
        specification_version=spec.specificationVersion,
        file_weights_dir=compressed.weights_dir,
    )
    found = {}
    for function in loaded.functions.values():
        for op in function.operations:
            for name, var in op.inputs.items():
                if op.op_type.startswith("constexpr_") or not hasattr(var, "op") or var.op is None:
                    continue
                if var.op.op_type.startswith("constexpr_"):
                    found[op.name, name] = (var.op.op_type, *_widths(var.op))
    return found


def _widths(op: Any) -> tuple[str, ...]:
    """The types and shapes by which a constant is stored."""
    parts = ("indices", "lut", "data", "scale", "offset", "mask")
    return tuple(f"{p} {op.inputs[p].dtype.__name__} {op.inputs[p].shape}" for p in parts if op.inputs.get(p))


def both(model: Any, function: str, config: Any) -> tuple[Any, Any]:
    """Ours and theirs, or the errors that they raise."""
    found = []
    for call in (getattr(compat, function), ORIGINALS[function]):
        try:
            found.append(stored(call(model, config)))
        except ValueError as error:
            found.append(str(error)[:45])
    return found[0], found[1]


PALETTES = st.none() | st.builds(
    theirs.OpPalettizerConfig,
    mode=st.just("uniform"),
    nbits=st.sampled_from([2, 4, 6]),
    weight_threshold=st.sampled_from([0, 1000, 2048, 4000]),
)
KINDS = st.sampled_from(["conv", "linear", "matmul", "add", "relu"])
NAMES = st.sampled_from(["c1", "c2", "a1", "l1", "l2", "m1", "shared", "c1_weight_0", "a1_y_0", "m1_y_0"])


@quick(max_examples=40)
@given(PALETTES, st.dictionaries(KINDS, PALETTES, max_size=3), st.dictionaries(NAMES, PALETTES, max_size=3))
def test_the_same_weights_fall_under_the_same_part_of_a_config(
    model: Any, whole: Any, by_type: dict[str, Any], by_name: dict[str, Any]
) -> None:
    config = theirs.OptimizationConfig(whole, by_type, by_name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MilpassWarning)
        ours, original = both(model, "palettize_weights", config)
    assert ours == original


GRANULARITIES = [
    {"granularity": "per_tensor"},
    {"granularity": "per_channel"},
    {"granularity": "per_block", "block_size": 8},
    {"granularity": "per_block", "block_size": 0},
]


@pytest.mark.parametrize("mode", ["linear", "linear_symmetric"])
@pytest.mark.parametrize("dtype", ["int8", "uint4"])
@pytest.mark.parametrize("granularity", GRANULARITIES, ids=repr)
def test_whole_numbers_have_the_same_types_and_shapes(
    model: Any, mode: str, dtype: str, granularity: dict[str, Any]
) -> None:
    part = theirs.OpLinearQuantizerConfig(mode=mode, dtype=dtype, weight_threshold=0, **granularity)
    config = theirs.OptimizationConfig(op_type_configs=dict.fromkeys(("conv", "linear", "matmul"), part))
    ours, original = both(model, "linear_quantize_weights", config)
    assert ours == original and len(ours) == 5


@pytest.mark.parametrize("group_size", [0, 1, 8])
def test_tables_for_groups_have_the_same_shapes(model: Any, group_size: int) -> None:
    part = theirs.OpPalettizerConfig(
        nbits=3, mode="uniform", granularity="per_grouped_channel", group_size=group_size, weight_threshold=0
    )
    ours, original = both(model, "palettize_weights", theirs.OptimizationConfig(part))
    assert ours == original and len(ours) == (6 if group_size < 8 else 5)


@pytest.mark.parametrize(
    ("function", "part"),
    [
        ("palettize_weights", theirs.OpPalettizerConfig(nbits=4, granularity="per_grouped_channel")),
        ("palettize_weights", theirs.OpPalettizerConfig(nbits=4, cluster_dim=2)),
        pytest.param(
            "palettize_weights",
            theirs.OpPalettizerConfig(nbits=4, enable_per_channel_scale=True),
            marks=NEEDS_SKLEARN,
        ),
        ("linear_quantize_weights", theirs.OpLinearQuantizerConfig(granularity="per_block")),
        ("linear_quantize_weights", theirs.OpLinearQuantizerConfig(dtype="int4")),
    ],
)
def test_releases_before_ios18_are_refused_in_the_same_words(function: str, part: Any) -> None:
    old = converted(ct.target.iOS16)
    config = theirs.OptimizationConfig(part)
    with pytest.raises(ValueError) as ours:
        getattr(compat, function)(old, config)
    with pytest.raises(ValueError) as original:
        ORIGINALS[function](old, config)
    assert str(ours.value) == str(original.value)
    everything_small = theirs.OptimizationConfig(op_type_configs={"relu": part})
    assert stored(getattr(compat, function)(old, everything_small)) == {}


def test_a_config_is_a_pipeline_with_a_text() -> None:
    config = {"config_type": "OpPalettizerConfig", "global_config": {"nbits": 4, "weight_threshold": 100}}
    pipeline = compat.to_pipeline(config)
    assert pipeline == select(100, where=anything) | fit_lut(nbits=4) | replace_const_with_lut()
    assert parse(repr(pipeline)) == pipeline
    assert config["config_type"] == "OpPalettizerConfig"  # nothing is taken out of it


def test_yaml_and_objects_are_the_same_config(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(
        "config_type: OpLinearQuantizerConfig\n"
        "global_config:\n  mode: linear\n"
        "op_type_configs:\n  conv: null\n"
    )
    config = theirs.OptimizationConfig(theirs.OpLinearQuantizerConfig(mode="linear"), {"conv": None})
    with file.open() as opened:
        assert compat.to_pipeline(opened) == compat.to_pipeline(file) == compat.to_pipeline(config)


def test_a_config_of_another_function_is_refused(model: Any) -> None:
    config = theirs.OptimizationConfig(theirs.OpLinearQuantizerConfig())
    message = "palettize_weights only accept OpPalettizerConfig type config. Got OpLinearQuantizerConfig."
    with pytest.raises(ValueError, match=message):
        compat.palettize_weights(model, config)
    with pytest.raises(ValueError, match="config must be of type OptimizationConfig"):
        compat.palettize_weights(model, 4)


def test_names_that_match_nothing_are_told(model: Any) -> None:
    config = theirs.OptimizationConfig(
        op_name_configs={"c11": theirs.OpPalettizerConfig(nbits=4), "l1": None, "l2": None}
    )
    with pytest.warns(MilpassWarning) as told:
        compat.palettize_weights(model, config)
    assert [str(warning.message) for warning in told] == [
        "OptimizationConfig: 'c11' is the name of no operation in the model; near it: c1."
    ]
    with pytest.warns(MilpassWarning, match="'covn' is the type of no operation in the model; near it: conv"):
        compat.palettize_weights(model, theirs.OptimizationConfig(op_type_configs={"covn": None}))


def test_what_milpass_has_no_pass_for_is_left_to_coremltools(model: Any) -> None:
    part = theirs.OpPalettizerConfig(
        nbits=4, mode="uniform", enable_per_channel_scale=True, weight_threshold=0
    )
    config = theirs.OptimizationConfig(op_type_configs={"linear": part})
    with pytest.raises(UsageError):
        compat.to_pipeline(config)
    with pytest.warns(MilpassWarning, match="coremltools' own function is used"):
        ours = compat.palettize_weights(model, config)
    assert stored(ours) == stored(ORIGINALS["palettize_weights"](model, config))


def test_decompressing_gives_what_readers_saw(model: Any) -> None:
    config = theirs.OptimizationConfig(theirs.OpPalettizerConfig(nbits=2, weight_threshold=0))
    palettized = compat.palettize_weights(model, config)
    plain = compat.decompress_weights(palettized)
    original = ORIGINALS["decompress_weights"](palettized)
    assert stored(plain) == {} and palettized is not plain
    for ours, other in zip(_constants(plain), _constants(original), strict=True):
        assert np.array_equal(ours, other)


def _constants(model: Any) -> list[np.ndarray]:
    metadata = compat.get_weights_metadata(model, weight_threshold=100)
    return [metadata[name].val for name in sorted(metadata)]


def test_metadata_are_theirs_but_for_the_threshold_itself(model: Any) -> None:
    ours, original = compat.get_weights_metadata(model, 1024), ORIGINALS["get_weights_metadata"](model, 1024)
    equal = {name for name, found in original.items() if found.val.size == 1024}
    assert equal and ours.keys() == original.keys() - equal
    for name, found in ours.items():
        assert np.array_equal(found.val, original[name].val)
        assert found.child_ops[0].op_type == original[name].child_ops[0].op_type


def test_arguments_may_be_named_and_the_model_stays_as_it_was(model: Any) -> None:
    before = model.get_spec().SerializeToString()
    config = theirs.OptimizationConfig(theirs.OpPalettizerConfig(nbits=4))
    compat.palettize_weights(mlmodel=model, config=config, joint_compression=False)
    assert model.get_spec().SerializeToString() == before


@pytest.mark.parametrize("name", FUNCTIONS)
def test_signatures_are_theirs(name: str) -> None:
    wrapped = inspect.getclosurevars(ORIGINALS[name]).nonlocals["func"]
    ours, original = (inspect.signature(f).parameters for f in (getattr(compat, name), wrapped))
    assert [(p.name, p.default, p.kind) for p in ours.values()] == [
        (p.name, p.default, p.kind) for p in original.values()
    ]


def test_the_program_is_made_when_it_is_asked_for(model: Any) -> None:
    config = theirs.OptimizationConfig(theirs.OpPalettizerConfig(nbits=4, weight_threshold=0))
    compressed = compat.palettize_weights(model, config)
    assert isinstance(compressed, ct.models.MLModel) and compressed._made is None
    assert len(compressed._mil_program.find_ops(op_type="constexpr_lut_to_dense")) == 5
    assert compressed._mil_program is compressed._mil_program


def test_patch_puts_ours_in_their_place_and_restores(model: Any) -> None:
    module = type(inspect)("imported_by_name")
    module.palettize_weights = theirs.palettize_weights  # type: ignore[attr-defined]
    inspect.sys.modules[module.__name__] = module
    try:
        with compat.patch():
            assert all(getattr(theirs, name) is getattr(compat, name) for name in FUNCTIONS)
            assert module.palettize_weights is compat.palettize_weights
        placed = compat.patch()
        assert theirs.prune_weights is compat.prune_weights
        placed.restore()
        assert all(getattr(theirs, name) is ORIGINALS[name] for name in FUNCTIONS)
        assert module.palettize_weights is ORIGINALS["palettize_weights"]
    finally:
        del inspect.sys.modules[module.__name__]


def test_nothing_to_compress_gives_a_copy(model: Any) -> None:
    config = theirs.OptimizationConfig(theirs.OpPalettizerConfig(nbits=4, weight_threshold=10**6))
    same = compat.palettize_weights(model, config)
    assert same is not model and stored(same) == {}
    assert same.get_spec().description == model.get_spec().description
