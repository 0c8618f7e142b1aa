"""The file system in a board's flash: littlefs 2, as MicroPython's rp2 port mounts it.

Sources: ports/rp2/modules/_boot.py (progsize 256), extmod/vfs_lfs.c and vfs_lfsx.c (what is not
said there). Needs PyPI's littlefs-python, which is imported when it is wanted.
"""

from __future__ import annotations

from pathlib import PurePosixPath

BLOCK = 4096  # a sector of the flash
_READ_SIZE = _LOOKAHEAD = 32
_PROGRAM_SIZE = 256
# littlefs keeps small files in their directory as far as they fit its cache: the board's has to be
# as large as the one that they were written with.
_CACHE = 4 * _PROGRAM_SIZE
# Which every release of littlefs 2 mounts, that in an old image too. A newer one makes it 2.1 when
# it writes.
_DISK_VERSION = 0x0002_0000


class NoRoom(Exception):
    """The files are more than the file system holds."""


def make(files: dict[str, bytes], size: int) -> bytes:
    """A file system of `size` octets with `files`, by their paths. Raises NoRoom, ImportError."""
    from littlefs import LittleFSError

    system = _open(bytearray(b"\xff" * size), _DISK_VERSION)
    system.format()
    system.mount()
    try:
        for path, data in sorted(files.items()):
            folder = str(PurePosixPath(path).parent)
            if folder != ".":
                system.makedirs(folder, exist_ok=True)
            with system.open(path, "wb") as file:
                file.write(data)
    except LittleFSError as error:
        if error.code != LittleFSError.Error.LFS_ERR_NOSPC:
            raise
        raise NoRoom(f"the files, {sum(map(len, files.values())) >> 10} KiB, do not fit into the "
                     f"file system of {size >> 10} KiB") from None
    system.unmount()
    return bytes(system.context.buffer)


def read(image: bytes) -> dict[str, bytes]:
    """All files in it, by their paths. Raises ValueError for what is no file system; ImportError.
    """
    from littlefs import LittleFSError

    system = _open(bytearray(image))
    try:
        system.mount()
        files = {}
        for folder, _, names in system.walk("/"):
            for name in names:
                path = str(PurePosixPath(folder) / name)
                with system.open(path, "rb") as file:
                    files[path.lstrip("/")] = file.read()
    except LittleFSError as error:
        raise ValueError(str(error)) from error
    return files


def _open(image: bytearray, disk_version: int = 0):
    from littlefs import LittleFS, UserContext

    context = UserContext(buffer=image)
    return LittleFS(context, mount=False, block_size=BLOCK, block_count=len(image) // BLOCK,
                    read_size=_READ_SIZE, prog_size=_PROGRAM_SIZE, cache_size=_CACHE,
                    lookahead_size=_LOOKAHEAD, disk_version=disk_version)
