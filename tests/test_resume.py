"""What fits find is kept, in a cache or beside a destination, and a later run goes on from it."""

from __future__ import annotations

import logging
import os
import random
import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from milpass import NothingCompressed, Pipeline, UsageError, apply, parse
from milpass.cli import main
from milpass.targets.mlpackage.leftovers import Beside
from tests.killing import Server, serving
from tests.packages import Const, Op, digest, write_package
from tests.strategies import EFFORT

NUMBER = 5
COMMON = ("--threshold", "16", "--threads", "1")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return written(tmp_path / "in" / "m.mlpackage", range(NUMBER))


def written(path: Path, seeds: Any) -> Path:
    steps: list[Const | Op] = []
    for number, seed in enumerate(seeds):
        array = np.random.default_rng(seed).standard_normal((64, 64)).astype(np.float16)
        linear = Op("linear", {"x": "x", "weight": f"w{number}"}, f"y{number}")
        steps += [Const(f"w{number}", array), linear]
    return write_package(path, steps)


def pipeline(nbits: int = 4, where: str = "is_weight") -> Pipeline:
    return parse(f"select_weights(16, where={where}) | fit_lut(nbits={nbits}) | replace_const_with_lut()")


def contents(path: Path) -> dict[str, str]:
    return {name: content for name, (content, _) in digest(path).items()}


class Log:
    """How many fits were searched for, and how many found before, since it was asked last."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG, "milpass")
        self._caplog = caplog

    def counts(self) -> tuple[int, int]:
        said = [record.message for record in self._caplog.records]
        self._caplog.clear()
        return tuple(sum(m.endswith(end) for m in said) for end in (": searched for", ": found before"))  # type: ignore[return-value]


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Log:
    return Log(caplog)


def kept(out: Path) -> list[str]:
    folder = Beside(out).fits
    return [name for name in os.listdir(folder) if name.endswith("-fit")] if folder.exists() else []


def test_a_killed_run_is_resumed(server: Server, source: Path, tmp_path: Path, log: Log) -> None:
    out = tmp_path / "there" / "out.mlpackage"
    out.parent.mkdir()
    plain, plan = apply(pipeline(), source, tmp_path / "plain.mlpackage")
    command = ["palettize", str(source), "-o", str(out), *COMMON, "--nbits", "4", "--resume"]
    whole = server.run(arguments=command, folder=str(out.parent))
    assert whole.code == 0 and contents(out) == contents(plain) and os.listdir(out.parent) == [out.name]
    steps = random.Random(1).sample(range(1, whole.steps + 1), max(int(30 * min(EFFORT, 1)), 8))
    seen = set()
    log.counts()
    for step in steps:
        shutil.rmtree(out, ignore_errors=True)
        ended = server.run(arguments=command, folder=str(out.parent), step=step, signal=signal.SIGKILL)
        if ended.code == 0:  # its threads took another turn, and fewer steps
            assert step > whole.steps - 10, ended
            continue
        assert ended.code == -signal.SIGKILL, ended
        finished = len(kept(out))
        seen.add(finished)
        _, again = apply(pipeline(), source, out, resume=True, overwrite=True)
        assert log.counts() == (NUMBER - finished, finished)
        assert contents(out) == contents(plain) and os.listdir(out.parent) == [out.name]
        assert again.detached() == plan.detached(), "errors, optimum and ways among them"
    assert len(seen) > 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_says_that_it_can_go_on(
    server: Server, source: Path, tmp_path: Path, number: int
) -> None:
    command = ["palettize", str(source), "-o", str(tmp_path / "out"), *COMMON, "--resume"]
    steps = server.run(arguments=command, folder=str(tmp_path)).steps
    shutil.rmtree(tmp_path / "out")
    ended = server.run(arguments=command, folder=str(tmp_path), step=steps // 2, signal=number)
    assert ended.code == 128 + number and "nothing was written; with --resume it goes on" in ended.stderr
    names = os.listdir(tmp_path)
    assert kept(tmp_path / "out") and not [name for name in names if "partial" in name or "lock" in name]
    server.run(arguments=command[:-1], folder=str(tmp_path))
    assert sorted(os.listdir(tmp_path)) == ["in", "out"], "a run without --resume removes it"


def test_an_error_leaves_what_can_be_resumed(source: Path, tmp_path: Path, log: Log) -> None:
    out = tmp_path / "out.mlpackage"

    def fail(_name: str, number: int, _total: int) -> None:
        if number == 3:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        apply(pipeline(), source, out, resume=True, progress=fail, threads=1)
    finished = len(kept(out))
    assert log.counts() == (finished, 0) and finished >= 3
    apply(pipeline(2), source, out, resume=True)
    assert log.counts() == (NUMBER, 0), "another fit is another"
    assert not kept(out)


def test_nothing_is_left_where_nothing_can_be_resumed(tmp_path: Path) -> None:
    array = np.full((64, 64), np.nan, np.float16)
    linear = Op("linear", {"x": "x", "weight": "w"}, "y")
    source = write_package(tmp_path / "in" / "m.mlpackage", [Const("w", array), linear])
    Beside(tmp_path / "out").fits.mkdir()
    with pytest.raises(NothingCompressed, match="its values forbid it"):
        apply(pipeline(), source, tmp_path / "out", resume=True)
    assert os.listdir(tmp_path) == ["in"]


def test_a_full_disk_ends_a_run_that_is_to_be_resumed(server: Server, source: Path, tmp_path: Path) -> None:
    """Whoever asks for it wants to know that it does not do what it says."""
    command = ["palettize", str(source), "-o", str(tmp_path / "out"), *COMMON, "--resume"]
    ended = server.run(arguments=command, folder=str(tmp_path), limit=100)
    assert ended.code == 2 and "got File too large" in ended.stderr, ended
    assert not (tmp_path / "out").exists() and not kept(tmp_path / "out")


@pytest.mark.parametrize("make", [Path.touch, os.mkfifo, lambda path: path.symlink_to(path.name)])
def test_what_is_no_folder_of_fits_is_named_and_left(source: Path, tmp_path: Path, make: Any) -> None:
    out = tmp_path / "out.mlpackage"
    place = out.with_name(f".{out.name}.milpass-fits")
    make(place)
    with pytest.raises(UsageError, match=rf"{place.name}: milpass cannot write the model: got File exists"):
        apply(pipeline(), source, out, resume=True)
    apply(pipeline(), source, out)
    assert os.path.lexists(place) and out.is_dir()


def test_a_second_run_fits_only_what_changed(source: Path, tmp_path: Path, log: Log) -> None:
    cache = tmp_path / "a" / "cache"
    first, plan = apply(pipeline(), source, tmp_path / "1", cache=cache)
    assert log.counts() == (NUMBER, 0)
    again, same = apply(pipeline(), source, tmp_path / "2", cache=cache)
    assert log.counts() == (0, NUMBER)
    assert contents(first) == contents(again) and plan.detached() == same.detached()
    both = "select_weights(16) | fit_lut(nbits=4) | select_weights(16, where=name('w1')) | fit_lut(nbits=2)"
    mixed, _ = apply(parse(f"{both} | replace_const_with_lut()"), source, tmp_path / "3", cache=cache)
    assert log.counts() == (1, NUMBER - 1)
    plain, _ = apply(parse(f"{both} | replace_const_with_lut()"), source, tmp_path / "4")
    assert contents(mixed) == contents(plain)
    changed = written(tmp_path / "in" / "changed.mlpackage", [0, 1, 9, 3, 4])
    apply(pipeline(), changed, tmp_path / "5", cache=cache)
    assert log.counts() == (1, NUMBER - 1)
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".")]


@pytest.mark.parametrize(
    ("text", "searched"),
    [
        ("fit_affine(nbits=8) | replace_const_with_affine()", 0),
        ("fit_affine(nbits=8, range='mse') | replace_const_with_affine()", NUMBER),
        ("prune_weights(sparsity=0.5) | replace_const_with_sparse()", 0),
        ("fit_lut(mode='uniform', nbits=4) | replace_const_with_lut()", 0),
        ("fit_lut(nbits=4, granularity=PerChannel()) | replace_const_with_lut()", NUMBER),
        ("fit_lut(nbits=4, cluster_dim=2) | replace_const_with_lut()", NUMBER),
        (
            "prune_weights(sparsity=0.5) | fit_lut(nbits=4, inside='sparse') | replace_const_with_sparse()",
            NUMBER,
        ),
    ],
)
def test_what_is_searched_for_is_kept(
    source: Path, tmp_path: Path, log: Log, text: str, searched: int
) -> None:
    step = parse(f"select_weights(16) | {text}")
    options = {"target": "iOS18", "cache": tmp_path / "cache"}
    plain, plan = apply(step, source, tmp_path / "plain", target="iOS18")
    log.counts()
    for expected in ((searched, 0), (0, searched)):
        again, same = apply(step, source, tmp_path / "again", overwrite=True, **options)  # type: ignore[arg-type]
        assert log.counts() == expected
        assert contents(again) == contents(plain) and same.detached() == plan.detached()


def test_a_damaged_entry_is_ignored(source: Path, tmp_path: Path, log: Log) -> None:
    plain, _ = apply(pipeline(), source, tmp_path / "1", cache=tmp_path / "cache")
    log.counts()
    entries = sorted((tmp_path / "cache").iterdir())
    content = entries[0].read_bytes()
    entries[0].write_bytes(content[:-1])
    entries[1].write_bytes(content)
    entries[2].write_bytes(b"")
    again, _ = apply(pipeline(), source, tmp_path / "2", cache=tmp_path / "cache")
    assert log.counts() == (3, NUMBER - 3) and contents(again) == contents(plain)
    apply(pipeline(), source, tmp_path / "3", cache=tmp_path / "cache")
    assert log.counts() == (0, NUMBER), "it was written anew"


def test_a_cache_that_fills_the_disk_ends_no_run(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    replace = Path.replace

    def full(path: Path, target: Any) -> Path:
        if str(target).endswith("milpass-fit"):
            raise OSError(28, "No space left on device")
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", full)
    apply(pipeline(), source, tmp_path / "out", cache=tmp_path / "cache")
    assert "could not be kept: No space left on device" in caplog.text
    assert not os.listdir(tmp_path / "cache")


@pytest.mark.parametrize("kind", ["file", "below a file", "nowhere", "input", "zero byte", "circle"])
def test_a_cache_that_cannot_be_used_is_refused(source: Path, tmp_path: Path, kind: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "circle").symlink_to("circle")
    before = digest(source)
    place = {
        "file": tmp_path / "file",
        "below a file": tmp_path / "file" / "x",
        "nowhere": Path("/proc/x"),
        "input": source / "Data" / "new",
        "circle": tmp_path / "circle",
    }
    with pytest.raises(UsageError, match="milpass cannot keep fits in it"):
        apply(pipeline(), source, tmp_path / "out", cache=place.get(kind, "a\0b"))
    assert not (tmp_path / "out").exists() and digest(source) == before
    assert not (source / "Data" / "new").exists()


def test_the_command_has_both(source: Path, tmp_path: Path, log: Log) -> None:
    cache = ["--cache", str(tmp_path / "cache")]
    for command in (["palettize", "--nbits", "4"], ["apply", "-p", repr(pipeline())]):
        out = ["-o", str(tmp_path / command[0]), *cache, "--resume"]
        more = ["--threshold", "16"] if command[0] == "palettize" else []
        done = CliRunner().invoke(main, [*command, str(source), *out, *more])
        assert done.exit_code == 0, done.output
    assert log.counts() == (NUMBER, NUMBER)
    refused = CliRunner().invoke(
        main, ["palettize", str(source), "-o", str(tmp_path / "o"), "--cache", str(source / "Manifest.json")]
    )
    (line,) = refused.stderr.splitlines()
    assert refused.exit_code == 2 and re.search(r"cannot keep fits in it: got .*, needs a folder", line)
    dry = CliRunner().invoke(main, ["palettize", str(source), "--dry-run", "--cache", str(tmp_path / "none")])
    assert dry.exit_code == 0 and not (tmp_path / "none").exists()
