"""Fits in two steps: the second makes of what the first found the same to the byte, and of nothing else."""

from __future__ import annotations

import os
import pickle
import random
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from hashlib import blake2b
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from milpass.composition import Composition
from milpass.findings.chains import Chain, is_divided
from milpass.findings.folder import BLOCK, Folder
from milpass.findings.keys import key_of
from milpass.findings.octets import MAGIC, Damaged, from_octets, to_octets
from milpass.fitting.finding import Finding
from milpass.fitting.fitted import Quality
from milpass.granularity import Granularity, PerBlock, PerChannel, PerGroupedChannel, PerTensor
from milpass.links import Found
from milpass.passes import fit_affine, fit_cast, fit_lut, prune_weights
from milpass.weight import Key, Reader, Source, Weight
from tests.strategies import quick

LEGAL = {"lut": (1, 2, 3, 4, 6, 8), "affine": (4, 8), "sparse": (), "cast": ()}
SHAPE = (8, 12)
KEY = bytes(range(32))


def costs(weight: Weight) -> Any:
    return np.arange(96.0).reshape(weight.shape) % 5


def twice(weight: Weight) -> Any:
    return 2 * costs(weight)


GROUPS = st.sampled_from([PerTensor(), PerChannel(), PerChannel(axis=1), PerGroupedChannel(2), PerBlock(4)])
TABLES: dict[str, Any] = {"nbits": st.integers(1, 4), "granularity": GROUPS}
NUMBERS: dict[str, Any] = {
    "range": st.just("mse"),
    "mode": st.sampled_from(["linear", "linear_symmetric"]),
    "nbits": st.sampled_from([4, 8]),
    "granularity": GROUPS,
    "signed": st.booleans(),
}
PRUNED = st.builds(prune_weights, sparsity=st.sampled_from([0.25, 0.9]))
FITS = st.one_of(
    st.builds(fit_lut, **TABLES),
    st.builds(fit_lut, **TABLES, importance=st.sampled_from([costs, twice])),
    st.builds(fit_lut, **TABLES, per_channel_scale=st.just(True)),
    st.builds(fit_lut, nbits=st.integers(1, 4), granularity=st.just(PerTensor()), cluster_dim=st.just(2)),
    st.builds(fit_affine, **NUMBERS),
)
CHAINS = st.one_of(
    st.tuples(FITS),
    st.tuples(PRUNED, st.builds(fit_lut, **TABLES, inside=st.just("sparse"))),
    st.tuples(PRUNED, st.builds(fit_affine, **NUMBERS, inside=st.just("sparse"))),
    st.tuples(
        PRUNED,
        st.builds(fit_lut, **TABLES, inside=st.just("sparse")),
        st.builds(fit_affine, **{**NUMBERS, "granularity": st.just(PerTensor())}, inside=st.just("lut")),
    ),
)


def weight_of(array: Any, axes: tuple[int, int] = (0, 1)) -> Weight:
    readers = (Reader("linear", "op", "weight", "weight", axes=axes),)
    dtype = {"float16": "fp16", "float32": "fp32"}[array.dtype.name]
    return Weight(Key("main", (), "w"), array.shape, dtype, Source("f", 0), readers)


def chain_of(array: Any, fits: Sequence[Any], **more: Any) -> Chain:
    return Chain(Composition(weight_of(array, **more), LEGAL), tuple(fits), array)


def drawn(seed: int, dtype: str = "float16", shape: tuple[int, ...] = SHAPE) -> Any:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


@given(st.integers(0, 1000), st.sampled_from(["float16", "float32"]), CHAINS)
@quick(max_examples=300)
def test_what_was_found_makes_the_same(seed: int, dtype: str, fits: Sequence[Any]) -> None:
    array = drawn(seed, dtype)
    undivided = Composition(weight_of(array), LEGAL).fitted(fits, array)
    fitted, findings = chain_of(array, fits).fitted()
    key = key_of(chain_of(array, fits))
    again = chain_of(array, fits).fitted_again(from_octets(to_octets(key, findings), key))
    assert is_divided(fits) and again is not None
    assert fitted.encoding == again.encoding == undivided.encoding
    assert repr(fitted.quality) == repr(again.quality) == repr(undivided.quality)


def test_what_another_fit_has_found_is_not_used() -> None:
    array = drawn(1)
    fits = [
        fit_lut(nbits=2),
        fit_lut(nbits=4),
        fit_lut(nbits=4, granularity=PerChannel()),
        fit_lut(nbits=4, cluster_dim=2),
        fit_affine(range="mse"),
        fit_affine(range="mse", granularity=PerTensor()),
    ]
    found = [chain_of(array, [fit]).fitted()[1] for fit in fits]
    for number, fit in enumerate(fits):
        for other, findings in enumerate(found):
            again = chain_of(array, [fit]).fitted_again(findings)
            assert (again is not None) is (number == other), (fit, fits[other])
        ((first,),) = (found[number],)
        for wrong in ((), (first, first), (Finding((), first.quality),), (_spoiled(first),)):
            assert chain_of(array, [fit]).fitted_again(wrong) is None
    wide = chain_of(array.astype(np.float32), fits[:1])
    assert wide.fitted_again(found[0]) is None


def _spoiled(finding: Finding) -> Finding:
    """The same with a number that is none."""
    first = finding.parameters[0].copy()
    first.reshape(-1)[-1] = np.nan
    return finding._replace(parameters=(first, *finding.parameters[1:]))


@pytest.mark.parametrize("nbits", [2, 4])
def test_a_large_weight_too(nbits: int) -> None:
    """One that is fitted without being sorted."""
    array = drawn(1, "float32", (512, 300))
    fitted, findings = chain_of(array, [fit_lut(nbits=nbits)]).fitted()
    again = chain_of(array, [fit_lut(nbits=nbits)]).fitted_again(findings)
    assert again is not None and again.encoding == fitted.encoding and again.quality == fitted.quality
    assert sum(a.nbytes for finding in findings for a in finding.parameters) == 4 << nbits


def test_equal_values_and_few_of_them() -> None:
    for array in (np.zeros(SHAPE, np.float16), np.full(SHAPE, -0.0, np.float32), drawn(1).round()):
        for fits in ([fit_lut(nbits=4)], [fit_lut(nbits=4, cluster_dim=4)], [fit_affine(range="mse")]):
            fitted, findings = chain_of(array, fits).fitted()
            again = chain_of(array, fits).fitted_again(findings)
            assert again is not None and again.encoding == fitted.encoding


class Halves(Granularity):
    def groups(self, shape: tuple[int, ...], channels: Any) -> tuple[int, ...]:
        return (2, 1)


@pytest.mark.parametrize(
    ("fits", "divided"),
    [
        ([fit_lut(nbits=4)], True),
        ([fit_lut(nbits=4, importance=costs)], True),
        ([prune_weights(sparsity=0.5), fit_lut(nbits=4, inside="sparse")], True),
        ([fit_affine(range="mse")], True),
        ([fit_affine()], False),
        ([fit_lut(mode="uniform", nbits=4)], False),
        ([fit_lut(mode="unique")], False),
        ([fit_cast()], False),
        ([fit_lut(mode="custom", lut_function="module:name")], False),
        ([fit_lut(mode="custom", lut_function=np.unique), fit_affine(range="mse", inside="lut")], False),
        ([fit_lut(nbits=4, granularity=Halves())], False),
        ([Found("sparse"), fit_lut(nbits=4, inside="sparse")], False),
    ],
)
def test_what_is_worth_it_and_what_is_told_by_its_text(fits: list[Any], divided: bool) -> None:
    assert is_divided(fits) is divided


def test_keys_tell_whatever_decides_apart() -> None:
    array, fits = drawn(1), [fit_lut(nbits=4)]
    one_off = array.copy()
    one_off[-1, -1] = np.nextafter(one_off[-1, -1], np.float16(9))
    narrow = Chain(Composition(weight_of(array), {**LEGAL, "lut": (4,)}), tuple(fits), array)
    keys = [
        key_of(chain)
        for chain in (
            chain_of(array, fits),
            chain_of(one_off, fits),
            chain_of(array.reshape(12, 8), fits),
            chain_of(array.view(np.int16).astype(np.float32), fits),
            chain_of(array, [fit_lut(nbits=3)]),
            chain_of(array, [fit_lut(nbits=4, granularity=PerChannel())]),
            chain_of(array, fits, axes=(1, 0)),
            chain_of(array, [fit_lut(nbits=4, importance=costs)]),
            chain_of(array, [fit_lut(nbits=4, importance=twice)]),
            narrow,
        )
    ]
    assert len(set(keys)) == len(keys)
    assert keys[0] == key_of(chain_of(np.asfortranarray(array), fits))
    same = evolve(fits[0], importance=lambda weight: 1 * costs(weight))
    assert key_of(chain_of(array, [same])) == keys[7], "by its numbers, not by its name"


def test_importance_is_asked_once() -> None:
    asked = []

    def count(weight: Weight) -> Any:
        asked.append(weight.name)
        return costs(weight)

    chain = chain_of(drawn(1), [fit_lut(nbits=4, importance=count)])
    key_of(chain)
    chain.fitted_again(chain.fitted()[1])
    assert asked == ["w"]


FINDINGS = (
    Finding((np.arange(4, dtype=np.float16).reshape(1, 1, 4, 1),), Quality(0.1 + 0.2, 5e-324, 1e300)),
    Finding(
        (np.ones((2, 3)), np.zeros((2,), np.int32), np.empty((0, 2), np.int8)),
        Quality(1.0, 2.0, 3.0, 0.5, 0.25, (("price", 2), ("values", 1))),
    ),
)


def test_bytes_and_back() -> None:
    found = from_octets(to_octets(KEY, FINDINGS), KEY)
    for one, other in zip(found, FINDINGS, strict=True):
        assert repr(one.quality) == repr(other.quality)
        for left, right in zip(one.parameters, other.parameters, strict=True):
            assert (left.dtype, left.shape, left.tobytes()) == (right.dtype, right.shape, right.tobytes())


def test_no_damaged_byte_is_trusted() -> None:
    octets = to_octets(KEY, FINDINGS)
    for at in range(len(octets)):
        changed = bytearray(octets)
        changed[at] ^= 1 << at % 8
        for damaged in (bytes(changed), octets[:at]):
            with pytest.raises(Damaged):
                from_octets(damaged, KEY)
    for other in (b"", octets + b"\0", pickle.dumps(FINDINGS), b"\x93NUMPY" + octets):
        with pytest.raises(Damaged):
            from_octets(other, KEY)
    with pytest.raises(Damaged, match="another fit"):
        from_octets(octets, KEY[::-1])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[",
        "[" * 100_000,
        "7",
        "[7]",
        "{}x",
        '[{"arrays": [], "quality": null}]',
        '[{"arrays": [["<f2", [-1]]]}]',
        '[{"arrays": [["|O", [1]]]}]',
        '[{"arrays": [["<f2", [1000000000000]]]}]',
        '[{"arrays": [["<f2", [0.5]]]}]',
        '[{"arrays": [["<f2", "ab"]]}]',
        '[{"arrays": [["<f2", 5]]}]',
    ],
)
def test_whole_bytes_that_make_no_sense_are_no_findings(text: str) -> None:
    body = KEY + len(text).to_bytes(4, "little") + text.encode()
    with pytest.raises(Damaged):
        from_octets(MAGIC + blake2b(body, digest_size=32).digest() + body, KEY)


def test_a_folder_gives_what_it_was_given(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "f")
    assert folder.get(KEY) is None and not folder.path.exists()
    folder.put(KEY, FINDINGS)
    assert repr(folder.get(KEY)) == repr(FINDINGS) and folder.get(KEY[::-1]) is None
    (name,) = os.listdir(folder.path)
    file = folder.path / name
    assert name == f"{KEY.hex()}.milpass-fit" and file.read_bytes() == to_octets(KEY, FINDINGS)
    os.truncate(file, 40)
    assert folder.get(KEY) is None
    folder.put(KEY, FINDINGS)
    assert folder.get(KEY) is not None


@pytest.mark.parametrize("kind", ["pipe", "link", "folder", "huge"])
def test_what_is_no_file_is_not_read(tmp_path: Path, kind: str) -> None:
    """Reading a pipe would wait for ever, a file of a terabyte take all memory."""
    file = tmp_path / f"{KEY.hex()}.milpass-fit"
    if kind == "pipe":
        os.mkfifo(file)
    elif kind == "link":
        (tmp_path / "there").write_bytes(to_octets(KEY, FINDINGS))
        file.symlink_to("there")
    elif kind == "folder":
        file.mkdir()
    else:
        file.touch()
        os.truncate(file, 1 << 40)
    assert Folder(tmp_path).get(KEY) is None


def keys(count: int, seed: int = 0) -> list[bytes]:
    return [random.Random(f"{seed} {number}").randbytes(32) for number in range(count)]


def files(folder: Path) -> list[str]:
    return [name for name in os.listdir(folder) if name.endswith(".milpass-fit")]


def test_a_full_folder_lets_go_of_what_was_not_used_for_longest(tmp_path: Path) -> None:
    folder, (first, *others) = Folder(tmp_path, 40 * BLOCK), keys(200)
    (tmp_path / "mine.txt").write_text("not ours")
    folder.put(first, FINDINGS)
    for number, key in enumerate(others):
        folder.put(key, FINDINGS)
        assert folder.get(first), number
        assert len(files(tmp_path)) <= 40
    assert len(files(tmp_path)) > 30 and folder.get(others[-1]) and not folder.get(others[0])
    assert (tmp_path / "mine.txt").exists()
    large = (Finding((np.zeros(5 * BLOCK, np.int8),), FINDINGS[0].quality),)
    folder.put(KEY, (large[0], large[0]))
    assert folder.get(KEY) is None, "one that would take too much of it"


def test_what_a_killed_process_left_goes_in_time(tmp_path: Path) -> None:
    old, new = (tmp_path / f"{name}.milpass-unfinished" for name in ("old", "new"))
    old.touch()
    new.touch()
    os.utime(old, (0, 0))
    Folder(tmp_path, 40 * BLOCK).put(KEY, FINDINGS)
    assert not old.exists() and new.exists()


def _use(place: str, seed: int) -> int:
    """One of several processes: some keys are everyone's, some its own."""
    folder, found = Folder(Path(place), 40 * BLOCK), 0
    for key in (*keys(60), *keys(60, seed)) * 3:
        kept = folder.get(key)
        assert kept is None or repr(kept) == repr(FINDINGS)
        found += kept is not None
        folder.put(key, FINDINGS)
    return found


def test_several_processes_use_one_folder(tmp_path: Path) -> None:
    with ProcessPoolExecutor(3, get_context("fork")) as pool:
        assert sum(pool.map(_use, [str(tmp_path)] * 3, range(1, 4))) > 0
    assert len(files(tmp_path)) <= 50 and len(files(tmp_path)) == len(os.listdir(tmp_path))
