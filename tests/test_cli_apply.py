"""`milpass apply`, `passes`, `completion`, and the options that every command that writes has."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from milpass.cli import main
from milpass.reference import words
from tests.packages import digest, model_of, operations_of

DIGITS = Path(__file__).parents[1] / "examples" / "digits.mlpackage"
PIPELINE = "select_weights(threshold=500) | fit_lut(nbits=4) | replace_const_with_lut()"

MODULE = """
import numpy as np
from milpass import selector

@selector
def hidden(weight):
    return weight.name.startswith("hidden")

def ends(weight):
    return [weight.min(), weight.max()]
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return shutil.copytree(DIGITS, tmp_path / "net.mlpackage")


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(main, [*map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def spawn(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, in a folder."""
    command = [str(Path(sys.executable).with_name("milpass")), *map(str, arguments)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_a_pipelines_text_is_carried_out(model: Path, tmp_path: Path) -> None:
    text = (
        "select_weights(threshold=500, where=op_type('linear')) | fit_lut(nbits=2) | replace_const_with_lut()"
    )
    result = run("apply", model, "-o", tmp_path / "out", "-p", text)
    assert result.exit_code == 0 and "2 of 8 constants compressed" in result.stdout
    kinds = {name: op.type for name, op in operations_of(tmp_path / "out").items() if "weight" in name}
    assert [name for name, kind in kinds.items() if kind != "const"] == [
        "hidden_weight_to_fp16",
        "output_weight_to_fp16",
    ]


def test_a_recipe_is_carried_out(model: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.milpass"
    recipe.write_text("# comment\n" + PIPELINE.replace(" | ", "\n"))
    by_recipe = run("apply", model, "-o", tmp_path / "a", "-p", f"@{recipe}")
    by_text = run("apply", model, "-o", tmp_path / "b", "-p", PIPELINE)
    assert by_recipe.exit_code == by_text.exit_code == 0
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def contents(package: Path) -> dict[str, str]:
    return {name: content for name, (content, _) in digest(package).items()}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "Python call syntax"),
        ("bogus()", "bogus"),
        ("fit_lut(nbits=40)", "from 1 to 8"),
        ("@no_such_file", "cannot read the recipe"),
        ("select_weights(where=<callable a.py:3>)", "got <callable a.py:3>"),
        ("is_weight", "passes joined by `|`"),
    ],
)
def test_texts_that_are_none_exit_2(model: Path, tmp_path: Path, text: str, said: str) -> None:
    result = run("apply", model, "-o", tmp_path / "out", "-p", text)
    (line,) = result.stderr.splitlines()
    assert result.exit_code == 2 and line.startswith("milpass: ") and said in line
    assert not (tmp_path / "out").exists()


def test_modules_are_run_only_when_they_are_asked_for(model: Path, tmp_path: Path) -> None:
    (tmp_path / "my_module.py").write_text(MODULE)
    text = (
        "select_weights(where=hidden) | fit_lut(mode='custom', lut_function='my_module:ends') | "
        "replace_const_with_lut()"
    )
    done = spawn(tmp_path, "apply", model, "-o", "out", "-p", text, "--import", "my_module")
    assert done.returncode == 0 and "hidden_weight_to_fp16" in done.stdout, done.stderr
    assert "lut custom 1 bits" in done.stdout and "conv2" not in done.stdout
    without = spawn(tmp_path, "apply", model, "-o", "none", "-p", text.replace("hidden", "is_weight"))
    assert without.returncode == 2 and "--import my_module" in without.stderr
    assert not (tmp_path / "none").exists()
    (tmp_path / "broken.py").write_text("1 / 0")
    broken = spawn(tmp_path, "apply", model, "-o", "none", "-p", PIPELINE, "--import", "broken")
    assert broken.returncode == 2 and len(broken.stderr.splitlines()) == 1
    assert "ZeroDivisionError" in broken.stderr
    listed = spawn(tmp_path, "passes", "hidden", "--import", "my_module")
    assert listed.returncode == 0 and listed.stdout.startswith("selector: hidden")


def test_every_word_is_listed_and_described() -> None:
    listed = run("passes").stdout
    for word in words():
        assert f"\n  {word.name}\n" in listed
        described = run("passes", word.name).stdout
        assert word.signature in described and all(name in described for name, _ in word.fields)
        assert word.text and word.summary.endswith(".") and all(help for _, help in word.fields)
    unknown = run("passes", "bogus")
    assert unknown.exit_code == 2 and "needs one of" in unknown.stderr


def parsed(result: Result) -> Any:
    return json.loads(result.stdout, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


@pytest.mark.parametrize("command", [["palettize", "--threshold", 500], ["apply", "-p", PIPELINE]])
def test_json_says_what_the_table_says(model: Path, tmp_path: Path, command: list[object]) -> None:
    found = parsed(run(command[0], model, "-o", tmp_path / "out", "--json", *command[1:]))
    weights = found["weights"]
    assert (found["schema"], found["error"], found["output"]) == (1, None, str(tmp_path / "out"))
    assert found["format"] == {"before": "iOS16", "after": "iOS16"}
    for total, key in (("nbytes_before", "nbytes_before"), ("nbytes_after", "nbytes_after")):
        assert found["totals"][total] == sum(weight[key] for weight in weights)
    compressed = [weight for weight in weights if weight["outcome"] == "compressed"]
    assert found["totals"]["compressed"] == len(compressed) == 3
    assert all(weight["result"]["snr"] > 15 and weight["reason"] is None for weight in compressed)
    assert {weight["reason"] for weight in weights} == {None, "size"}
    assert compressed[0]["fits"] == [
        {"encoding": "lut", "mode": "kmeans", "nbits": 4, "granularity": "PerTensor()"}
    ]
    assert compressed[0]["readers"][0]["op_type"] == "conv" and compressed[0]["shape"] == [64, 32, 3, 3]


def test_json_of_a_run_that_compresses_nothing(model: Path, tmp_path: Path) -> None:
    result = run("palettize", model, "-o", tmp_path / "out", "--threshold", 10**9, "--json")
    found = parsed(result)
    assert result.exit_code == 3 and found["error"]["code"] == 3 and found["output"] is None
    assert {weight["outcome"] for weight in found["weights"]} == {"left"}
    assert len(result.stderr.splitlines()) == 1


def test_json_of_a_fit_without_error_has_no_infinity(model: Path, tmp_path: Path) -> None:
    first = run("palettize", model, "-o", tmp_path / "a", "--threshold", 100, "--nbits", 8)
    assert first.exit_code == 0
    text = "select_weights(threshold=100) | fit_lut(mode='unique') | replace_const_with_lut()"
    found = parsed(run("apply", model, "--dry-run", "-p", text, "--json"))
    planned = [weight for weight in found["weights"] if weight["outcome"] == "compressed"]
    assert planned and all(weight["result"] is None for weight in planned)
    done = run("apply", model, "-o", tmp_path / "b", "-p", text.replace("100", "600"), "--json")
    assert done.exit_code == 3, "each has more than 256 values"
    assert {weight["reason"] for weight in parsed(done)["weights"]} == {"size", "data"}


def test_json_of_inspect(model: Path) -> None:
    found = parsed(run("inspect", model, "--json"))
    assert [weight["distinct"] for weight in found["weights"]][:2] == [279, 32]
    assert all(weight["stored_as"] == "const" for weight in found["weights"])


def test_quiet_prints_nothing_but_errors(model: Path, tmp_path: Path) -> None:
    done = run("palettize", model, "-o", tmp_path / "out", "-q")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "")
    again = run("palettize", model, "-o", tmp_path / "out", "--quiet")
    assert again.exit_code == 2 and len(again.stderr.splitlines()) == 1


def test_the_same_bytes_for_any_number_of_threads(model: Path, tmp_path: Path) -> None:
    for threads in (1, 2, 5):
        out = tmp_path / f"out{threads}"
        assert run("palettize", model, "-o", out, "--threshold", 9, "--threads", threads).exit_code == 0
        assert contents(out) == contents(tmp_path / "out1")
    for wrong in (0, -3):
        assert run("palettize", model, "-o", tmp_path / "none", "--threads", wrong).exit_code == 2


def test_strict_makes_an_error_of_what_is_otherwise_noted(model: Path, tmp_path: Path) -> None:
    text = "select_weights(where=~name('hiden_*')) | fit_lut(nbits=4) | replace_const_with_lut()"
    noted = run("apply", model, "-o", tmp_path / "out", "-p", text)
    assert noted.exit_code == 0 and "matches nothing; near it: hidden_" in noted.stdout
    assert noted.stderr == ""
    refused = run("apply", model, "-o", tmp_path / "none", "-p", text, "--strict")
    assert refused.exit_code == 2 and "near it: hidden_" in refused.stderr
    assert not (tmp_path / "none").exists()


def test_a_pattern_that_matches_nothing_is_told_where_nothing_is_compressed_too(
    model: Path, tmp_path: Path
) -> None:
    text = "select_weights(where=name('hiden_*')) | fit_lut(nbits=4) | replace_const_with_lut()"
    for options in ([], ["--dry-run"], ["--all"]):
        told = run("apply", model, "-o", tmp_path / "out", "-p", text, *options)
        assert told.exit_code == 3 and "matches nothing; near it: hidden_" in told.stderr
    assert not (tmp_path / "out").exists()


def test_a_target_raises_the_model(model: Path, tmp_path: Path) -> None:
    result = run("palettize", model, "-o", tmp_path / "out", "--nbits", 3, "--target", "iOS18")
    assert result.exit_code == 0 and "raised from iOS16 to iOS18" in result.stdout
    assert model_of(tmp_path / "out").specificationVersion == 9
    for wrong in ("iOS15", "ios18", "macOS15"):
        refused = run("palettize", model, "-o", tmp_path / "none", "--target", wrong)
        assert refused.exit_code == 2 and "needs one of iOS16" in refused.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(shell: str) -> None:
    script = run("completion", shell)
    assert script.exit_code == 0 and "_MILPASS_COMPLETE" in script.stdout


def test_completion_completes() -> None:
    environment = {
        **os.environ,
        "_MILPASS_COMPLETE": "bash_complete",
        "COMP_WORDS": "milpass pa",
        "COMP_CWORD": "1",
    }
    command = [str(Path(sys.executable).with_name("milpass"))]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert {line.split(",")[1] for line in done.stdout.split()} == {"palettize", "passes"}


def test_decompressing_says_so(model: Path, tmp_path: Path) -> None:
    packed, plain = tmp_path / "packed.mlpackage", tmp_path / "plain.mlpackage"
    chosen = "select_weights(threshold=500) | fit_lut(nbits=4) | replace_const_with_lut()"
    assert run("apply", model, "-o", packed, "-p", chosen).exit_code == 0
    done = run("apply", packed, "-o", plain, "-p", "decompress()")
    assert done.exit_code == 0
    assert done.output.splitlines()[-1].endswith("3 of 8 constants decompressed, 170,132 bytes")
