"""Passes inside `ct.convert`: the same weights, values and operations as on the package afterwards."""

from __future__ import annotations

import gc
import subprocess
import sys
import textwrap
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import coremltools as ct
import numpy as np
import pytest
from coremltools.converters.mil import Builder as mb
from coremltools.converters.mil.mil import types
from coremltools.converters.mil.mil.passes.pass_registry import PASS_REGISTRY

import milpass.mil
from milpass import (
    MilpassWarning,
    NothingCompressed,
    Pipeline,
    UsageError,
    apply,
    deselect_weights,
    fit_affine,
    fit_lut,
    last_plan,
    prune_weights,
    replace_const_with_lut,
    replace_const_with_sparse,
    select_weights,
)
from milpass.plan import Entry, Plan, Replaced, Skipped
from milpass.selectors import anything, is_weight, name, op_type
from tests.packages import blob_bytes, operations_of
from tests.with_coremltools.cases import CASES, RELEASES, SINCE, linear, two_functions
from tests.with_coremltools.programs import matrix

PIPELINE = select_weights(threshold=8) | fit_lut(nbits=4) | replace_const_with_lut()
EVERYTHING = select_weights(threshold=0, where=anything) | fit_lut(nbits=4) | replace_const_with_lut()
PLAIN = ["milpass::select_weights", "milpass::fit_lut", "milpass::replace_const_with_lut"]

Make = Callable[[Any], Any]

# What is told of nothing is asked for where it is meant.
pytestmark = pytest.mark.filterwarnings("ignore::milpass.MilpassWarning")


def convert(program: Any, release: Any, passes: Any = None, *, fp16: bool = True) -> Any:
    precision = ct.precision.FLOAT16 if fp16 else ct.precision.FLOAT32
    return ct.convert(
        program,
        convert_to="mlprogram",
        minimum_deployment_target=release,
        compute_precision=precision,
        pass_pipeline=passes or ct.PassPipeline.DEFAULT,
        skip_model_load=True,
    )


def save(model: Any, path: Path) -> Path:
    model.save(str(path))
    return path


def compressed(plan: Plan) -> set[str]:
    return {row.weight.name for row in plan.replaced}


def results(plan: Plan) -> dict[str, Any]:
    return {r.weight.name: r.entry.result for r in plan.replaced if isinstance(r.entry, Replaced)}


def assert_same_constants(left: Path, right: Path) -> None:
    """Every compressed constant is the same operation, attribute by attribute, and there are the same."""
    ours, theirs = (
        {key: op for key, op in operations_of(path).items() if op.type.startswith("constexpr_")}
        for path in (left, right)
    )
    assert ours.keys() == theirs.keys()
    for key, op in ours.items():
        peer = theirs[key]
        assert (op.type, op.outputs[0].type) == (peer.type, peer.outputs[0].type)
        assert op.attributes.keys() == peer.attributes.keys() and op.inputs.keys() == peer.inputs.keys()
        for attribute in op.attributes.keys() - {"name"}:
            assert stored(left, op.attributes[attribute]) == stored(right, peer.attributes[attribute]), (
                attribute
            )
        for operand in op.inputs:
            values = op.inputs[operand].arguments[0].value, peer.inputs[operand].arguments[0].value
            assert stored(left, values[0]) == stored(right, values[1]), operand


def stored(path: Path, value: Any) -> tuple[Any, bytes]:
    """The type of a value and its bytes, wherever they are kept."""
    if value.WhichOneof("value") == "blobFileValue":
        return value.type.SerializeToString(), blob_bytes(path, value)
    return value.type.SerializeToString(), value.immediateValue.SerializeToString()


@pytest.mark.parametrize("fp16", [True, False], ids=["fp16", "fp32"])
@pytest.mark.parametrize(
    ("case", "release"),
    [
        pytest.param(case, release, id=f"{key}-{release.name}")
        for key, case in CASES.items()
        for release in RELEASES
        if release >= SINCE.get(key, release)
    ],
)
def test_inside_and_after_are_the_same(case: Make, release: Any, fp16: bool, tmp_path: Path) -> None:
    dense = save(convert(case(release), release, fp16=fp16), tmp_path / "dense.mlpackage")
    try:
        after, planned = apply(PIPELINE, dense, tmp_path / "after.mlpackage")
    except NothingCompressed as nothing:
        after, planned = dense, nothing.plan
    passes = PIPELINE.to_coremltools()
    inside = save(convert(case(release), release, passes, fp16=fp16), tmp_path / "inside.mlpackage")
    plan = last_plan(passes)
    assert compressed(plan) == compressed(planned)
    assert results(plan) == results(planned)
    assert_same_constants(inside, after)


def test_what_is_compressed_in_each_case() -> None:
    """By hand, so that the comparison above cannot hold because nothing is compressed at all."""
    counts = {}
    for key, case in CASES.items():
        passes = PIPELINE.to_coremltools()
        convert(case(ct.target.iOS18), ct.target.iOS18, passes)
        counts[key] = len(compressed(last_plan(passes)))
    assert counts == {
        "convolution": 1,
        "transposed_convolution": 1,
        "linear": 2,
        "attention": 4,
        "recurrent": 2,
        "tied": 1,
        "branches": 2,
        "loop": 1,
        "barred": 0,
        "compressed_already": 1,
        "flexible": 1,
        "stateful": 1,
        "cached": 4,
        "empty": 0,
    }


def test_what_may_never_be_compressed_is_refused_under_anything() -> None:
    program = CASES["barred"](ct.target.iOS18)
    reasons = {row.weight.name: row.entry for row in EVERYTHING.plan(program).rows if row.weight.size > 1}
    told = {key: entry.reason for key, entry in reasons.items() if isinstance(entry, Skipped)}
    assert "result of its block" in told["result"]
    assert told["alpha"] == "rank 1: Core ML may fail on compressed vectors"


def test_a_program_needs_no_executor_and_has_nothing_to_resume(tmp_path: Path) -> None:
    """Its values lie in no file that others could see."""
    program = linear(ct.target.iOS18)
    with pytest.raises(UsageError, match="no destination to keep them beside"):
        apply(PIPELINE, program, resume=True)
    ended = ThreadPoolExecutor(1)
    ended.shutdown()  # one that cannot be given anything
    _, plan = apply(PIPELINE, program, executor=ended, cache=tmp_path)
    assert 0 < len(list(tmp_path.iterdir())) == len(plan.replaced)
    _, again = apply(PIPELINE, linear(ct.target.iOS18), cache=tmp_path)
    assert [row.entry for row in again.rows] == [row.entry for row in plan.rows]


def test_a_table_for_each_of_two_functions_is_the_same(tmp_path: Path) -> None:
    program = two_functions(ct.target.iOS18)
    _, plan = apply(PIPELINE, program)
    assert sorted((row.weight.key.function, row.weight.name) for row in plan.replaced) == [
        ("main", "own"),
        ("main", "shared"),
        ("other", "own"),
        ("other", "shared"),
    ]
    ops = {
        function: {op.outputs[0].name: op for op in block.operations if op.op_type.startswith("constexpr_")}
        for function, block in program.functions.items()
    }
    pair = [ops["main"]["shared"], ops["other"]["shared"]]
    for operand in ("lut", "indices"):
        np.testing.assert_array_equal(*(op.inputs[operand].val for op in pair))
    model = ct.convert(program, minimum_deployment_target=ct.target.iOS18, skip_model_load=True)
    package = save(model, tmp_path / "m.mlpackage")
    size = (package / "Data/com.apple.CoreML/weights/weight.bin").stat().st_size
    assert size < 3 * (128 + 128 + 64 + 64) + 4 * 192, "the shared table and indices are stored once"


def test_several_functions_are_compressed_alike_in_both_homes(tmp_path: Path) -> None:
    dense = ct.convert(
        two_functions(ct.target.iOS18),
        minimum_deployment_target=ct.target.iOS18,
        pass_pipeline=ct.PassPipeline.EMPTY,
        skip_model_load=True,
    )
    _, after = apply(PIPELINE, save(dense, tmp_path / "dense.mlpackage"), tmp_path / "after.mlpackage")
    _, inside = apply(PIPELINE, two_functions(ct.target.iOS18))

    def by_place(plan: Plan) -> dict[Any, Any]:
        return {(r.weight.key.function, r.weight.shape): came_of(r.entry) for r in plan.replaced}

    assert by_place(after) == by_place(inside) and len(by_place(after)) == 4


def came_of(entry: Entry) -> Any:
    assert isinstance(entry, Replaced)
    return entry.result


def test_two_fits_of_one_kind_stand_in_one_pipeline() -> None:
    pipeline = (
        select_weights(threshold=8, where=op_type("linear"))
        | fit_lut(nbits=4)
        | select_weights(threshold=8, where=op_type("conv"))
        | fit_lut(nbits=6)
        | replace_const_with_lut()
    )
    passes = pipeline.to_coremltools()
    names = [each for each in passes.passes if each.startswith("milpass::")]
    assert len(set(names)) == len(names) == 7, "a beginning, five passes, an end"

    def nbits(case: str) -> set[int | None]:
        convert(CASES[case](ct.target.iOS16), ct.target.iOS16, passes)
        entries = [row.entry for row in last_plan(passes).replaced]
        return {entry.fits[-1].nbits for entry in entries if isinstance(entry, Replaced)}

    assert nbits("linear") == {4}
    assert nbits("convolution") == {6}


def test_a_base_of_ones_own_keeps_its_passes_and_options() -> None:
    base = ct.PassPipeline(["common::const_elimination", "common::add_fp16_cast"], "own")
    base.set_options("common::const_elimination", {"skip_const_by_size": "100"})
    made = PIPELINE.to_coremltools(base)
    assert made.passes[:2] == base.passes and len(base.passes) == 2
    assert made.get_options("common::const_elimination") == base.get_options("common::const_elimination")
    made.validate()


def test_by_plain_name_with_options_as_texts() -> None:
    passes = ct.PassPipeline.DEFAULT
    for each in PLAIN:
        passes.append_pass(each)
    passes.set_options(
        "milpass::select_weights", {"threshold": "8", "where": "op_type('linear') & ~name('hid*')"}
    )
    passes.set_options("milpass::fit_lut", {"mode": "uniform", "nbits": "2"})
    model = convert(linear(ct.target.iOS16), ct.target.iOS16, passes)
    plan = last_plan(model)
    assert compressed(plan) == {"out_weight_to_fp16"}
    (row,) = plan.replaced
    assert isinstance(row.entry, Replaced) and row.entry.fits == (fit_lut(mode="uniform", nbits=2),)
    assert last_plan(model._mil_program) is plan


def test_a_second_conversion_of_the_same_source_starts_anew() -> None:
    source = linear(ct.target.iOS16)
    first, second = (
        (select_weights(8, op_type("linear") & name(glob)) | fit_lut(nbits=4)).to_coremltools()
        for glob in ("hid*", "out*")
    )
    convert(source, ct.target.iOS16, first)
    convert(source, ct.target.iOS16, second)

    def left(plan: Plan) -> dict[str, str]:
        return {r.weight.name: r.entry.code for r in plan.rows if isinstance(r.entry, Skipped)}

    codes = left(last_plan(second))
    assert {key for key, code in codes.items() if code == "unreplaced"} == {"out_weight_to_fp16"}
    passes = ct.PassPipeline.EMPTY
    passes.append_pass(PLAIN[0])
    for glob, chosen in (("hid*", "hidden_weight_to_fp16"), ("out*", "out_weight_to_fp16")):
        passes.set_options(PLAIN[0], {"threshold": 8, "where": name(glob) & is_weight})
        plan = last_plan(convert(source, ct.target.iOS16, passes))
        assert {key for key, code in left(plan).items() if code == "unfitted"} == {chosen}


def test_wrong_options_are_named() -> None:
    def attempt(name: str, **options: Any) -> None:
        passes = ct.PassPipeline.EMPTY
        passes.append_pass(f"milpass::{name}")
        passes.set_options(f"milpass::{name}", options)
        convert(linear(ct.target.iOS16), ct.target.iOS16, passes)

    with pytest.raises(UsageError, match="got the option 'bits', needs one of mode, nbits, granularity"):
        attempt("fit_lut", bits=4)
    with pytest.raises(UsageError, match="got no option 'where', needs it"):
        attempt("deselect_weights")
    with pytest.raises(UsageError, match=r"milpass::fit_lut.*nbits=.*unterminated string"):
        attempt("fit_lut", nbits="nine'")
    with pytest.raises(UsageError, match="got 9, needs an integer from 1 to 8"):
        attempt("fit_lut", nbits="9")
    with pytest.raises(UsageError, match="threshold of select_weights"):
        attempt("select_weights", threshold="-1")


def test_every_pass_is_registered_by_its_plain_name() -> None:
    for each in (select_weights, deselect_weights, fit_lut, replace_const_with_lut):
        assert f"milpass::{each.__name__}" in PASS_REGISTRY
    assert milpass.mil.NAMESPACE == "milpass"


def test_a_program_below_ios16_is_refused() -> None:
    with pytest.raises(UsageError, match=r"pass minimum_deployment_target=ct\.target\.iOS16"):
        convert(linear(ct.target.iOS15), ct.target.iOS15, PIPELINE.to_coremltools())
    nothing_chosen = (select_weights(10**9) | fit_lut(nbits=4) | replace_const_with_lut()).to_coremltools()
    convert(linear(ct.target.iOS15), ct.target.iOS15, nothing_chosen)
    program = linear(ct.target.iOS15)
    with pytest.raises(NothingCompressed) as refusal:
        apply(PIPELINE, program)
    assert any("minimum_deployment_target" in str(row.entry) for row in refusal.value.plan.rows)


FIT_AND_REPLACE = fit_lut(nbits=4) | replace_const_with_lut()


def test_a_pattern_that_matches_nothing_is_a_warning_or_in_strict_mode_an_error() -> None:
    misses = select_weights(8, name("nothing*") & is_weight) | FIT_AND_REPLACE
    with pytest.warns(MilpassWarning, match=r"name\('nothing\*'\) matches nothing"):
        convert(linear(ct.target.iOS16), ct.target.iOS16, misses.to_coremltools())
    with pytest.raises(UsageError, match="matches nothing"):
        convert(linear(ct.target.iOS16), ct.target.iOS16, misses.to_coremltools(strict=True))


@pytest.mark.parametrize(
    "pipeline",
    [
        select_weights(10**9) | FIT_AND_REPLACE,
        select_weights(8) | fit_lut(nbits=4),
        select_weights(8) | replace_const_with_lut(),
        select_weights(8) | fit_lut(nbits=3) | replace_const_with_lut(),
    ],
    ids=["nothing chosen", "not replaced", "not fitted", "no such bits in iOS16"],
)
def test_nothing_compressed_is_a_warning_or_in_strict_mode_an_error(pipeline: Pipeline) -> None:
    with pytest.warns(MilpassWarning, match="got no weight that it may replace"):
        convert(linear(ct.target.iOS16), ct.target.iOS16, pipeline.to_coremltools())
    with pytest.raises(NothingCompressed):
        convert(linear(ct.target.iOS16), ct.target.iOS16, pipeline.to_coremltools(strict=True))


def test_by_plain_name_nothing_compressed_is_a_warning() -> None:
    passes = ct.PassPipeline.DEFAULT
    for each in PLAIN:
        passes.append_pass(each)
    passes.set_options(PLAIN[0], {"threshold": 10**9})
    passes.set_options(PLAIN[1], {"nbits": 4})
    with pytest.warns(MilpassWarning, match="not more elements than the threshold"):
        convert(linear(ct.target.iOS16), ct.target.iOS16, passes)


@pytest.mark.parametrize(
    "pipeline",
    [
        select_weights(8) | FIT_AND_REPLACE | deselect_weights(name("hid*")),
        select_weights(8) | FIT_AND_REPLACE | select_weights(8, name("out*")) | fit_lut(nbits=6),
        select_weights(8) | FIT_AND_REPLACE | select_weights(8) | fit_lut(nbits=6) | replace_const_with_lut(),
    ],
    ids=repr,
)
def test_passes_after_the_first_replacing_one_mean_the_same_inside(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    dense = save(convert(linear(ct.target.iOS16), ct.target.iOS16), tmp_path / "dense.mlpackage")
    _, after = apply(pipeline, dense, tmp_path / "after.mlpackage")
    passes = pipeline.to_coremltools()
    convert(linear(ct.target.iOS16), ct.target.iOS16, passes)
    inside = last_plan(passes)
    assert str(inside) == str(after) and results(inside) == results(after)


def test_by_plain_name_what_was_stored_stays_told() -> None:
    passes = ct.PassPipeline.DEFAULT
    for each in (*PLAIN, "milpass::deselect_weights"):
        passes.append_pass(each)
    passes.set_options(PLAIN[0], {"threshold": 8})
    passes.set_options(PLAIN[1], {"nbits": 4})
    passes.set_options("milpass::deselect_weights", {"where": "anything"})
    model = convert(linear(ct.target.iOS16), ct.target.iOS16, passes)
    assert len([op for op in blocks_of(model) if op.op_type == "constexpr_lut_to_dense"]) == 2
    convert(model._mil_program, ct.target.iOS16, passes)
    assert compressed(last_plan(model)) == set(), "another conversion began anew, and found nothing dense"


def test_by_plain_name_a_pass_that_stands_twice_is_a_warning() -> None:
    passes = ct.PassPipeline.EMPTY
    for each in (PLAIN[0], PLAIN[0]):
        passes.append_pass(each)
    with pytest.warns(MilpassWarning, match="select_weights runs again before anything was stored"):
        convert(linear(ct.target.iOS16), ct.target.iOS16, passes)


def blocks_of(model: Any) -> list[Any]:
    return list(model._mil_program.functions["main"].operations)


def test_a_conversion_is_let_go_with_its_program() -> None:
    passes = (select_weights(8, name("hid*")) | FIT_AND_REPLACE).to_coremltools()
    model = convert(linear(ct.target.iOS16), ct.target.iOS16, passes)
    program = weakref.ref(model._mil_program)
    del model
    gc.collect()
    assert program() is None
    assert len(last_plan(passes).replaced) == 1
    with pytest.raises(LookupError):
        last_plan(passes).rows[0].weight.load()


def test_constants_of_one_name_are_told_apart() -> None:
    """coremltools lets names repeat in a program made by hand."""
    arrays = [np.random.default_rng(seed).standard_normal((16, 16)).astype(np.float32) for seed in (0, 1, 0)]

    @mb.program(input_specs=[mb.TensorSpec(shape=(1, 16))], opset_version=ct.target.iOS16)  # type: ignore[untyped-decorator]
    def program(x: Any) -> Any:
        return tuple(mb.linear(x=x, weight=mb.const(val=array, name="w")) for array in arrays)

    _, plan = apply(PIPELINE, program)
    assert [row.weight.name for row in plan.replaced] == ["w", "w#2", "w#3"]
    made = [op for op in program.functions["main"].operations if op.op_type == "constexpr_lut_to_dense"]
    assert len(made) == 3
    for op, array in zip(made, arrays, strict=True):
        assert np.abs(op.materialized_val_inference() - array).max() < 0.5


def test_branches_of_one_name_are_told_apart() -> None:
    @mb.program(input_specs=[mb.TensorSpec(shape=(1, 16))], opset_version=ct.target.iOS16)  # type: ignore[untyped-decorator]
    def program(x: Any) -> Any:
        for seed in (0, 1):
            array = np.random.default_rng(seed).standard_normal((16, 16)).astype(np.float32)
            x = mb.cond(
                pred=mb.greater(x=mb.reduce_sum(x=x, axes=[0, 1]), y=0.0),
                _true_fn=lambda x=x, array=array: mb.matmul(x=x, y=mb.const(val=array, name="inner")),
                _false_fn=lambda x=x: mb.relu(x=x),
                name="branch",
            )
        return x

    _, plan = apply(PIPELINE, program)
    assert len(plan.replaced) == 2 and len({row.weight.key for row in plan.replaced}) == 2
    inner = [
        op
        for each in program.functions["main"].operations
        for block in each.blocks
        for op in block.operations
    ]
    assert sum(op.op_type == "constexpr_lut_to_dense" for op in inner) == 2


def test_an_operand_of_a_compressed_constant_stays_as_it_is_for_others_too() -> None:
    stored = np.random.default_rng(0).standard_normal((16, 16)).astype(np.float16)
    specs = [mb.TensorSpec(shape=(1, 16)), mb.TensorSpec(shape=(1, 16), dtype=types.fp16)]

    @mb.program(input_specs=specs, opset_version=ct.target.iOS16)  # type: ignore[untyped-decorator]
    def program(x: Any, z: Any) -> Any:
        half = mb.const(val=stored, name="half")
        whole = mb.constexpr_cast(source_val=half, output_dtype="fp32", name="whole")
        return mb.linear(x=x, weight=whole), mb.matmul(x=z, y=half)

    reasons = {
        r.weight.name: r.entry.reason for r in PIPELINE.plan(program).rows if isinstance(r.entry, Skipped)
    }
    assert reasons["half"] == "it is an operand of constexpr_cast, too"


def test_a_constant_that_goes_between_two_passes_is_a_row() -> None:
    passes = ct.PassPipeline.EMPTY
    others = ["common::add_fp16_cast", "common::const_elimination", "common::dead_code_elimination"]
    for each in (PLAIN[0], *others, *PLAIN[1:]):
        passes.append_pass(each)
    passes.set_options(PLAIN[0], {"threshold": 8})
    passes.set_options(PLAIN[1], {"nbits": 4})
    plan = last_plan(convert(linear(ct.target.iOS16), ct.target.iOS16, passes))
    codes = {r.weight.name: r.entry.code for r in plan.rows if isinstance(r.entry, Skipped)}
    assert codes["out_weight"] == "vanished" and codes["out_weight_to_fp16"] == "unselected"


def test_no_plan_is_told() -> None:
    for of in (PIPELINE.to_coremltools(), ct.PassPipeline.EMPTY, linear(ct.target.iOS16), 3):
        with pytest.raises(UsageError, match="last_plan: milpass cannot tell the plan"):
            last_plan(of)


def test_a_program_takes_no_destination(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="edited in place"):
        apply(PIPELINE, linear(ct.target.iOS16), tmp_path / "out.mlpackage")
    with pytest.raises(NothingCompressed):
        apply(PIPELINE, linear(ct.target.iOS16), target="iOS18")


def test_the_weights_that_were_replaced_are_let_go() -> None:
    program = linear(ct.target.iOS16)
    _, plan = apply(PIPELINE, program)
    with pytest.raises(LookupError, match="has been compressed since"):
        plan.replaced[0].weight.load()


def test_importing_milpass_mil_is_enough_and_milpass_alone_is_not() -> None:
    code = textwrap.dedent("""
        import coremltools as ct, milpass
        passes = ct.PassPipeline.EMPTY
        try:
            passes.append_pass("milpass::fit_lut")
        except ValueError:
            print("unknown")
        import milpass.mil
        passes.append_pass("milpass::fit_lut")
        print(passes.passes)
    """)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["unknown", "['milpass::fit_lut']"]


def test_nested_pipelines_and_a_pass_alone_convert() -> None:
    passes = Pipeline(
        Pipeline(select_weights(8), fit_lut(nbits=1)), replace_const_with_lut()
    ).to_coremltools()
    convert(linear(ct.target.iOS17), ct.target.iOS17, passes)
    assert len(last_plan(passes).replaced) == 2


def test_what_is_nested_takes_no_name_that_the_program_has() -> None:
    suffixes = ("", "_lut", "_nonzero_data", "_nonzero_data_0", "_nonzero_data_1", "_indices_nonzero_data")

    @mb.program(input_specs=[mb.TensorSpec(shape=(1, 16))], opset_version=ct.target.iOS18)  # type: ignore[untyped-decorator]
    def net(x: Any) -> Any:
        for number, suffix in enumerate(suffixes):
            x = mb.linear(x=x, weight=mb.const(val=matrix(number, np.float32), name=f"w{suffix}"))
        return x

    chosen = select_weights(threshold=8, where=name("w"))
    nested = fit_lut(nbits=4) | fit_affine(inside="lut") | replace_const_with_lut()
    pruned = prune_weights(sparsity=0.5) | fit_lut(nbits=4, inside="sparse") | fit_affine(inside="lut")
    for fits in (nested, pruned | replace_const_with_sparse()):
        passes = Pipeline(chosen, fits).to_coremltools(ct.PassPipeline.EMPTY)
        spec = convert(net, ct.target.iOS18, passes, fp16=False).get_spec()
        (block,) = spec.mlProgram.functions["main"].block_specializations.values()
        names = [result.name for op in block.operations for result in op.outputs]
        assert len(names) == len(set(names))
