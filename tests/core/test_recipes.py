"""Recipe files: what is saved is loaded again; comments and line breaks do not matter; errors are a line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given

from milpass import Pipeline, UsageError, fit_lut, replace_const_with_lut, select_weights
from milpass.selectors import name
from tests.strategies import pipelines, quick

RECIPE = """
# a comment, with (brackets
select_weights(
    threshold=10,  # more than ten
    where=name("a#b") & ~name("it's"),
) |

fit_lut(nbits=4)   # four
replace_const_with_lut()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("recipes")


@quick(max_examples=40)
@given(pipeline=pipelines)
def test_what_is_saved_is_loaded(folder: Path, pipeline: Pipeline) -> None:
    pipeline.save(folder / "drawn.milpass", overwrite=True)
    assert Pipeline.load(folder / "drawn.milpass") == pipeline


def test_comments_blank_lines_brackets_and_bars(tmp_path: Path) -> None:
    (tmp_path / "recipe.milpass").write_text(RECIPE)
    chosen = select_weights(threshold=10, where=name("a#b") & ~name("it's"))
    expected = Pipeline(chosen, fit_lut(nbits=4), replace_const_with_lut())
    assert Pipeline.load(tmp_path / "recipe.milpass") == expected


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xff\xfe\x00", "a text file"),
        (b"fit_lut(nbits=4", "one pass a line"),
        (b'name("""a', "one pass a line"),
        (b"fit_lut(nbits=40)", "from 1 to 8"),
        (b"bogus()", "bogus"),
        (b"x" * 1_000_001, "1,000,000 characters"),
        (b"  fit_lut(nbits=4)\n fit_lut(nbits=4)", "one pass a line"),
    ],
)
def test_files_that_are_none(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "r.milpass").write_bytes(content)
    with pytest.raises(UsageError, match=said) as raised:
        Pipeline.load(tmp_path / "r.milpass")
    assert "\n" not in str(raised.value)


def test_files_that_cannot_be_read_or_written(tmp_path: Path) -> None:
    pipeline = Pipeline(fit_lut(nbits=4))
    for path in (tmp_path / "none.milpass", tmp_path):
        with pytest.raises(UsageError, match="cannot read the recipe"):
            Pipeline.load(path)
    pipeline.save(tmp_path / "r.milpass")
    for path in (tmp_path / "r.milpass", tmp_path, tmp_path / "none" / "r.milpass"):
        with pytest.raises(UsageError, match="cannot write the recipe"):
            pipeline.save(path)
    assert Pipeline.load(tmp_path / "r.milpass") == pipeline
