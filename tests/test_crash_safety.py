"""Whatever ends a run, and whenever: the input is untouched, the destination is one whole package, the old
or the new one, and the next run succeeds and leaves nothing beside it."""

from __future__ import annotations

import gc
import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from milpass import ModelError, Pipeline, UsageError, apply, fit_lut, replace_const_with_lut, select_weights
from milpass.targets.mlpackage.leftovers import Beside
from milpass.targets.mlpackage.lock import Locked, locked
from milpass.targets.mlpackage.moving import exchange
from tests.killing import Ended, Server, serving
from tests.packages import Const, Op, blob_bytes, digest, operations_of, write_package
from tests.strategies import EFFORT

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
WEIGHTS = "Data/com.apple.CoreML/weights/weight.bin"
Contents = dict[str, str]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture
def source(tmp_path: Path) -> Path:
    rng = np.random.default_rng(1)
    steps: list[Const | Op] = []
    for number in range(4):
        array = rng.standard_normal((64, 64)).astype(np.float16)
        steps += [
            Const(f"w{number}", array),
            Op("linear", {"x": "x", "weight": f"w{number}"}, f"y{number}"),
        ]
    return write_package(tmp_path / "in" / "m.mlpackage", steps)


def pipeline(nbits: int) -> Pipeline:
    return Pipeline(select_weights(threshold=16), fit_lut(nbits=nbits), replace_const_with_lut())


def command(source: Path, out: Path, *options: str) -> list[str]:
    named = ["palettize", str(source), "-o", str(out), "--threshold", "16", "--threads", "1"]
    return [*named, *(options or ("--nbits", "4", "--overwrite"))]


def contents(path: Path) -> Contents:
    """The hash of every file of a package."""
    return {name: content for name, (content, _) in digest(path).items()}


class Place:
    """A destination in a folder of its own, the packages that may be there, and the input."""

    def __init__(self, source: Path, folder: Path, *, old: bool) -> None:
        self.source, self.before = source, digest(source)
        self.out = folder / "there" / "out.mlpackage"
        self.out.parent.mkdir()
        self.new = contents(apply(pipeline(4), source, folder / "new.mlpackage")[0])
        self.old: Contents = {}
        if old:
            self.old = contents(apply(pipeline(2), source, self.out)[0])

    def run(self, server: Server, **how: Any) -> Ended:
        return server.run(arguments=command(self.source, self.out), folder=str(self.out.parent), **how)

    def names(self) -> list[str]:
        return sorted(os.listdir(self.out.parent))

    def check(self, ended: Ended, number: int, *, exchange: bool = True) -> None:
        """One whole package, or where folders are not exchanged, one that the next run finds."""
        assert digest(self.source) == self.before and "Traceback" not in ended.stderr, ended
        found = contents(self.out)
        if not exchange and number == signal.SIGKILL and not found and self.old:
            (aside,) = self.out.parent.glob(".out.mlpackage.*.milpass-replaced")
            found = contents(aside)
        assert found in (self.old, self.new), (ended, self.names())
        if ended.code == 0 or f"{self.out} was written" in ended.stderr:
            assert found == self.new
        elif "nothing was written" in ended.stderr:
            assert found == self.old
        if number == signal.SIGKILL:
            assert ended.code in (-number, 0)
        else:  # the signal that Python itself leaves by, where the command has not begun or has ended
            assert ended.code in (128 + number, 0, -number), ended
            assert self.names() == (["out.mlpackage"] if found else []), ended

    def run_again(self) -> None:
        """The next run, with fewer bits, so that it has something to do."""
        apply(pipeline(2), self.source, self.out, overwrite=True, threads=1)
        assert self.names() == ["out.mlpackage"] and digest(self.source) == self.before
        for number in range(4):
            value = operations_of(self.out)[f"w{number}"].attributes["indices"]
            assert len(blob_bytes(self.out, value)) == 64 * 64 * 2 // 8
        if self.old:
            assert contents(self.out) == self.old
        else:
            subprocess.run(["rm", "-r", str(self.out)], check=True)


@pytest.mark.parametrize(("old", "exchanged"), [(True, True), (True, False), (False, True)])
def test_killed_before_each_step(
    server: Server, source: Path, tmp_path: Path, old: bool, exchanged: bool
) -> None:
    place = Place(source, tmp_path, old=old)
    whole = place.run(server, exchange=exchanged)
    assert whole.code == 0 and place.names() == ["out.mlpackage"] and whole.steps > 25, whole
    assert contents(place.out) == place.new
    place.run_again()
    trials = [
        (step, number)
        for step in range(1, whole.steps + 2)
        for number in [signal.SIGKILL, *([], [signal.SIGTERM], [], [signal.SIGINT])[step % 4]]
    ]
    for step, number in random.Random(1).sample(trials, max(int(len(trials) * min(EFFORT, 1)), 8)):
        ended = place.run(server, signal=number, step=step, exchange=exchanged)
        place.check(ended, number, exchange=exchanged)
        place.run_again()


def test_killed_at_random_moments(server: Server, source: Path, tmp_path: Path) -> None:
    place = Place(source, tmp_path, old=True)
    seconds = max(place.run(server).seconds for _ in range(3))
    place.run_again()
    draw = random.Random(2)
    for trial in range(max(int(51 * EFFORT), 6)):
        number = SIGNALS[trial % 3]
        ended = place.run(server, signal=number, after=draw.uniform(0, seconds))
        if ended.code == 70 and ended.steps == 0:
            continue  # the signal came before the command had begun
        place.check(ended, number)
        place.run_again()


def test_no_byte_that_cannot_be_written_loses_a_package(server: Server, source: Path, tmp_path: Path) -> None:
    place = Place(source, tmp_path, old=True)
    largest = max(file.stat().st_size for file in (tmp_path / "new.mlpackage").rglob("*") if file.is_file())
    for limit in range(0, largest, max(int(90 / EFFORT), 1)):
        ended = place.run(server, limit=limit)
        assert ended.code == 2 and "got File too large, needs room and permission" in ended.stderr, limit
        assert contents(place.out) == place.old and place.names() == ["out.mlpackage"]
    assert place.run(server, limit=largest).code == 0
    assert contents(place.out) == place.new


def test_a_folder_that_takes_no_names_loses_nothing(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one on a disk that is mounted read-only, which `access` need not tell."""
    place, opened = Place(source, tmp_path, old=True), os.open

    def refuse(path: Any, *how: Any, **more: Any) -> int:
        if str(path).endswith("milpass-lock"):
            raise PermissionError(13, "Permission denied")
        return opened(path, *how, **more)

    monkeypatch.setattr("os.open", refuse)
    with pytest.raises(UsageError, match="got Permission denied, needs room and permission to write"):
        apply(pipeline(4), source, place.out, overwrite=True)
    assert contents(place.out) == place.old and place.names() == ["out.mlpackage"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=36k", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(mount, check=False, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("no mount command")
    if mounted.returncode:
        pytest.skip(f"a file system cannot be mounted here: {mounted.stderr.strip()}")
    yield folder
    gc.collect()  # files of the packages that were read are mapped
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_loses_nothing(source: Path, small_disk: Path) -> None:
    out, _ = apply(pipeline(2), source, small_disk / "out.mlpackage")
    before, names = digest(out), os.listdir(small_disk)
    with pytest.raises(UsageError, match="No space left on device"):
        apply(pipeline(8), source, out, overwrite=True)
    assert digest(out) == before and os.listdir(small_disk) == names
    apply(pipeline(1), source, out, overwrite=True)
    assert os.listdir(small_disk) == names


@pytest.mark.parametrize("kind", ["longer", "touched", "replaced", "removed", "shorter"])
@pytest.mark.parametrize("name", [WEIGHTS, "Data/com.apple.CoreML/model.mlmodel"])
@pytest.mark.parametrize("moment", [1, 4])
def test_an_input_that_changes_is_refused(
    source: Path, tmp_path: Path, name: str, kind: str, moment: int
) -> None:
    place, file = Place(source, tmp_path, old=True), source / name

    def change(_name: str, number: int, _total: int) -> None:
        if number != moment:
            return
        content = file.read_bytes()
        if kind in ("longer", "shorter"):
            os.truncate(file, len(content) + (1 if kind == "longer" else -1))
        elif kind == "touched":
            os.utime(file, ns=(0, 0))
        else:
            file.unlink()
            if kind == "replaced":
                file.write_bytes(content)

    with pytest.raises(ModelError, match="changed meanwhile") as caught:
        apply(pipeline(4), source, place.out, overwrite=True, threads=1, progress=change)
    assert caught.value.exit_code == 4 and name in str(caught.value)
    assert contents(place.out) == place.old and place.names() == ["out.mlpackage"]


def test_of_two_runs_one_writes(server: Server, source: Path, tmp_path: Path) -> None:
    place, refused = Place(source, tmp_path, old=True), []

    def run_another(_name: str, number: int, _total: int) -> None:
        refused.append(place.run(server))
        with pytest.raises(UsageError, match="another run is writing"):
            apply(pipeline(2), source, place.out, overwrite=True)

    apply(pipeline(4), source, place.out, overwrite=True, progress=run_another)
    assert contents(place.out) == place.new and place.names() == ["out.mlpackage"]
    for ended in refused:
        assert ended.code == 2 and len(ended.stderr.splitlines()) == 1
        assert "another run is writing, needs it for itself. Wait until it has ended" in ended.stderr
    assert len(refused) == 4


def test_the_lock_is_held_by_one_at_a_time(tmp_path: Path) -> None:
    """Many threads take, remove and make anew one file; a name that was removed is no lock."""
    inside, most, taken = 0, 0, 0
    path, end = tmp_path / "lock", time.monotonic() + min(EFFORT, 10) + 0.2
    guard = threading.Lock()

    def work() -> None:
        nonlocal inside, most, taken
        while time.monotonic() < end:
            try:
                with locked(path) as held:
                    with guard:
                        inside, taken = inside + held, taken + 1
                        most = max(most, inside)
                    time.sleep(0)
                    with guard:
                        inside -= held
            except Locked:
                time.sleep(0)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1 and taken > 10 and os.listdir(tmp_path) == []


def test_a_run_without_locks_leaves_what_may_be_in_use(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*_: object) -> None:
        raise OSError(37, "No locks available")

    place = Place(source, tmp_path, old=True)
    other = Beside(place.out).place("00000000", "milpass-partial")
    other.mkdir()
    with monkeypatch.context() as patch:
        patch.setattr("fcntl.flock", none)
        apply(pipeline(4), source, place.out, overwrite=True)
    assert contents(place.out) == place.new and place.names() == [other.name, "out.mlpackage"]
    place.run_again()


def test_what_is_restored_is_not_overwritten_unasked(source: Path, tmp_path: Path) -> None:
    place = Place(source, tmp_path, old=True)
    place.out.rename(Beside(place.out).place("00000000", "milpass-replaced"))
    with pytest.raises(UsageError, match="a destination that exists"):
        apply(pipeline(4), source, place.out)
    assert contents(place.out) == place.old and place.names() == ["out.mlpackage"]


def test_a_destination_that_comes_to_be_meanwhile_stays(source: Path, tmp_path: Path) -> None:
    place = Place(source, tmp_path, old=False)

    def appear(_name: str, number: int, _total: int) -> None:
        if number == 1:
            write_package(place.out, [Op("relu", {"x": "x"}, "y")])

    with pytest.raises(UsageError, match="a destination that exists"):
        apply(pipeline(4), source, place.out, progress=appear)
    assert place.names() == ["out.mlpackage"] and contents(place.out) != place.new


def test_leftovers_of_others_stay(source: Path, tmp_path: Path) -> None:
    """Those of other destinations, whose names begin alike or are as long; and what nobody else calls so."""
    place = Place(source, tmp_path, old=False)
    long = [place.out.with_name("x" * 180 + end) for end in "ab"]
    others = [Beside(other).place("00000000", "milpass-partial") for other in (*long, tmp_path / "out")]
    mine = Beside(place.out).place("0000000g", "milpass-partial")
    for folder in (*others, mine):
        (place.out.parent / folder.name).mkdir()
    apply(pipeline(4), source, place.out)
    assert set(place.names()) == {*(path.name for path in others), mine.name, "out.mlpackage"}
    apply(pipeline(4), source, long[0])
    assert others[0].name not in place.names() and others[1].name in place.names()


def test_two_folders_are_exchanged_or_nothing_happens(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    if not exchange(tmp_path / "a", tmp_path / "b"):
        pytest.skip("the file system cannot exchange folders")
    assert os.listdir(tmp_path / "a") == ["b"] and os.listdir(tmp_path / "b") == ["a"]
    assert not exchange(tmp_path / "a", tmp_path / "none")
    assert sorted(os.listdir(tmp_path)) == ["a", "b"]
