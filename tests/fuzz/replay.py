"""Failing examples as files: `python -m tests.fuzz --replay FILE` plays one again."""

from __future__ import annotations

from pathlib import Path

from host_tools import firmware_build
from tests.fuzz.dialogue import Script
from tests.fuzz.letters import Letter
from tests.fuzz.model import Rules
from tests.fuzz.sockets import Session

FOLDER = firmware_build.BUILD / "fuzz"
_NAMES = {"Letter": Letter, "Script": Script, "Session": Session, "Rules": Rules}


def save(kind: str, seed: int, example: Script | list[Session] | list[Letter]) -> Path:
    """`kind` as campaign.player_of takes it."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{kind}-{seed}.txt"
    path.write_text(f"{kind}\n{example!r}\n")
    return path


def load(path: Path) -> tuple[str, Script | list[Session] | list[Letter]]:
    """What `save` was given. The file is Python: our own."""
    kind, _, text = path.read_text().partition("\n")
    return kind, eval(text, dict(_NAMES))
