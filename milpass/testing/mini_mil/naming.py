r"""Names of PyMIL as names of Python: whatever Python cannot spell is escaped, and read back exactly.

A character that no identifier has is written `_x<code>_`: `x.1` is `x_x2e_1`.  So is the first character of a
word that has a meaning of its own (`lambda`, `fp16`) or begins with a digit.
"""

from __future__ import annotations

import keyword
import re

from milpass.testing.mini_mil.literals import DTYPES, NUMBERS

RESERVED = frozenset({*keyword.kwlist, *DTYPES, *NUMBERS})

_UNSPEAKABLE = re.compile(r"[^A-Za-z0-9_]")
_LOOKS_ESCAPED = re.compile(r"_(?=x[0-9a-f]+_)")
_ESCAPED = re.compile(r"_x([0-9a-f]+)_")


def spelled_name(name: str) -> str:
    """The identifier that stands for a name."""
    spelled = _UNSPEAKABLE.sub(_escape, _LOOKS_ESCAPED.sub(_escape, name))
    if spelled in RESERVED or spelled[:1].isdigit():
        return _escape(spelled[0]) + spelled[1:]
    return spelled


def meant_name(spelled: str) -> str:
    """The name that an identifier stands for."""
    return _ESCAPED.sub(_meant, spelled)


def _escape(character: str | re.Match[str]) -> str:
    return f"_x{ord(character if isinstance(character, str) else character[0]):x}_"


def _meant(escaped: re.Match[str]) -> str:
    code = int(escaped[1], 16)
    return chr(code) if code < 0x110000 else escaped[0]
