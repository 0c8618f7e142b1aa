"""Changes of accounts on a card, for the board that takes it next: ACCOUNTS.TXT in its root."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from host_tools import accounts, firmware_build, vm
from host_tools.card import repair
from host_tools.card.fat import CardError
from host_tools.card.mounted import refuse_mounted
from host_tools.card.source import ImageCard
from host_tools.emulator import flash
from host_tools.errors import UserError
from host_tools.user.place import Place, lock, parse, replace

NAME = "ACCOUNTS.TXT"
_SCRIPT = Path(__file__).with_name("vm_card.py")
_HEAP_KIB = 196


class FolderChanges(Place):
    """On a card that this computer has mounted at `folder`."""

    changes = True
    effect = "it waits on the card for the board that takes it"

    def __init__(self, folder: Path):
        self._folder = folder

    def read(self) -> dict[str, str]:
        path = self._path()
        try:
            return parse(path.read_bytes(), str(path))
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise UserError(f"{path}: {error.strerror}") from error

    def write(self, lines: dict[str, str]) -> None:
        path = self._path()
        try:
            replace(path, accounts.text(lines))
        except OSError as error:
            raise UserError(f"{path}: {error.strerror}") from error

    def locked(self) -> AbstractContextManager:
        return lock(self._folder)

    def _path(self) -> Path:
        """FAT does not tell a from A, but a file system in between may."""
        for path in self._folder.iterdir():
            if path.name.upper() == NAME:
                return path
        return self._folder / NAME


class ImageChanges(Place):
    """On a card image or block device: written by the firmware's own code, in the VM."""

    changes = True
    effect = FolderChanges.effect

    def __init__(self, path: Path):
        self._path = path
        if flash.is_running(flash.beside(path)):
            raise UserError(_running(path))
        refuse_mounted(path)

    def read(self) -> dict[str, str]:
        try:
            with ImageCard(self._path) as card:
                entry = card.listing().get(NAME)
                if entry is None:
                    return {}
                if entry.is_directory or entry.size > accounts.MAX_FILE:
                    raise UserError(f"{self._path}: {NAME} on it is no file of accounts")
                return parse(card.read(entry, 0, entry.size), f"{self._path}: {NAME}")
        except CardError as error:
            raise UserError(str(error)) from error
        except OSError as error:
            raise UserError(f"{self._path}: {error.strerror or error}") from error

    def write(self, lines: dict[str, str]) -> None:
        try:
            tree = firmware_build.build_for_vm()
        except firmware_build.BuildError as error:
            raise UserError(str(error)) from error
        with vm.start(_HEAP_KIB, str(_SCRIPT), str(self._path.resolve()), NAME,
                      path=[Path(repair.__file__).parent, tree, tree / "lib"],
                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                      text=True, errors="replace") as process:
            output = process.communicate(accounts.text(lines))[0]
        if process.returncode:
            reason = output.strip().splitlines() or ["no reason given"]
            raise UserError(f"{self._path}: the firmware could not write it: {reason[-1]}")


    @contextmanager
    def locked(self) -> Iterator[None]:
        """No emulated board starts with it meanwhile either."""
        board = flash.beside(self._path)
        with lock(self._path):
            try:
                with flash.claimed(board) if board.is_dir() else nullcontext():
                    yield
            except flash.InUse:
                raise UserError(_running(self._path)) from None


def _running(path: Path) -> str:
    return f"an emulated board is running with {path}: stop it first"


def open_changes(path: Path) -> Place:
    """The changes on the card at `path`. Raises UserError."""
    return FolderChanges(path) if path.is_dir() else ImageChanges(path)
