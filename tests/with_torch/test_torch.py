"""Torch modules: palettized during conversion as on the package afterwards."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import coremltools as ct
import numpy as np
import pytest
import torch
from torch import nn

from milpass import (
    UsageError,
    apply,
    fit_lut,
    last_plan,
    read_weights,
    replace_const_with_lut,
    select_weights,
)
from milpass.plan import Plan, Replaced
from milpass.selectors import is_weight, module, name, role

ROOT = Path(__file__).parents[2]
PIPELINE = select_weights(threshold=100) | fit_lut(nbits=4) | replace_const_with_lut()
RELEASES = [ct.target.iOS16, ct.target.iOS17, ct.target.iOS18]
PRECISIONS = [ct.precision.FLOAT16, ct.precision.FLOAT32]


class Attention(nn.Module):
    """One head, written out."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value, self.out = (nn.Linear(16, 16) for _ in range(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores = torch.softmax(self.query(x) @ self.key(x).transpose(-1, -2), dim=-1)
        return self.out(scores @ self.value(x))


class Recurrent(nn.Module):
    """An lstm whose state is left out."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(16, 16, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.lstm(x)[0]


def linear() -> nn.Module:
    return nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 8))


# A module, the shape of its input, and how many weights of more than 100 elements it has.
MODULES: dict[str, tuple[Any, tuple[int, ...], int]] = {
    "conv": (lambda: nn.Conv2d(4, 16, 3), (1, 4, 8, 8), 1),
    "conv_transpose": (lambda: nn.ConvTranspose2d(4, 16, 3), (1, 4, 8, 8), 1),
    "linear": (linear, (1, 16), 2),
    "attention": (Attention, (1, 6, 16), 4),
    "lstm": (Recurrent, (1, 5, 16), 2),
}


def converted(kind: str, release: Any, precision: Any, passes: Any = None) -> Any:
    make, shape, _ = MODULES[kind]
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch would rather export; coremltools' way is to trace
        traced = torch.jit.trace(make().eval(), torch.zeros(shape))
    return ct.convert(
        traced,
        inputs=[ct.TensorType(name="x", shape=shape)],
        minimum_deployment_target=release,
        compute_precision=precision,
        pass_pipeline=passes or ct.PassPipeline.DEFAULT,
        skip_model_load=True,
    )


def results(plan: Plan) -> list[Any]:
    return [row.entry.result for row in plan.replaced if isinstance(row.entry, Replaced)]


@pytest.mark.parametrize("precision", PRECISIONS, ids=lambda precision: precision.name)
@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.name)
@pytest.mark.parametrize("kind", MODULES)
def test_inside_and_after_are_the_same(kind: str, release: Any, precision: Any, tmp_path: Path) -> None:
    converted(kind, release, precision).save(str(tmp_path / "dense.mlpackage"))
    after, planned = apply(PIPELINE, tmp_path / "dense.mlpackage", tmp_path / "after.mlpackage")
    passes = PIPELINE.to_coremltools()
    converted(kind, release, precision, passes).save(str(tmp_path / "inside.mlpackage"))
    plan = last_plan(passes)
    assert len(plan.replaced) == len(planned.replaced) == MODULES[kind][2]
    assert results(plan) == results(planned)
    ours, theirs = read_weights(tmp_path / "inside.mlpackage"), read_weights(after)
    assert ours.keys() == theirs.keys()
    for key, array in ours.items():
        np.testing.assert_array_equal(array, theirs[key], err_msg=key)


def test_modules_of_torch_are_known_inside_only(tmp_path: Path) -> None:
    pipeline = (
        select_weights(100, module("query") | module("out")) | fit_lut(nbits=2) | replace_const_with_lut()
    )
    passes = pipeline.to_coremltools(strict=True)
    converted("attention", ct.target.iOS18, ct.precision.FLOAT16, passes).save(str(tmp_path / "m.mlpackage"))
    chosen = {row.weight.name.split(".")[0] for row in last_plan(passes).replaced}
    assert chosen == {"query", "out"}
    with pytest.raises(UsageError, match="needs a program inside a conversion"):
        pipeline.plan(tmp_path / "m.mlpackage")


@pytest.mark.parametrize(
    "given", ["query.weight", "query_weight", "query_weight_to_fp16", "query.weight_to_fp16"]
)
def test_a_name_chooses_the_same_inside_and_after(given: str, tmp_path: Path) -> None:
    pipeline = select_weights(100, name(given) & is_weight) | fit_lut(nbits=2) | replace_const_with_lut()
    passes = pipeline.to_coremltools(strict=True)
    converted("attention", ct.target.iOS16, ct.precision.FLOAT16, passes)
    converted("attention", ct.target.iOS16, ct.precision.FLOAT16).save(str(tmp_path / "m.mlpackage"))
    after = pipeline.plan(tmp_path / "m.mlpackage", strict=True)
    inside = last_plan(passes)
    assert [row.weight.name for row in after.replaced] == ["query_weight_to_fp16"]
    assert [row.weight.name for row in inside.replaced] == ["query.weight_to_fp16"]


@pytest.mark.parametrize("release", [ct.target.iOS16, ct.target.iOS18], ids=lambda release: release.name)
def test_attention_is_told_from_the_data_flow(release: Any, tmp_path: Path) -> None:
    pipeline = select_weights(100, role("attention")) | fit_lut(nbits=2) | replace_const_with_lut()
    passes = pipeline.to_coremltools()
    converted("attention", release, ct.precision.FLOAT16, passes)
    assert len(last_plan(passes).replaced) == 4


def test_the_example_runs() -> None:
    example = ROOT / "examples" / "convert_torch.py"
    done = subprocess.run([sys.executable, str(example)], capture_output=True, text=True, check=True)
    bits = [line.split()[-2] for line in done.stdout.splitlines() if "lut kmeans" in line]
    assert bits == ["6", "4", "4"], done.stdout
