"""Failing examples as files: `python -m tests.fuzz --replay FILE` plays one again."""

from __future__ import annotations

from pathlib import Path

from host_tools import firmware_build
from tests.fuzz.dialogue import Script
from tests.fuzz.model import Rules
from tests.fuzz.sockets import Session

FOLDER = firmware_build.BUILD / "fuzz"
_NAMES = {"Script": Script, "Session": Session, "Rules": Rules}


def save(kind: str, seed: int, example: Script | list[Session]) -> Path:
    """`kind` is "dialogue" or the board whose sockets were used."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{kind}-{seed}.txt"
    path.write_text(f"{kind}\n{example!r}\n")
    return path


def load(path: Path) -> tuple[str, Script | list[Session]]:
    """What `save` was given. The file is Python: our own."""
    kind, _, text = path.read_text().partition("\n")
    return kind, eval(text, dict(_NAMES))
