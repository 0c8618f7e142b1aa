"""Where a card's files come from: an image or device, or the folder where a PC mounted it.

Both kinds offer the same: `listing(directory)`, `read(entry, offset, length)`, `volume` (None for
a folder). Names are looked up in upper case, as FAT compares them.
"""

from __future__ import annotations

import os
from pathlib import Path

from host_tools.card.fat import CardError, Entry, FatVolume


class ImageCard:
    """A card image or block device. Raises CardError when it is none."""

    def __init__(self, path: Path):
        try:
            self.volume = FatVolume(path)
        except OSError as error:
            raise CardError(f"{path}: {error.strerror or error}") from error
        except CardError as error:
            raise CardError(f"{path}: {error}") from error
        self.read = self.volume.read

    def listing(self, directory: Entry | None = None) -> dict[str, Entry]:
        """The entries of a directory (None: the root) by their names in upper case."""
        return {entry.name.upper(): entry for entry in self.volume.entries(directory)}

    def close(self) -> None:
        self.volume.close()

    def __enter__(self) -> ImageCard:
        return self

    def __exit__(self, *_) -> None:
        self.close()


class FolderCard:
    """A mounted card, or a copy of one. Raises CardError when there is no mail on it."""

    volume = None

    def __init__(self, path: Path):
        self._path = path
        self._open: tuple[str, int] | None = None
        try:
            if "MAIL" not in self.listing():
                raise CardError(f"{path}: no folder `mail` in it")
        except OSError as error:
            raise CardError(f"{path}: {error.strerror or error}") from error

    def listing(self, directory: Entry | None = None) -> dict[str, Entry]:
        """The entries of a directory (None: the root) by their names in upper case."""
        inside = directory.path + "/" if directory else ""
        with os.scandir(self._path / inside) as found:
            return {item.name.upper(): Entry(inside + item.name, item.name, item.is_dir(),
                                             item.stat().st_size, 0) for item in found}

    def read(self, entry: Entry, offset: int, length: int) -> bytes:
        """Part of a file; short where the file ends."""
        if not self._open or self._open[0] != entry.path:
            self.close()
            self._open = entry.path, os.open(self._path / entry.path, os.O_RDONLY)
        return os.pread(self._open[1], length, offset)

    def close(self) -> None:
        if self._open:
            os.close(self._open[1])
            self._open = None

    def __enter__(self) -> FolderCard:
        return self

    def __exit__(self, *_) -> None:
        self.close()


def open_card(path: Path) -> ImageCard | FolderCard:
    """The card at `path`. Raises CardError when it cannot be read as one."""
    return FolderCard(path) if path.is_dir() else ImageCard(path)
