"""A new file that has its name once it is whole."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from host_tools.errors import UserError

_PART = ".part"
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL


@contextmanager
def new_file(path: Path, mode: int = 0o666) -> Iterator[BinaryIO]:
    """A file to write, which is `path` when the block ends well. Until then its name has `.part`
    behind, and what breaks off leaves nothing. No file that is there is ever written over.

    Raises UserError where the system refuses, for what is written in the block too.
    """
    part = path.with_name(path.name + _PART)
    try:
        file = open(os.open(part, _NEW, mode), "wb")
        try:
            with file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            _rename(part, path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        name = error.filename2 or error.filename or path
        raise UserError(f"{name}: {error.strerror or error}") from error


def _rename(part: Path, path: Path) -> None:
    # A rename writes over a file that is there, and a hard link, which does not, is not to be had
    # on a FAT stick. So the name is taken first.
    os.close(os.open(path, _NEW))
    try:
        part.replace(path)
    except BaseException:
        path.unlink()
        raise
