"""What a check finds: one line each."""

from __future__ import annotations

from typing import NamedTuple

ERROR = "error"  # something is lost or wrong, or will be
NOTE = "note"  # what a power cut leaves behind by design, and the firmware clears up or ignores


class Finding(NamedTuple):
    """`severity` is ERROR or NOTE, `where` a path on the card or a part of it."""

    severity: str
    where: str
    what: str


def printable(text: str) -> str:
    """`text` for a terminal: what came from a card must not move its cursor."""
    return "".join(character if character.isprintable() else "?" for character in text)
