"""The accounts of an emulated board."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from host_tools import accounts
from host_tools.emulator import flash as emulated
from host_tools.errors import UserError
from host_tools.user.place import Place, lock, parse, parse_settings, replace


class EmulatedFlash(Place):
    """`folder` is made where the board has not been started yet."""

    told_by = "it has those of its last `run`, from `--set KEY=JSON`"

    def __init__(self, folder: Path):
        self._folder = folder
        self._path = folder / emulated.ACCOUNTS
        self.effect = ("the emulated board is running: it takes effect at its next start"
                       if emulated.is_running(folder) else "")

    def read(self) -> dict[str, str]:
        try:
            return parse(self._path.read_bytes(), str(self._path))
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise UserError(f"{self._path}: {error.strerror}") from error

    def write(self, lines: dict[str, str]) -> None:
        try:
            replace(self._path, accounts.text(lines))
        except OSError as error:
            raise UserError(f"{self._path}: {error.strerror}") from error

    @contextmanager
    def locked(self) -> Iterator[None]:
        """By the folder around it: the lock of the flash itself is the running board's."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"{self._folder}: {error.strerror}") from error
        with lock(self._folder.resolve().parent):
            yield

    def settings(self) -> dict:
        path = self._folder / emulated.SETTINGS
        try:
            return parse_settings(path.read_bytes(), str(path))
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise UserError(f"{path}: {error.strerror}") from error
