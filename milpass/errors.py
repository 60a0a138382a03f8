"""What milpass raises: one line that says what, who, got, needs and the way out."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from milpass.plan import Plan


# What the command's exit codes mean.
EXIT_CODES: dict[int, str] = {
    0: "done",
    2: "wrong usage, or a destination that cannot be written",
    3: "nothing compressed: nothing chosen, or all skipped; nothing is written",
    4: "the model cannot be read",
    5: "what was written is not what was fitted; nothing is put at the destination",
    130: "interrupted (SIGINT, Ctrl-C); nothing is written, or the message says what was",
    143: "terminated (SIGTERM); as 130",
}


# Characters of a value in an error; a name may be as long as a model file.
LONGEST = 1000


def shortened(text: str, longest: int = LONGEST) -> str:
    """A text, the middle left out of one that is long."""
    part = longest // 4
    return text if len(text) <= longest else f"{text[: longest - part]} ... {text[-part:]}"


def shown(text: str, longest: int = LONGEST) -> str:
    """A text as it may be shown in one line: shortened, control characters as escapes."""
    text = shortened(text, longest)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _one_line(text: str) -> str:
    return " ".join(shown(line) for line in shortened(text).splitlines())


class MilpassError(Exception):
    """Any refusal of milpass, in one line.

    `<what>: <who> cannot <do>: got <value>, needs <values>. <remedy>.`
    """

    exit_code = 2

    def __init__(
        self, what: str, *, who: str, cannot: str, got: str, needs: str, remedy: str | None = None
    ) -> None:
        closing = f" {remedy}." if remedy else ""
        parts = (_one_line(part) for part in (what, who, cannot, got, needs, closing))
        super().__init__("{}: {} cannot {}: got {}, needs {}.{}".format(*parts))


class MilpassWarning(UserWarning):
    """What a conversion goes on without: a pattern that matches nothing, or nothing to compress."""


class UsageError(MilpassError, ValueError):
    """A wrong argument, option, pipeline text or destination; exit code 2."""


class InstallationError(MilpassError, ImportError):
    """Something that milpass needs is not installed; exit code 2."""


class ModelError(MilpassError):
    """A model that cannot be read; exit code 4."""

    exit_code = 4


class VerificationError(MilpassError):
    """A copy that does not hold what was fitted; exit code 5."""

    exit_code = 5


class NothingCompressed(MilpassError):
    """No weight was chosen, or every chosen one was skipped; nothing is written; exit code 3.

    `plan` has a row with the reason for each weight.
    """

    exit_code = 3

    def __init__(self, plan: Plan, what: str) -> None:
        super().__init__(
            what,
            who="the pipeline",
            cannot="compress anything",
            got=f"no weight that it may replace ({plan.reasons or 'the model has none'})",
            needs="at least one",
            remedy="The plan says why for each; nothing was written",
        )
        self.plan = plan
