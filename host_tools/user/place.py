"""Where accounts are kept: what the emulated flash, a board at a port and a card have in common."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path

from host_tools import accounts
from host_tools.errors import UserError


class Place:
    """A context manager; subclasses read and write the whole file. Who changes it reads and writes
    inside `locked`, and asks nobody anything there.

    `changes` is True where the file holds changes of accounts that are elsewhere. `effect` says
    when what was written takes effect, `told_by` what gives the board other settings.
    """

    changes = False
    effect = ""
    told_by = "`python -m host_tools deploy --set KEY=JSON`"

    def read(self) -> dict[str, str]:
        """{name: its line}, empty without a file. Raises UserError."""
        raise NotImplementedError

    def write(self, lines: dict[str, str]) -> None:
        """Replace the file, by all of this or not at all. Raises UserError."""
        raise NotImplementedError

    def locked(self) -> contextlib.AbstractContextManager:
        """While nobody else changes it by this tool. Raises UserError."""
        return contextlib.nullcontext()

    def settings(self) -> dict:
        """The board's settings, empty where they are not known. Raises UserError."""
        return {}

    def close(self) -> None:
        """Let go of it."""

    def __enter__(self) -> Place:
        return self

    def __exit__(self, *_) -> None:
        self.close()


def parse(content: bytes, where: str) -> dict[str, str]:
    """{name: its line} of a file. Raises UserError."""
    try:
        return accounts.parse(content.decode())
    except UnicodeDecodeError as error:
        raise UserError(f"{where}: {error.reason}") from error
    except accounts.AccountError as error:
        raise UserError(f"{where}: {error}") from error


def parse_settings(content: bytes, where: str) -> dict:
    """A settings.json. Raises UserError."""
    try:
        settings = json.loads(content)
    except ValueError as error:
        raise UserError(f"{where}: no JSON ({error})") from error
    if not isinstance(settings, dict):
        raise UserError(f"{where}: no JSON object")
    return settings


@contextlib.contextmanager
def lock(path: Path) -> Iterator[None]:
    """Hold the advisory lock of a file or folder; waits for who has it. Raises UserError."""
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)


def replace(path: Path, text: str) -> None:
    """Write a file of this computer anew, readable for its owner alone. Raises OSError."""
    partial = path.with_name(path.name + ".new")
    partial.unlink(missing_ok=True)
    with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
