"""The command: what it prints, what it writes, its exit codes, and that it leaves nothing behind."""

from __future__ import annotations

import os
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from milpass import Pipeline, apply, fit_lut, replace_const_with_lut, select_weights
from milpass.cli import main

DIGITS = Path(__file__).parents[1] / "examples" / "digits.mlpackage"
MODEL = "Data/com.apple.CoreML/model.mlmodel"
WEIGHTS = "Data/com.apple.CoreML/weights/weight.bin"
CONV2, HIDDEN = 832 + 64, 37952 + 64  # where their values start in the weight file

# name, operation, shape, elements, where the values start in the weight file (None: not needed here)
CONSTANTS = [
    ("conv1_weight_to_fp16", "conv", "32x1x3x3", 288, 64 + 64),
    ("conv1_bias_to_fp16", "conv", "32", 32, None),
    ("conv2_weight_to_fp16", "conv", "64x32x3x3", 18_432, CONV2),
    ("conv2_bias_to_fp16", "conv", "64", 64, None),
    ("hidden_weight_to_fp16", "linear", "64x1024", 65_536, HIDDEN),
    ("hidden_bias_to_fp16", "linear", "64", 64, None),
    ("output_weight_to_fp16", "linear", "10x64", 640, 169280 + 64),
    ("output_bias_to_fp16", "linear", "10", 10, None),
]
BEFORE = 2 * sum(constant[3] for constant in CONSTANTS)
AFTER = BEFORE - 2 * (18_432 + 65_536) + (18_432 + 65_536) // 2 + 2 * 16 * 2  # 4 bits, 16 entries of fp16


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return shutil.copytree(DIGITS, tmp_path / "net.mlpackage")


def tree(folder: Path) -> dict[Path, tuple[int, str]]:
    """Everything in a folder, with times and contents."""
    contents = {
        path: "" if path.is_dir() else sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*")
    }
    return {path: (path.lstat().st_mtime_ns, digest) for path, digest in contents.items()}


def run(model: Path, command: str, *options: object, writes: Path | None = None) -> Result:
    """Run a command in-process; nothing beside the model changes or is left, but below `writes`."""
    before = tree(model.parent)
    result = CliRunner().invoke(main, [command, str(model), *map(str, options)])
    changed = {path for path, _ in before.items() ^ tree(model.parent).items()}
    assert all(writes and path.is_relative_to(writes) for path in changed), changed
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def refused(result: Result, code: int, *said: str) -> None:
    """One line for people, and the code; code 3 is preceded by the reasons."""
    lines = result.stderr.splitlines()
    assert result.exit_code == code, result.stderr
    assert lines[-1].startswith("milpass: ") and lines[-1].endswith(".")
    assert (code == 3 or len(lines) == 1) and result.stdout == ""
    assert all(part in result.stderr for part in said), result.stderr


def test_palettize_writes_and_tells_the_bytes(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "small.mlpackage"
    result = run(model, "palettize", "-o", out, writes=out)
    assert result.exit_code == 0 and result.stderr == ""
    assert f"2 of 8 constants compressed, {BEFORE:,} -> {AFTER:,} bytes" in result.stdout.splitlines()[-1]
    assert str(out) in result.stdout.splitlines()[-1]
    written = {str(path.relative_to(out)) for path in out.rglob("*")}
    assert written == {str(path.relative_to(model)) for path in model.rglob("*")}
    stored, original = (out / WEIGHTS).read_bytes(), (model / WEIGHTS).read_bytes()
    assert AFTER < len(stored) < AFTER + 64 * 2 * 20
    assert original[128:][:576] in stored and original[CONV2:][:64] not in stored


def test_rows_of_the_chosen_or_of_all(model: Path) -> None:
    chosen = run(model, "palettize", "--dry-run").stdout
    names = [line.split()[0] for line in chosen.splitlines() if "lut kmeans 4 bits" in line]
    assert names == ["conv2_weight_to_fp16", "hidden_weight_to_fp16"]
    assert "6 left as they are: not more elements than the threshold" in chosen
    everything = run(model, "palettize", "--dry-run", "--all").stdout.splitlines()[2:-1]
    assert [line.split()[0] for line in everything] == [constant[0] for constant in CONSTANTS]


def test_dry_run_predicts_what_is_written(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "small.mlpackage"
    for options in ([], ["--mode", "uniform", "--nbits", 6, "--threshold", 100]):
        predicted = run(model, "palettize", "--dry-run", "-o", out, *options)
        done = run(model, "palettize", "-o", out, "--overwrite", *options, writes=out)
        assert predicted.exit_code == done.exit_code == 0
        assert predicted.stdout.splitlines()[-1].split(":")[-1] == done.stdout.splitlines()[-1].split(":")[-1]


@pytest.mark.parametrize("dry", [["--dry-run"], []])
def test_nothing_chosen_exits_3_with_grouped_reasons(model: Path, tmp_path: Path, dry: list[str]) -> None:
    small, bits = "not more elements than the threshold", "iOS16 has no lut of 3 bits: 1, 2, 4, 6, 8"
    options = ["-o", tmp_path / "out", *dry]
    refused(run(model, "palettize", *options, "--threshold", 10**7), 3, f"8 left as they are: {small}")
    threes = run(model, "palettize", *options, "--nbits", 3)
    refused(threes, 3, f"6 left as they are: {small}", "conv2_weight_to_fp16", "hidden_weight_to_fp16", bits)


def test_an_existing_package_is_replaced_when_told_to(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "small.mlpackage"
    run(model, "palettize", "-o", out, writes=out)
    first = (out / WEIGHTS).read_bytes()
    refused(run(model, "palettize", "-o", out, "--nbits", 2), 2, str(out), "exists")
    result = run(model, "palettize", "-o", out, "--nbits", 2, "--overwrite", writes=out)
    assert result.exit_code == 0 and len((out / WEIGHTS).read_bytes()) < len(first)
    refused(run(model, "palettize", "-o", out, "--threshold", 10**7, "--overwrite"), 3)


PLACES = ("file/out", "nowhere/out", "file", "net.mlpackage", "net.mlpackage/out", "x" * 300)


@pytest.mark.parametrize("place", PLACES)
def test_destinations_that_cannot_be_written_exit_2(model: Path, tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("not a package")
    refused(run(model, "palettize", "-o", tmp_path / place, "--overwrite"), 2, place)


def test_the_longest_name_that_the_system_allows(model: Path, tmp_path: Path) -> None:
    out = tmp_path / ("x" * os.pathconf(tmp_path, "PC_NAME_MAX"))
    assert run(model, "palettize", "-o", out, writes=out).exit_code == 0


def cut(file: str, size: int) -> Callable[[Path], object]:
    return lambda package: os.truncate(package / file, size)


def as_model(content: str) -> Callable[[Path], object]:
    """The bytes of a Core ML model: specificationVersion, then one field of a kind of model."""
    return lambda package: (package / MODEL).write_bytes(bytes.fromhex(content))


DAMAGES: dict[str, Callable[[Path], object]] = {
    "no such file or folder": shutil.rmtree,
    "no file Data/com.apple.CoreML/model.mlmodel": lambda package: (package / MODEL).unlink(),
    "no file Data/com.apple.CoreML/weights/weight.bin": lambda package: (package / WEIGHTS).unlink(),
    "a folder without Manifest.json": lambda package: (package / "Manifest.json").unlink(),
    "a damaged Manifest.json": cut("Manifest.json", 100),
    "an empty model": cut(MODEL, 0),
    "1,000 bytes": cut(MODEL, 1000),
    "0 bytes": cut(WEIGHTS, 0),
    "50000 bytes": cut(WEIGHTS, 50_000),
    "a treeEnsembleClassifier": as_model("0804 9219 00"),
    "a pipeline": as_model("0804 d20c 00"),
    "4 bytes": as_model("ffffffff"),
}


@pytest.mark.parametrize("command", ["palettize", "inspect"])
@pytest.mark.parametrize("said", DAMAGES)
def test_models_that_cannot_be_read_exit_4(model: Path, command: str, said: str) -> None:
    DAMAGES[said](model)
    options = ["-o", model.parent / "out"] if command == "palettize" else []
    refused(run(model, command, *options), 4, str(model), said)


def test_an_empty_file_is_no_model(tmp_path: Path) -> None:
    file = tmp_path / "net.mlmodel"
    file.touch()
    refused(run(file, "palettize", "-o", tmp_path / "out"), 4, "an empty model")


def test_a_line_break_in_a_name_makes_no_second_line(tmp_path: Path) -> None:
    refused(run(tmp_path / "no\nsuch.mlpackage", "inspect"), 4)


def poison(model: Path, *places: int) -> None:
    with open(model / WEIGHTS, "r+b") as file:
        for place in places:
            file.seek(place)
            file.write(struct.pack("<e", float("nan")))


def test_a_weight_with_nan_is_left_and_told(model: Path, tmp_path: Path) -> None:
    poison(model, CONV2 + 2 * 9, CONV2 + 2 * 11)  # in a row of 64x32x3x3: element 9 is [0, 1, 0, 0]
    out = tmp_path / "small.mlpackage"
    result = run(model, "palettize", "-o", out, "--all", writes=out)
    (row,) = [line for line in result.stdout.splitlines() if line.startswith("conv2_weight")]
    assert result.exit_code == 0 and "2 of 18432 elements are not finite" in row and "[0, 1, 0, 0]" in row
    assert (model / WEIGHTS).read_bytes()[CONV2:][: 2 * 18_432] in (out / WEIGHTS).read_bytes()


def test_nan_in_every_chosen_weight_exits_3(model: Path, tmp_path: Path) -> None:
    poison(model, CONV2, HIDDEN)
    refused(
        run(model, "palettize", "-o", tmp_path / "out"),
        3,
        "18432 elements are not finite, the first at [0, 0, 0, 0]",
        "65536 elements are not finite",
    )


def test_inspect_lists_what_the_file_holds(model: Path) -> None:
    lines = run(model, "inspect").stdout.splitlines()
    held = (model / WEIGHTS).read_bytes()
    assert lines[0].split()[:7] == ["weight", "op", "shape", "dtype", "bytes", "distinct", "share"]
    assert len(lines) == 2 + len(CONSTANTS) + 1 and f"{BEFORE:,} bytes" in lines[-1]
    for line, (name, op, shape, size, start) in zip(lines[2:], CONSTANTS, strict=False):
        cells = line.split()
        assert cells[:5] == [name, op, shape, "fp16", f"{2 * size:,}"]
        assert cells[6] == f"{200 * size / BEFORE:.1f}%"
        if start:
            assert cells[5] == f"{len(np.unique(np.frombuffer(held, np.uint16, size, start))):,}"


PALETTIZE = "MODEL -o --output --mode --nbits --threshold --overwrite --dry-run --all kmeans uniform"


@pytest.mark.parametrize(
    "named", ["palettize inspect --version --help", f"palettize {PALETTIZE} --help", "inspect MODEL --help"]
)
def test_help_names_every_option(named: str) -> None:
    command = [] if "--version" in named else [named.split(maxsplit=1)[0]]
    result = CliRunner().invoke(main, [*command, "--help"])
    assert result.exit_code == 0 and all(word in result.stdout for word in named.split())


@pytest.mark.parametrize(
    ("option", "value", "got"), [("nbits", 9, "9"), ("mode", "median", "'median'"), ("threshold", -1, "-1")]
)
def test_wrong_values_exit_2(model: Path, tmp_path: Path, option: str, value: object, got: str) -> None:
    result = run(model, "palettize", "-o", tmp_path / "out", f"--{option}", value)
    refused(result, 2, f"{option} of ", f"got {got}, needs ")


@pytest.mark.parametrize("options", [["--nbits", "four", "-o", "x"], [], ["--bogus"]])
def test_wrong_usage_exits_2(model: Path, options: list[str]) -> None:
    assert run(model, "palettize", *options).exit_code == 2


def spawn(*arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize(("options", "code"), [([], 0), (["-o", "/"], 2), (["--nbits", "3"], 3)])
def test_exit_codes_of_the_process(model: Path, tmp_path: Path, options: list[str], code: int) -> None:
    process = spawn("-m", "milpass", "palettize", model, "-o", tmp_path / "out", *options)
    stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == code and "Traceback" not in stdout + stderr
    assert (stderr == "") is (code == 0) and (code == 0 or stderr.splitlines()[-1].startswith("milpass: "))


SLOW = """
import time, milpass.fitting.finding
class Slow:
    def fit(self, array, options, terms):
        print("fitting\\n", end="", flush=True)  # in one piece: there are several threads
        time.sleep(60)
milpass.fitting.finding.mode_of = lambda encoding, mode: Slow()
from milpass.cli import main
main(prog_name="milpass")
"""


@pytest.mark.parametrize(("number", "said"), [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "terminated")])
def test_a_signal_ends_the_run_and_leaves_nothing(
    model: Path, tmp_path: Path, number: signal.Signals, said: str
) -> None:
    before = tree(tmp_path)
    process = spawn("-c", SLOW, "palettize", model, "-o", tmp_path / "out")
    assert process.stdout and process.stdout.readline() == "fitting\n"
    time.sleep(0.2)
    assert list(tmp_path.glob(".out.*.milpass-partial")), "the copy has been begun"
    sent = time.monotonic()
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=30)
    assert time.monotonic() - sent < 5
    assert (process.returncode, stderr) == (128 + number, f"milpass: {said}, nothing was written\n")
    assert set(stdout.splitlines()) <= {"fitting"}
    assert tree(tmp_path) == before


def test_an_interrupt_while_the_command_is_loaded() -> None:
    code = (
        "import sys, signal\n"
        "class Finder:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'milpass.cli.palettize':\n"
        "            signal.raise_signal(signal.SIGINT)\n"
        "sys.meta_path.insert(0, Finder())\n"
        "from milpass.__main__ import main\n"
        "main()\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (130, "")
    assert ended.stderr == "milpass: interrupted, nothing was written\n"


def test_an_interrupt_keeps_the_package_that_was_to_be_replaced(model: Path, tmp_path: Path) -> None:
    out = shutil.copytree(DIGITS, tmp_path / "out.mlpackage")
    before, seen = tree(tmp_path), []

    def interrupt(name: str, number: int, total: int) -> None:
        seen.append((name, number, total))
        if number == 2:
            raise KeyboardInterrupt

    pipeline = Pipeline(select_weights(), fit_lut(nbits=4), replace_const_with_lut())
    with pytest.raises(KeyboardInterrupt):
        apply(pipeline, model, out, overwrite=True, progress=interrupt)
    assert seen == [("conv2_weight_to_fp16", 1, 2), ("hidden_weight_to_fp16", 2, 2)]
    assert tree(tmp_path) == before
