"""Installed packages that bring passes, modes and selectors: the entry points `milpass.passes`.

An entry point names a module; loading it runs its code, which registers its words by `@as_pass`, `@lut_mode`
and `@selector`.  The command loads them; in Python one imports the module, or calls `load_plugins`.
"""

from __future__ import annotations

from importlib.metadata import entry_points

from milpass.errors import UsageError

GROUP = "milpass.passes"


def load_plugins() -> tuple[str, ...]:
    """Load every entry point, and give their names; raises `UsageError` where one fails."""
    found = sorted(entry_points(group=GROUP), key=lambda each: each.name)
    for each in found:
        try:
            each.load()
        except Exception as error:
            owner = each.dist.name if each.dist else "an unknown package"
            raise UsageError(
                f"{each.name} of {owner}",
                who="milpass",
                cannot="load the entry point",
                got=f"{type(error).__name__}: {error}",
                needs=f"a module that can be imported as {each.value}",
                remedy=f"Mend or remove {owner}",
            ) from error
    return tuple(each.name for each in found)
