"""The tree `mail` of the card in a board, into a folder on a PC and back."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from host_tools.device.card_files import ROOT, CardFiles
from host_tools.errors import UserError

MAIL = "mail"
_PART = ".part"  # of a folder that is not whole yet
# Where a tree grows on a card, until it is whole.
_NEW = f"{ROOT}/PICOPOST.NEW"
_INDEX = re.compile(f"{MAIL}/[^/]+/INDEX[01]\\.PIX", re.IGNORECASE)
_READ = 1 << 16  # octets at once


@dataclass
class Moved:
    """What went over the wire."""

    files: int = 0
    octets: int = 0


def back_up(card: CardFiles, folder: Path, progress: Callable[[int, int], None]) -> Moved:
    """Make `folder` with a copy of the card's `mail`, its owner's alone. Raises UserError: for a
    folder that is there, and for what is not whole, which stays in FOLDER.part then.
    """
    refuse_taken(folder)
    folders, files = _walk(card, f"{ROOT}/{MAIL}")
    total = sum(size for _, size in files)
    part = _part(folder)
    moved = Moved()
    try:
        part.mkdir(mode=0o700)
        for path in folders:
            (part / path).mkdir(mode=0o700)
        for path, size in files:
            _fetch(card, path, part / path, moved, lambda: progress(moved.octets, total))
            if (part / path).stat().st_size != size:
                raise UserError(f"{path}: {size} octets in its folder on the card, "
                                f"{(part / path).stat().st_size} in the file")
            moved.files += 1
        os.rename(part, folder)
    except OSError as error:
        raise UserError(f"{error.filename or part}: {error.strerror or error}") from error
    except UserError as error:
        if moved.files:
            raise UserError(f"{error}; {moved.files} of {len(files)} files are in {part}"
                            ) from error
        shutil.rmtree(part, ignore_errors=True)
        raise
    return moved


def restore(card: CardFiles, folder: Path, progress: Callable[[int, int], None]) -> Moved:
    """Make the card's `mail` what it is in `folder`. Raises UserError: for a card with mail, and
    for what is not whole, of which nothing counts then.

    All of it goes into a folder of another name, is read back there by the board, and renamed.
    """
    folders, files = local(folder)
    _refuse_mail(card)
    _remove_tree(card, _NEW)
    size = sum(size for _, size in files)
    # Each file and folder has its last cluster for itself, 32 KB with most cards.
    needed = size + (len(files) + len(folders) << 15)
    free = card.free()
    if free < needed:
        raise UserError(f"{needed >> 10} KB are wanted on the card, and {free >> 10} KB are free")
    moved = Moved()
    total = 2 * size  # there, and once more to see it
    hashes = {}
    done = 0

    def step(octets: int) -> None:
        nonlocal done
        done += octets
        progress(min(done, total), total)

    for path in folders:
        card.make_folder(_NEW + path[len(MAIL):])
    for path, _ in files:
        hashes[path] = card.store(_NEW + path[len(MAIL):], _octets(folder / path), step)
        moved.files += 1
    moved.octets = done
    card.sync()
    for path, _ in files:
        if card.hash_of(_NEW + path[len(MAIL):], step) != hashes[path]:
            raise UserError(f"{path}: what was written to the card reads back differently")
    _remove_tree(card, f"{ROOT}/{MAIL}")
    card.rename(_NEW, f"{ROOT}/{MAIL}")
    card.close()
    return moved


def local(folder: Path) -> tuple[list[str], list[tuple[str, int]]]:
    """As `_walk` has it, of a folder on this computer. Raises UserError."""
    if not (folder / MAIL).is_dir():
        raise UserError(f"{folder}: no folder `{MAIL}` in it")
    folders, files = [], []

    def unreadable(error: OSError) -> None:
        raise UserError(f"{error.filename}: {error.strerror}") from error

    for at, inner, names in os.walk(folder / MAIL, onerror=unreadable):
        inner.sort()
        folders.append(Path(at).relative_to(folder).as_posix())
        for name in sorted(names):
            path = Path(at) / name
            if path.is_symlink() or not path.is_file():
                raise UserError(f"{path} is no file")
            files.append((path.relative_to(folder).as_posix(), path.stat().st_size))
        for name in inner:
            if (Path(at) / name).is_symlink():
                raise UserError(f"{Path(at) / name} is a link")
    if not files:
        raise UserError(f"{folder / MAIL}: there is nothing in it")
    return folders, files


def _octets(path: Path) -> Iterator[bytes]:
    try:
        with open(path, "rb") as file:
            while octets := file.read(_READ):
                yield octets
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from error


def _refuse_mail(card: CardFiles) -> None:
    """UserError for a card with a letter, or anything else, in its `mail`. What the firmware makes
    of accounts that never had one, an index each, is nothing.
    """
    if card.names(f"{ROOT}/{MAIL}") is None:
        return
    _, files = _walk(card, f"{ROOT}/{MAIL}")
    mail = [path for path, _ in files if not _INDEX.fullmatch(path)]
    if mail:
        more = f" and {len(mail) - 1} more files" if len(mail) > 1 else ""
        raise UserError(f"the card has mail: {mail[0]}{more}; put in another one, mail is never "
                        "overwritten")


def _remove_tree(card: CardFiles, root: str) -> None:
    if card.names(root) is None:
        return
    folders, files = _walk(card, root)
    for path, _ in files:
        card.remove(f"{ROOT}/{path}", False)
    for path in reversed(folders):
        card.remove(f"{ROOT}/{path}", True)


def refuse_taken(folder: Path) -> None:
    """UserError for what is there already, or broke off there."""
    if os.path.lexists(folder):
        raise UserError(f"{folder} is there already, and nothing is ever overwritten")
    if os.path.lexists(_part(folder)):
        raise UserError(f"{_part(folder)} is there, of a backup that broke off: remove it, or give "
                        "another name")
    if not folder.absolute().parent.is_dir():
        raise UserError(f"{folder.absolute().parent} is no folder")


def _part(folder: Path) -> Path:
    return folder.with_name(folder.name + _PART)


def _fetch(card: CardFiles, path: str, to: Path, moved: Moved,
           progress: Callable[[], None]) -> None:
    new = to.with_name(to.name + _PART)
    try:
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            def sink(octets: bytes) -> None:
                try:
                    file.write(octets)
                except OSError as error:
                    raise UserError(f"{new}: {error.strerror}") from error
                moved.octets += len(octets)
                progress()

            card.fetch(f"{ROOT}/{path}", sink)
            file.flush()
            os.fsync(file.fileno())
        os.rename(new, to)
    except BaseException:
        new.unlink(missing_ok=True)
        raise


def _walk(card: CardFiles, root: str) -> tuple[list[str], list[tuple[str, int]]]:
    """(folders, the outer ones first; files with their sizes) in the card's `mail`, as paths from
    the card's root."""
    folders, files = [], []
    left = [root]
    while left:
        folder = left.pop()
        names = card.names(folder)
        if names is None:
            raise UserError("the card has no mail on it" if folder == root else f"{folder} is gone")
        folders.append(folder[len(ROOT) + 1:])
        for found in sorted(names):
            if found.name in ("", ".", "..") or set(found.name) & set("/\\\0"):
                raise UserError(f"{folder}: it has something of the name {found.name!r}; is its "
                                "file system sound?")
            path = f"{folder}/{found.name}"
            if found.is_folder:
                left.append(path)
            else:
                files.append((path[len(ROOT) + 1:], found.size))
    return folders, files
