"""Real packages damaged at random: milpass refuses them in one line, or what it writes is sound.

`python -m tests.fuzzing --minutes 10` is the same for longer.
"""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from tests.fuzzing.cases import Case
from tests.fuzzing.commands import check, commands, spawned, within
from tests.fuzzing.hostile_list import HOSTILE
from tests.fuzzing.networks import in_file, networks
from tests.fuzzing.running import limited, run
from tests.fuzzing.samples import DIGITS, samples
from tests.strategies import EFFORT

SECONDS = 8 * min(EFFORT, 10)
SHARE = 1 if EFFORT >= 1 else 8


def test_only_refusals_escape_and_what_is_written_decodes() -> None:
    report = run(str(random.randrange(10**9)), SECONDS)  # the report has the seed
    assert not report.failures, str(report)


def test_a_case_is_the_same_each_time(tmp_path: Path) -> None:
    cases = [f"again:{number}" for number in range(6)]
    outcomes = [[Case(case).outcome(tmp_path) for case in cases] for _ in range(2)]
    assert outcomes[0] == outcomes[1]


def test_sound_packages_are_no_failures_and_are_worked_on(tmp_path: Path) -> None:
    for number, sample in enumerate(samples()):
        folder = tmp_path / str(number)
        folder.mkdir()
        sample.write(folder / "net.mlpackage")
        codes = {within(command, folder)[0] for command in commands(folder)[number % 2 :: 2]}
        assert codes <= {0, 3} and 0 in codes, sample.name


def test_sound_networks_are_no_failures_and_are_worked_on(tmp_path: Path) -> None:
    for number, sample in enumerate(networks()):
        folder = tmp_path / str(number)
        folder.mkdir()
        (in_file(sample) if number % 2 else sample).write(folder / "net.mlpackage")
        *asked, _ = commands(folder)  # the last raises programs
        codes = {within(command, folder)[0] for command in asked[number % 2 :: 2]}
        assert codes <= {0, 3} and 0 in codes, sample.name


@pytest.mark.parametrize("name", list(HOSTILE)[::SHARE])
def test_hostile_packages_end_in_one_line(name: str, tmp_path: Path) -> None:
    change, codes = HOSTILE[name]
    change(shutil.copytree(DIGITS, tmp_path / "net.mlpackage"))
    chosen = commands(tmp_path)
    number = list(HOSTILE).index(name)
    for command in (chosen[0], chosen[1 + number % (len(chosen) - 1)]):
        with limited():
            check(command, within(command, tmp_path), codes)


# What only a process of its own shows: its memory as a whole, what the interpreter prints, that it ends.
ALONE = (
    "a small constant that is large",
    "weight.bin: a terabyte",
    "model.mlmodel: a terabyte",
    "weight.bin: a pipe",
    "name: with control characters",
    "nested: a chain of five thousand",
    "not finite",
    "operations twice",
)


@pytest.mark.parametrize("name", ALONE[::SHARE])
def test_hostile_packages_in_a_process_of_little_memory(name: str, tmp_path: Path) -> None:
    change, codes = HOSTILE[name]
    change(shutil.copytree(DIGITS, tmp_path / "net.mlpackage"))
    chosen = commands(tmp_path)
    number = ALONE.index(name)
    for command in (chosen[0], chosen[2 + number % (len(chosen) - 2)]) if EFFORT >= 1 else chosen[:1]:
        check(command, spawned(command, tmp_path), codes)


def test_damaged_packages_in_a_process_of_little_memory(tmp_path: Path) -> None:
    seed = random.randrange(10**9)
    for number in range(max(int(4 * min(EFFORT, 10)), 1)):
        folder = tmp_path / str(number)
        folder.mkdir()
        case = Case(f"{seed}:{number}")
        case.package(folder / "net.mlpackage")
        command = random.Random(seed + number).choice(commands(folder))
        try:
            check(command, spawned(command, folder), frozenset({0, 2, 3, 4}))
        except AssertionError as error:
            raise AssertionError(f"{case}, {command}: {error}") from error
