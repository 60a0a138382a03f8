"""The known exceptions: the table in docs/compat.md, which is their only list."""

from __future__ import annotations

from .running import ROOT

PAGE = ROOT / "docs" / "compat.md"
HEADING = "## Tests of coremltools that differ"


def known_exceptions(text: str | None = None) -> dict[str, str]:
    """Glob -> reason, of the page or of the text given instead."""
    lines = (PAGE.read_text() if text is None else text).splitlines()
    section: list[str] = []
    for line in lines[lines.index(HEADING) + 1 :]:
        if line.startswith("#"):
            break
        section.append(line)
    rows = [[cell.strip() for cell in line.split("|")] for line in section if line.startswith("|")]
    return {row[1].strip("`"): row[2] for row in rows[2:]}
