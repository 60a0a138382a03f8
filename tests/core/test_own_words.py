"""Passes, modes and packages of a user's own as words of the language."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from attrs import field
from attrs.exceptions import FrozenInstanceError
from click.testing import CliRunner

from milpass import (
    NothingCompressed,
    Pass,
    Pipeline,
    UsageError,
    apply,
    as_pass,
    fit_lut,
    lut_mode,
    parse,
    selector,
)
from milpass.cli.show import show_plan
from milpass.fitting import OWN, mode_of, modes
from milpass.fitting.fitted import Mistake, Terms
from milpass.passes import PASSES, described, replace_const_with_lut, select_weights
from milpass.plan import Fitted, Plan, Selected, Skipped
from milpass.plugins import GROUP, load_plugins
from milpass.reference import find
from milpass.selectors import SELECTORS, is_weight, rank
from milpass.weight import Key, Source, Weight
from tests.packages import Const, Op, write_package


@pytest.fixture(autouse=True)
def _vocabulary_as_before() -> Iterator[None]:
    passes, own = dict(PASSES), dict(OWN)
    yield
    for table, before in ((PASSES, passes), (OWN, own)):
        table.clear()
        table.update(before)  # type: ignore[arg-type]


class select_matrices(Pass):
    """Choose every matrix."""

    least: int = field(default=0, metadata=described("The fewest elements.", option=int))

    def fold(self, plan: Plan) -> Plan:
        return plan.update(
            lambda w, entry: Selected(repr(self)) if w.rank == 2 and w.size >= self.least else entry
        )


def weight(name: str, *shape: int) -> Weight:
    return Weight(Key("main", (), name), shape, "fp16", Source("f", 64))


def test_a_class_becomes_a_pass() -> None:
    made = as_pass(select_matrices)
    pipeline = made(least=10) | fit_lut(nbits=4)
    assert repr(pipeline).startswith("select_matrices(least=10) | fit_lut(")
    assert parse(repr(pipeline)) == pipeline and PASSES["select_matrices"] is made
    plan = made(least=10).fold(Plan.of((weight("a", 4, 4), weight("b", 2, 2), weight("c", 64))))
    assert [type(row.entry) for row in plan.rows] == [Selected, Skipped, Skipped]
    with pytest.raises(FrozenInstanceError):
        made().least = 3


def test_it_is_described_by_its_docstring_and_fields() -> None:
    as_pass(select_matrices)
    word = find("select_matrices")
    assert word.signature == "select_matrices(least=0)" and word.summary == "Choose every matrix."
    assert word.fields == (("least", "The fewest elements."),)


def test_a_module_that_is_loaded_again_defines_its_passes_anew() -> None:
    as_pass(select_matrices)
    again = type("select_matrices", (Pass,), dict(vars(select_matrices)))
    assert as_pass(again) is PASSES["select_matrices"]


@pytest.mark.parametrize("taken", ["fit_lut", "is_weight", "select_weights"])
def test_a_name_that_is_taken_is_refused(taken: str) -> None:
    kind = type(taken, (Pass,), {"fold": lambda self, plan: plan})
    with pytest.raises(UsageError, match=f"got the name '{taken}', needs a name of its own"):
        as_pass(kind)


@pytest.mark.parametrize("given", [3, int, "fit_lut", lambda plan: plan])
def test_what_is_no_pass_is_refused(given: object) -> None:
    with pytest.raises(UsageError, match="needs a subclass of Pass"):
        as_pass(given)  # type: ignore[type-var]


def package(path: Path) -> Path:
    """A matrix, a vector, and an operation that reads both."""
    rng = np.random.default_rng(0)
    matrix, vector = (rng.standard_normal(shape).astype(np.float16) for shape in ((16, 16), (64,)))
    reads = {"x": "x", "weight": "matrix", "bias": "vector"}
    return write_package(path, [Const("matrix", matrix), Const("vector", vector), Op("linear", reads, "y")])


def test_what_fails_in_a_pass_is_one_line_and_the_exception_stays_visible(tmp_path: Path) -> None:
    @as_pass
    class fail(Pass):
        """Fail."""

        def fold(self, plan: Plan) -> Plan:
            raise ZeroDivisionError("in the user's code")

    @as_pass
    class forget(Pass):
        """Return nothing."""

        def fold(self, plan: Plan) -> Plan:
            return None  # type: ignore[return-value]

    model = package(tmp_path / "m.mlpackage")
    with pytest.raises(UsageError, match=r"fail: .*got ZeroDivisionError: in the user's code") as refusal:
        Pipeline(fail()).plan(model)
    assert isinstance(refusal.value.__cause__, ZeroDivisionError)
    with pytest.raises(UsageError, match=r"forget: .*got a NoneType, needs the next plan"):
        Pipeline(forget()).plan(model)


def folding(fold: object) -> Pipeline:
    """A pipeline whose first pass is a user's own that folds so."""
    kind = as_pass(type("own_fold", (Pass,), {"fold": lambda self, plan: fold(plan), "__module__": __name__}))  # type: ignore[operator]
    return kind() | fit_lut(nbits=4) | replace_const_with_lut()


@pytest.mark.parametrize(
    ("fold", "told"),
    [
        (
            lambda plan: plan.update(lambda w, e: Selected("it") if w.rank == 2 else None),
            "got None for vector",
        ),
        (lambda plan: plan.update(lambda w, e: True), "got True for matrix"),
        (lambda plan: plan.update(lambda w, e: Fitted("kmeans")), r"got Fitted\(fits='kmeans'\) for matrix"),
        (lambda plan: plan.update(lambda w, e: Fitted(("kmeans",))), "for matrix"),
        (lambda plan: Plan(plan.rows[:1]), "got 1 rows, not those of the 2 weights"),
        (lambda plan: plan.rows, "got a tuple, needs the next plan"),
    ],
)
def test_what_a_pass_gives_is_checked_before_anything_is_written(
    fold: object, told: str, tmp_path: Path
) -> None:
    model = package(tmp_path / "m.mlpackage")
    with pytest.raises(UsageError, match=told):
        apply(folding(fold), model, tmp_path / "out.mlpackage")
    assert not (tmp_path / "out.mlpackage").exists()


def test_reasons_may_have_codes_of_ones_own(tmp_path: Path) -> None:
    def fold(plan: Plan) -> Plan:
        return plan.update(lambda w, e: Selected("it") if w.rank == 2 else Skipped("house", "not ours"))

    model = package(tmp_path / "m.mlpackage")
    out, plan = apply(folding(fold), model, tmp_path / "out.mlpackage")
    assert plan.reasons == "1 house"
    with CliRunner().isolation():
        show_plan(plan, everything=False, written=out)


def test_a_class_that_is_no_pass_yet_is_told_how_to_become_one() -> None:
    class forgotten(Pass):
        def fold(self, plan: Plan) -> Plan:
            return plan

    with pytest.raises(UsageError, match=r"forgotten: .*Put @as_pass above it"):
        select_weights() | forgotten()
    with pytest.raises(UsageError, match=r"replace_const_with_lut: .*Call it: replace_const_with_lut\(\)"):
        select_weights() | replace_const_with_lut  # type: ignore[operator]


@pytest.mark.parametrize(
    "joined", [lambda: is_weight and rank(2), lambda: rank(2) or rank(3), lambda: not rank(2)]
)
def test_selectors_are_not_joined_by_words_of_python(joined: object) -> None:
    with pytest.raises(UsageError, match=r"got `and`, `or`, `not` or `if`, needs `&`, `\|` or `~`"):
        joined()  # type: ignore[operator]


def test_a_word_that_wants_arguments_says_so() -> None:
    @selector
    def longer_than_asked(weight: Weight, than: int) -> bool:
        return weight.shape[-1] > than

    with pytest.raises(UsageError, match=r"Call it: longer_than_asked\(\.\.\.\)"):
        select_weights(where=longer_than_asked)
    SELECTORS.pop("longer_than_asked")


def test_where_nothing_is_compressed_the_reasons_are_in_the_message(tmp_path: Path) -> None:
    model = package(tmp_path / "m.mlpackage")
    with pytest.raises(NothingCompressed, match="1 fitted, but no pass replaced it; 1 not more elements"):
        apply(select_weights(100) | fit_lut(nbits=4), model, tmp_path / "out.mlpackage")


def test_a_pass_alone_can_be_planned(tmp_path: Path) -> None:
    plan = select_weights(100).plan(package(tmp_path / "m.mlpackage"))
    assert [row.entry.code for row in plan.rows if isinstance(row.entry, Skipped)] == ["unfitted", "size"]


def test_no_pass_can_choose_what_may_never_be_compressed(tmp_path: Path) -> None:
    @as_pass
    class select_all(Pass):
        """Choose everything, without a question."""

        def fold(self, plan: Plan) -> Plan:
            return plan.update(lambda weight, entry: Selected("select_all"))

    pipeline = select_all() | fit_lut(nbits=4) | replace_const_with_lut()
    model = package(tmp_path / "m.mlpackage")
    plan = pipeline.plan(model)
    assert [row.weight.name for row in plan.replaced] == ["matrix"]
    assert {r.weight.name: r.entry.code for r in plan.rows if isinstance(r.entry, Skipped)} == {
        "vector": "rank"
    }
    out, _ = apply(pipeline, model, tmp_path / "out.mlpackage")
    with pytest.raises(NothingCompressed) as nothing:
        apply(pipeline, out, tmp_path / "again.mlpackage")
    codes = [row.entry.code for row in nothing.value.plan.rows if isinstance(row.entry, Skipped)]
    assert codes == ["encoded", "rank"]


def ends(weight: np.ndarray, nbits: int) -> list[float]:
    """The least and the greatest value."""
    return [float(weight.min()), float(weight.max())][: 1 << nbits]


def test_a_function_becomes_a_mode() -> None:
    lut_mode(ends)
    fit = fit_lut(mode="ends", nbits=1)
    assert "ends" in modes("lut") and parse(repr(fit)).passes == (fit,)
    array = np.array([[1, 2], [3, 9]], np.float16)
    fitted = mode_of("lut", "ends").fit(array, fit, Terms((1, 2, 4)))
    np.testing.assert_array_equal(fitted.encoding.decode(), [[1, 1], [1, 9]])
    assert fitted.quality.squared_error == 1 + 4
    assert find("ends").summary == "The least and the greatest value."
    with pytest.raises(UsageError, match="an integer from 1 to 8"):
        fit_lut(mode="ends")


def test_mistakes_of_a_mode_name_it() -> None:
    @lut_mode
    def too_many(weight: np.ndarray, nbits: int) -> np.ndarray:
        """More than fit."""
        return np.zeros((1 << nbits) + 1)

    @lut_mode
    def failing(weight: np.ndarray, nbits: int) -> np.ndarray:
        """No table at all."""
        raise KeyError("nothing")

    array = np.ones((2, 2), np.float16)
    with pytest.raises(Mistake) as mistake:
        mode_of("lut", "too_many").fit(array, fit_lut(mode="too_many", nbits=2), Terms((2,)))
    assert (mistake.value.who, mistake.value.got) == ("too_many", "5 entries")
    with pytest.raises(Mistake) as mistake:
        mode_of("lut", "failing").fit(array, fit_lut(mode="failing", nbits=2), Terms((2,)))
    assert mistake.value.who == "failing" and isinstance(mistake.value.__cause__, KeyError)


@pytest.mark.parametrize("taken", ["kmeans", "custom"])
def test_a_mode_whose_name_is_taken_is_refused(taken: str) -> None:
    def mode(weight: np.ndarray, nbits: int) -> list[float]:
        return [0.0]

    mode.__name__ = taken
    with pytest.raises(UsageError, match="needs a name of its own"):
        lut_mode(mode)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package that is installed, as far as entry points can tell."""
    folder = tmp_path / "site"
    (folder / "house-1.0.dist-info").mkdir(parents=True)
    (folder / "house-1.0.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: house\nVersion: 1.0\n"
    )
    points = f"[{GROUP}]\nhouse = house_of_tests\n"
    (folder / "house-1.0.dist-info" / "entry_points.txt").write_text(points)
    monkeypatch.syspath_prepend(str(folder))
    yield folder / "house_of_tests.py"
    sys.modules.pop("house_of_tests", None)


def test_entry_points_bring_words(installed: Path) -> None:
    installed.write_text(
        "from milpass import Pass, as_pass\n"
        "@as_pass\n"
        "class from_the_house(Pass):\n"
        "    '''Do nothing.'''\n"
        "    def fold(self, plan): return plan\n"
    )
    assert [point.name for point in metadata.entry_points(group=GROUP)] == ["house"]
    with pytest.raises(UsageError, match="one of "):
        parse("from_the_house()")
    assert load_plugins() == ("house",)
    assert repr(parse("from_the_house() | select_weights()")).startswith("from_the_house() | select_weights(")


def test_a_broken_package_is_named(installed: Path) -> None:
    installed.write_text("1 / 0")
    with pytest.raises(UsageError, match=r"house of house: .*ZeroDivisionError.*Mend or remove house"):
        load_plugins()


def test_select_weights_is_no_own_word() -> None:
    assert select_weights.__module__.startswith("milpass.")
