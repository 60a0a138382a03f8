"""What every target must do: a class of tests, for people who write one.

Subclass it, with a name that begins with `Test` for pytest, or beside `unittest.TestCase`, and say how a
model of the container is made and read without the target under test.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from milpass.errors import NothingCompressed, UsageError
from milpass.passes import fit_lut, replace_const_with_lut, select_weights
from milpass.pipeline import apply
from milpass.plan import Plan, Replaced, Skipped
from milpass.reading import read_weights
from milpass.selectors import anything, first, is_weight, name
from milpass.targets import open_target

# A convolution, a linear layer behind it, and constants that are no weights.
MODEL = """
@iOS16
def main(x: fp16[1, 4, 8, 8]):
    kernel = const(fp16[16, 4, 3, 3])
    bias = const(fp16[16])
    c = conv(x=x, weight=kernel, bias=bias)
    r = relu(x=c)
    f = reshape(x=r, shape=[1, 576])
    matrix = const(fp16[12, 576])
    y = linear(x=f, weight=matrix)
    scores = const(fp16[1, 12])
    z = add(x=y, y=scores)
    return z
"""
FLOATS = {"kernel": (16, 4, 3, 3), "bias": (16,), "matrix": (12, 576), "scores": (1, 12)}

# A weight in a branch, and one that two operations share.
BRANCHES = """
@iOS16
def main(x: fp16[1, 16]):
    shared = const(fp16[16, 16])
    a = matmul(x=x, y=shared)
    b = matmul(x=a, y=shared)
    total = reduce_sum(x=b, axes=[0, 1], keep_dims=False)
    positive = greater(x=total, y=0.0)
    def taken():
        inner = const(fp16[16, 16])
        t = matmul(x=b, y=inner)
        return t
    def other():
        return b
    z = cond(pred=positive, _true_fn=taken, _false_fn=other)
    return z
"""

PALETTIZE = select_weights(threshold=64) | fit_lut(nbits=4) | replace_const_with_lut()


class TargetTests(ABC):
    """The tests; what they expect comes from `values` and `op_types`, which must not use the target.

    A container with operations of its own says what they are called there: `types` and `inputs` from the
    names in ML Programs, `names` from those of constants in the texts, `dtype` and `table` the type of plain
    constants and the operation that stores tables; `shares` whether operations can share a constant.
    """

    types: Mapping[str, str] = MappingProxyType({})
    inputs: Mapping[str, str] = MappingProxyType({})
    names: Mapping[str, str] = MappingProxyType({})
    dtype = "fp16"
    table = "constexpr_lut_to_dense"
    shares = True

    @abstractmethod
    def made(self, text: str) -> Any:
        """A model of the container with the program of a mini-MIL text, unchanged by any pass."""

    @abstractmethod
    def values(self, model: Any) -> Mapping[str, NDArray[Any]]:
        """The floating-point constants of a model by name, decoded without milpass."""

    @abstractmethod
    def op_types(self, model: Any) -> list[str]:
        """The types of the operations that are no constants, in order, read without milpass."""

    @abstractmethod
    def destination(self) -> Any:
        """Where `apply` is to write, new at each call; None for a container that is edited in place."""

    def test_knows_every_floating_point_constant(self) -> None:
        """Names, shapes and types, of those that `apply` may look at."""
        model = self.made(MODEL)
        weights = {weight.name: weight for weight in open_target(model).weights()}
        assert weights.keys() == self.values(model).keys()
        assert {key: weights[self._name(key)].shape for key in FLOATS} == FLOATS
        assert {weight.dtype for weight in weights.values()} == {self.dtype}

    def test_loads_their_values(self) -> None:
        """Bit by bit."""
        model = self.made(MODEL)
        expected = self.values(model)
        for weight in open_target(model).weights():
            assert weight.load().tobytes() == np.asarray(expected[weight.name]).tobytes(), weight.name

    def test_knows_what_they_are_used_for(self) -> None:
        """Readers and roles."""
        weights = {w.name: w for w in open_target(self.made(MODEL)).weights()}
        uses = {
            key: [(r.op_type, r.input, r.role) for r in weights[self._name(key)].readers]
            for key in ("kernel", "bias", "matrix")
        }
        assert uses == {
            "kernel": [(self._type("conv"), self._input("weight"), "weight")],
            "bias": [(self._type("conv"), self._input("bias"), "bias")],
            "matrix": [(self._type("linear"), self._input("weight"), "weight")],
        }
        assert [r.op_type for r in weights[self._name("scores")].readers] == [self._type("add")]

    def test_knows_the_data_flow(self) -> None:
        """The graph has the operations in order, and places are told by it."""
        target = open_target(self.made(MODEL))
        order = [self._type(kind) for kind in ("conv", "relu", "reshape", "linear", "add")]
        assert [node.op_type for node in target.graph().nodes] == order
        choice = first(self._type("linear")) & is_weight
        assert [w.name for w in target.weights() if choice.holds(w)] == [self._name("matrix")]

    def test_replaces_what_is_chosen_and_nothing_else(self) -> None:
        """Chosen weights decode to what the plan states, under their names; all else is as it was."""
        model = self.made(MODEL)
        before, ops = dict(self.values(model)), self.op_types(model)
        result, plan = apply(PALETTIZE, model, self.destination())
        after = self.values(result)
        assert {row.weight.name for row in plan.replaced} == {self._name("kernel"), self._name("matrix")}
        assert before.keys() == after.keys() and self.op_types(result) == ops
        for row in plan.rows:
            error = _squared_error(before[row.weight.name], after[row.weight.name])
            stated = row.entry.result.squared_error if _is_done(row.entry) else 0.0  # type: ignore[union-attr]
            np.testing.assert_allclose(error, stated, rtol=1e-9)

    def test_reads_what_it_wrote(self) -> None:
        """Encoded weights are told as such, and decode as without milpass."""
        result, _ = apply(PALETTIZE, self.made(MODEL), self.destination())
        expected, found = self.values(result), read_weights(result)
        assert {key: array.tobytes() for key, array in found.items()} == {
            key: np.asarray(array).tobytes() for key, array in expected.items()
        }
        encoded = {w.name: w.encoded for w in open_target(result).weights() if w.encoded}
        assert encoded == dict.fromkeys([self._name("kernel"), self._name("matrix")], self.table)

    def test_reaches_nested_blocks_and_shared_constants(self) -> None:
        """One row each, with every reader."""
        result, plan = apply(PALETTIZE, self.made(BRANCHES), self.destination())
        shared, inner = self._name("shared"), self._name("inner")
        readers = {row.weight.name: len(row.weight.readers) for row in plan.replaced}
        if self.shares:
            assert readers == {shared: 2, inner: 1}
        blocks = {row.weight.name: len(row.weight.key.block) for row in plan.replaced}
        assert (blocks[shared], blocks[inner]) == (0, 1) and set(blocks.values()) == {0, 1}
        assert len(np.unique(self.values(result)[inner].astype(np.float32))) <= 16

    def test_planning_changes_nothing(self) -> None:
        """Nor does a run that chooses nothing, or one whose fit fails."""
        model = self.made(MODEL)
        before = {key: np.asarray(array).tobytes() for key, array in self.values(model).items()}
        plan = PALETTIZE.plan(model)
        assert len(plan.replaced) == 2
        self._assert_refuses(select_weights(where=name("no*")), NothingCompressed, model)
        failing = fit_lut(mode="custom", lut_function=_failing)
        self._assert_refuses(select_weights(64, anything) | failing, UsageError, model)
        after = {key: np.asarray(array).tobytes() for key, array in self.values(model).items()}
        assert before == after

    def _name(self, name: str) -> str:
        return self.names.get(name, name)

    def _type(self, op_type: str) -> str:
        return self.types.get(op_type, op_type)

    def _input(self, name: str) -> str:
        return self.inputs.get(name, name)

    def _assert_refuses(self, choice: Any, error: type[Exception], model: Any) -> None:
        try:
            apply(choice | replace_const_with_lut(), model, self.destination())
        except error:
            return
        raise AssertionError(f"{error.__name__} was not raised")

    def test_every_constant_has_its_reason(self) -> None:
        """A row each, and a reason where it is left."""
        _, plan = apply(PALETTIZE, self.made(MODEL), self.destination())
        _assert_reasons(plan)


def _failing(weight: NDArray[Any]) -> Any:
    """A user's function that fails at the second weight it is asked for."""
    if weight.ndim == 2:
        raise ZeroDivisionError("as a user's function may")
    return [0.0, 1.0]


def _assert_reasons(plan: Plan) -> None:
    for row in plan.rows:
        assert _is_done(row.entry) or (isinstance(row.entry, Skipped) and row.entry.reason), row


def _is_done(entry: Any) -> bool:
    return isinstance(entry, Replaced) and entry.result is not None


def _squared_error(before: NDArray[Any], after: NDArray[Any]) -> float:
    return float(np.sum(np.square(np.asarray(before, np.float64) - np.asarray(after, np.float64))))
