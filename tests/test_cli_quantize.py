"""`milpass quantize`: coremltools' modes and its choice, by one command; read by numpy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from milpass.cli import main
from tests import networks
from tests.every_layer import every_layer

QUANTIZED = {
    "linear": "linearQuantization",
    "linear_symmetric": "linearQuantization",
    "kmeans_lut": "lookupTableQuantization",
    "linear_lut": "lookupTableQuantization",
}
DIGITS = Path(__file__).parents[1] / "examples" / "digits.mlpackage"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return networks.saved(every_layer(), tmp_path / "m.mlmodel")


def run(*arguments: object) -> Any:
    return CliRunner().invoke(main, ["quantize", *map(str, arguments)])


@pytest.mark.parametrize(("mode", "kind"), QUANTIZED.items())
def test_modes(mode: str, kind: str, source: Path, tmp_path: Path) -> None:
    """Everything that Apple's function takes is taken, each value within a step of what it was."""
    result = run(source, "-o", tmp_path / "out.mlmodel", "--mode", mode, "--nbits", 6, "--json")
    assert result.exit_code == 0, result.output
    shapes = {row["name"]: row["shape"] for row in json.loads(result.stdout)["weights"]}
    before, after = (
        dict(networks.weight_messages(networks.parsed(path))) for path in (source, tmp_path / "out.mlmodel")
    )
    left = {name for name, message in after.items() if len(message.floatValue)}
    assert {name.partition("/")[0] for name in left} <= {"prelu", "softplus", "custom", "deconv_grouped"}
    for name in after.keys() - left:
        message, shape = after[name], tuple(shapes[name])
        assert message.quantization.WhichOneof("QuantizationType") == kind
        assert message.quantization.numberOfBits == 6
        axis = 1 if name == "deconv/weights" else 0
        values = networks.numpy_values(before[name], shape)
        errors = np.abs(networks.numpy_values(message, shape, axis) - values)
        assert errors.max() <= 2 * np.abs(values).max() / 62 + 1e-6, name


def test_half_precision(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mlmodel"
    assert run(source, "-o", out, "--nbits", 16).exit_code == 0
    stored = dict(networks.weight_messages(networks.parsed(out)))
    assert sum(bool(message.float16Value) for message in stored.values()) == len(stored) - 4


def test_equal_steps_are_those_of_coremltools(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mlmodel"
    assert run(source, "-o", out, "--mode", "linear_lut", "--nbits", 3).exit_code == 0
    before, after = (dict(networks.weight_messages(networks.parsed(path))) for path in (source, out))
    values = np.array(before["fc/weights"].floatValue)
    table = list(after["fc/weights"].quantization.lookupTableQuantization.floatValue)
    np.testing.assert_allclose(table, np.linspace(values.min(), values.max(), 8), rtol=1e-6, atol=1e-7)


def test_packages(tmp_path: Path) -> None:
    result = run(DIGITS, "-o", tmp_path / "out.mlpackage", "--json")
    assert result.exit_code == 0
    rows = {row["name"]: row["outcome"] for row in json.loads(result.stdout)["weights"]}
    assert {name for name, outcome in rows.items() if outcome == "compressed"} == {
        name for name in rows if "weight" in name
    }


@pytest.mark.parametrize("wrong", [("--nbits", 9), ("--nbits", 0), ("--mode", "elsewhere")])
def test_wrong_usage(wrong: tuple[object, ...], source: Path, tmp_path: Path) -> None:
    assert run(source, "-o", tmp_path / "out.mlmodel", *wrong).exit_code == 2
    assert not (tmp_path / "out.mlmodel").exists()


def test_a_single_bit_is_not_symmetric(source: Path, tmp_path: Path) -> None:
    options = ("--mode", "linear_symmetric", "--nbits", 1)
    result = run(source, "-o", tmp_path / "out.mlmodel", *options)
    assert result.exit_code == 2 and "an integer from 2 to 8" in result.stderr
