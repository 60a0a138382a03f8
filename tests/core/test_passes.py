"""Passes fold plans: what is chosen and why not, what is fitted, what is replaced."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from attrs import evolve
from attrs.exceptions import FrozenInstanceError
from hypothesis import given

import milpass
from milpass.errors import UsageError
from milpass.granularity import PerTensor
from milpass.links import Found
from milpass.passes import PASSES, Pass, fit_affine, fit_lut, replace_const_with_lut, select_weights
from milpass.pipeline import Pipeline
from milpass.plan import Fitted, Plan, Replaced, Selected, Skipped
from milpass.selectors import anything, name, op_type
from milpass.testing.strategies import models
from milpass.weight import Key, Reader, Source, Weight
from tests.strategies import passes, pipelines, quick

PACKAGE = Path(milpass.__file__).parent
MODES = " or ".join(repr(file.stem) for file in sorted((PACKAGE / "fitting" / "lut").glob("[!_]*.py")))


def weight(
    named: str = "w", shape: tuple[int, ...] = (64, 64), op: str = "linear", **changes: object
) -> Weight:
    """A weight that every default chooses, but for the changes."""
    reader = Reader(op, f"{op}_0", "weight", "weight")
    made = Weight(Key("main", (), named), shape, "fp16", Source("weights/weight.bin", 64), (reader,))
    return evolve(made, **changes)


def folded(model: tuple[Weight, ...], *steps: Pass) -> Plan:
    plan = Plan.of(model)
    for step in Pipeline(*steps).passes:
        plan = step.fold(plan)
    return plan


def entry(chosen: Weight, *steps: Pass) -> object:
    return folded((chosen,), *steps).rows[0].entry


BIAS = (Reader("linear", "linear_0", "bias", "bias"), Reader("add", "add_0", "x"))


@pytest.mark.parametrize(
    ("refused", "code", "reason"),
    [
        (weight(encoded="constexpr_new"), "encoded", "already compressed (constexpr_new)"),
        (
            weight(encoded="constexpr_cast", readers=()),
            "encoded",
            "already compressed (constexpr_cast)",
        ),
        (
            weight(encoded="constexpr_cast", shape=(32, 64)),
            "encoded",
            "already compressed (constexpr_cast)",
        ),
        (weight(shape=(32, 64)), "size", "size 2048 is not above 2048"),
        (weight(shape=()), "size", "size 1 is not above 2048"),
        (weight(shape=(4096,)), "rank", "rank 1: Core ML may fail on compressed vectors"),
        (weight(dtype="bf16"), "dtype", "bf16: only fp16 and fp32 are compressed"),
        (weight(dtype="fp64"), "dtype", "fp64: only fp16 and fp32 are compressed"),
        (weight(barred="it is a result of its block"), "barred", "it is a result of its block"),
        (weight(readers=BIAS), "where", "not chosen by is_weight (used as bias of linear, x of add)"),
        (weight(readers=()), "where", "not chosen by is_weight (not read)"),
    ],
)
def test_why_a_weight_is_not_chosen(refused: Weight, code: str, reason: str) -> None:
    assert entry(refused, select_weights()) == Skipped(code, reason)


@pytest.mark.parametrize(
    ("op_type", "kind"),
    [
        ("constexpr_lut_to_dense", "lut"),
        ("constexpr_affine_dequantize", "affine"),
        ("constexpr_blockwise_shift_scale", "affine"),
        ("constexpr_sparse_to_dense", "sparse"),
        ("constexpr_cast", "cast"),
    ],
)
def test_what_is_compressed_already_is_chosen_for_fits_inside_it(op_type: str, kind: str) -> None:
    made = weight(encoded=op_type)
    chosen = entry(made, select_weights())
    assert chosen == Fitted((Found(kind),))
    for step in (fit_lut(nbits=4), fit_affine(), *(PASSES[f"replace_const_with_{kind}"](),)):
        assert entry(made, select_weights(), step) == chosen, "nothing is nested, so nothing is stored"
    inside = {"lut": fit_affine(inside="lut"), "affine": fit_lut(nbits=4, inside="affine")}
    inside["sparse"] = fit_lut(nbits=4, inside="sparse")
    for other, step in inside.items():
        expected = Fitted((Found(kind), step)) if other == kind else chosen
        assert entry(made, select_weights(), step) == expected


def test_reasons_are_asked_for_in_their_order() -> None:
    every = weight(shape=(9,), dtype="fp64", barred="b", readers=(), encoded="constexpr_cast")
    codes = []
    for repair in (
        {"encoded": None},
        {"shape": (5000,)},
        {"shape": (64, 64)},
        {"dtype": "fp32"},
        {"barred": None},
        {"readers": weight().readers},
    ):
        codes.append(entry(every, select_weights()).code)  # type: ignore[attr-defined]
        every = evolve(every, **repair)
    assert codes == ["encoded", "size", "rank", "dtype", "barred", "where"]
    assert isinstance(entry(every, select_weights()), Selected)


@pytest.mark.parametrize("dtype", ["fp16", "fp32"])
def test_chosen_by_the_defaults(dtype: str) -> None:
    assert entry(weight(shape=(3, 683), dtype=dtype), select_weights()) == Selected(
        "select_weights(threshold=2048)"
    )
    assert select_weights() == select_weights(threshold=2048)


def test_the_threshold_is_strict() -> None:
    assert isinstance(entry(weight(shape=(2, 5)), select_weights(threshold=9)), Selected)
    assert isinstance(entry(weight(shape=(2, 5)), select_weights(threshold=10)), Skipped)
    assert isinstance(entry(weight(shape=(1, 1)), select_weights(threshold=0)), Selected)
    assert isinstance(entry(weight(shape=(0, 4)), select_weights(threshold=0)), Skipped)


def test_what_is_barred_stays_so_under_anything() -> None:
    alpha = weight(barred="prelu takes its alpha from a plain constant only")
    assert entry(alpha, select_weights(where=anything)) == Skipped("barred", alpha.barred)
    assert isinstance(entry(weight(readers=BIAS), select_weights(where=anything)), Selected)


def test_two_selections_in_one_pipeline() -> None:
    conv, linear = weight("a", op="conv"), weight("b", op="linear")
    plan = folded(
        (conv, linear),
        select_weights(where=op_type("conv")),
        fit_lut(nbits=4),
        select_weights(where=op_type("linear")),
        fit_lut(nbits=6),
        replace_const_with_lut(),
    )
    assert [row.entry for row in plan.rows] == [
        Replaced((fit_lut(nbits=4),)),
        Replaced((fit_lut(nbits=6),)),
    ]


def test_selecting_again_starts_anew() -> None:
    first = (select_weights(), fit_lut(nbits=4), replace_const_with_lut())
    again = select_weights(threshold=1)
    assert entry(weight(), *first, again) == Selected(repr(again))
    assert entry(weight(), *first, again, fit_lut(nbits=8)) == Fitted((fit_lut(nbits=8),))


def test_a_selection_leaves_alone_what_it_does_not_choose() -> None:
    others = select_weights(where=name("another"))
    assert entry(weight(), select_weights(), others) == Selected(repr(select_weights()))
    assert entry(weight(), select_weights(), fit_lut(nbits=4), others) == Fitted((fit_lut(nbits=4),))
    assert entry(weight(), others, select_weights(threshold=9999)) == Skipped(
        "size", "size 4096 is not above 9999"
    )


def test_fit_acts_on_selected_weights_alone() -> None:
    fit = fit_lut(nbits=4)
    assert entry(weight(), fit) == Skipped("unselected", "no selection pass has looked at it")
    assert entry(weight(), select_weights(), fit, fit_lut(nbits=8)) == Fitted((fit,))
    assert isinstance(entry(weight(shape=(2, 2)), select_weights(), fit), Skipped)


def test_replace_acts_on_fitted_tables_alone() -> None:
    replace = replace_const_with_lut()
    assert entry(weight(), replace).code == "unselected"  # type: ignore[attr-defined]
    assert isinstance(entry(weight(), select_weights(), replace), Selected)
    assert entry(weight(), select_weights(), fit_lut(nbits=4), replace) == Replaced((fit_lut(nbits=4),))


class _Affine(fit_lut):
    """A fit of another encoding, as a later version has them."""

    encoding = "affine"


def test_replace_leaves_other_encodings() -> None:
    plan = Plan.of((weight(),)).update(lambda *_: Fitted((_Affine(nbits=8),)))
    assert replace_const_with_lut().fold(plan) == plan


@quick(max_examples=20)
@given(models, pipelines, passes)
def test_folding_is_pure(model: tuple[Weight, ...], before: Pipeline, step: Pass) -> None:
    plan = folded(model, before)  # type: ignore[arg-type]
    printed = repr(plan)
    assert step.fold(plan) == step.fold(plan)
    assert repr(plan) == printed
    assert [row.weight for row in step.fold(plan).rows] == list(model)


@pytest.mark.parametrize("made", [select_weights(), fit_lut(nbits=4)])
def test_passes_are_frozen_values(made: Pass) -> None:
    with pytest.raises(FrozenInstanceError):
        made.nbits = 3  # type: ignore[attr-defined]
    assert hash(made) == hash(evolve(made)) and made == evolve(made)


@pytest.mark.parametrize(
    ("field", "value", "needs"),
    [
        ("granularity", 16, "a granularity such as PerTensor() or PerChannel(axis=0)"),
        ("granularity", PerTensor, "a granularity such as PerTensor() or PerChannel(axis=0)"),
        ("cluster_dim", 0, "an integer from 1 to 16"),
        ("cluster_dim", 17, "an integer from 1 to 16"),
        ("cluster_dim", True, "an integer from 1 to 16"),
        ("per_channel_scale", 1, "False or True"),
        ("importance", "name", "a function of a weight, or its name as 'module:name'"),
        ("importance", np.ones(2), "a function of a weight, or its name as 'module:name'"),
        ("inside", "lut", "None or 'sparse' or 'affine'"),
        ("inside", True, "None or 'sparse' or 'affine'"),
        ("lut_function", len, "None"),
        ("nbits", None, "an integer from 1 to 8"),
        ("nbits", 0, "an integer from 1 to 8"),
        ("nbits", 9, "an integer from 1 to 8"),
        ("nbits", 3.5, "an integer from 1 to 8"),
        ("nbits", True, "an integer from 1 to 8"),
        ("mode", "median", MODES),
        ("mode", None, MODES),
        ("mode", ["kmeans"], MODES),
    ],
)
def test_what_is_not_carried_out_is_refused_in_words(field: str, value: object, needs: str) -> None:
    with pytest.raises(UsageError) as raised:
        fit_lut(**{"nbits": 4, field: value})
    message = str(raised.value)
    assert message.startswith(f"{field} of fit_lut: fit_lut cannot ") and message.endswith(".")
    assert f"got {value!r}, needs {needs}" in message


def test_nbits_must_be_given() -> None:
    with pytest.raises(UsageError, match=r"nbits of fit_lut: .* got None, needs an integer from 1 to 8"):
        fit_lut()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("threshold", -1),
        ("threshold", 2.0),
        ("threshold", True),
        ("threshold", None),
        ("where", op_type),
        ("where", "linear"),
    ],
)
def test_wrong_fields_of_select_weights(field: str, value: object) -> None:
    with pytest.raises(UsageError, match=f"{field} of select_weights: .* got .*, needs "):
        select_weights(**{field: value})


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (select_weights(), "select_weights(threshold=2048)"),
        (select_weights(where=anything), "select_weights(threshold=2048, where=anything)"),
        (fit_lut(nbits=4), "fit_lut(mode='kmeans', nbits=4)"),
        (fit_lut("uniform", 8), "fit_lut(mode='uniform', nbits=8)"),
        (replace_const_with_lut(), "replace_const_with_lut()"),
    ],
)
def test_texts_show_what_matters_and_fields_that_differ_from_their_defaults(made: Pass, text: str) -> None:
    assert repr(made) == text


def test_the_table_of_passes_names_each_by_its_class() -> None:
    files = {file.stem for file in (PACKAGE / "passes").glob("[!_]*.py")} - {"base"}
    assert {name: kind.__name__ for name, kind in PASSES.items()} == {name: name for name in files}
    assert {"select_weights", "deselect_weights", "fit_lut", "replace_const_with_lut"} <= files
