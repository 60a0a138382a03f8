"""Reads the Markdown files: code blocks by language, and Given / Result pairs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("examples/*.md")])


@frozen
class CodeBlock:
    """A fenced block: where it stands, its language, its text."""

    place: str
    language: str
    text: str


@frozen
class Example:
    """A Given / Result pair: the weights, the pipeline's text, what the plan then says."""

    given: tuple[str, ...]
    text: str
    result: tuple[str, ...]


def code_blocks(language: str) -> list[CodeBlock]:
    """Every fenced block of a language, in all documents."""
    return [block for path in DOCUMENTS for block in _fenced(path) if block.language == language]


def _fenced(path: Path) -> Iterator[CodeBlock]:
    for match in re.finditer(r"^```(\w+)\n(.*?)^```$", path.read_text(), re.M | re.S):
        line = path.read_text()[: match.start()].count("\n") + 1
        yield CodeBlock(f"{path.name}:{line}", match[1], match[2])


def examples() -> list[Example]:
    """Every Given / Result pair of passes.md."""
    text = (ROOT / "passes.md").read_text()
    pattern = r"^Given\n\n(.*?)\n\nafter `([^`]*)`, Result\n\n(.*?)\n\n"
    return [
        Example(_lines(given), " ".join(pipeline.split()), _lines(result))
        for given, pipeline, result in re.findall(pattern, text, re.M | re.S)
    ]


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.splitlines())
