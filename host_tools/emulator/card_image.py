"""What is on a memory card: a sparse file of 512-octet blocks that outlives the emulator."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from host_tools.emulator.fat_format import format_fat

BLOCK = 512
# A small SDHC card as sold: FAT32 with 32 KB clusters. Sparse, it starts at a few KB on disk.
DEFAULT_SIZE = 4 * 1024**3
# How many writes can still be lost: more than the cache of any card that loses some.
JOURNAL_DEPTH = 64
_CHUNK = 1 << 20


class CardImage:
    """The blocks of one card. Every write is in the file when it returns.

    A journal of the last JOURNAL_DEPTH writes keeps what they overwrote, so that `power_cut`
    can take some back. Raises OSError as the file does, IndexError beyond the last block.
    """

    def __init__(self, path: Path | str):
        """Open an existing image."""
        self.path = Path(path)
        self._file = os.open(self.path, os.O_RDWR)
        self.block_count = os.fstat(self._file).st_size // BLOCK
        self._journal: deque[tuple[int, bytes, bytes]] = deque(maxlen=JOURNAL_DEPTH)

    @classmethod
    def create(cls, path: Path | str, size_bytes: int = DEFAULT_SIZE, *,
               formatted: bool = True) -> CardImage:
        """Make a new image of `size_bytes`, formatted as FAT16 (below 2 GB) or FAT32.

        Raises FileExistsError, and ValueError when the size is not whole blocks or the card is
        too small for FAT.
        """
        if size_bytes % BLOCK:
            raise ValueError(f"{size_bytes} octets are not whole blocks")
        with open(path, "xb") as file:
            file.truncate(size_bytes)
        image = cls(path)
        if formatted:
            format_fat(image.write_block, image.block_count)
            image._journal.clear()
        return image

    def read_blocks(self, first: int, count: int = 1) -> bytes:
        """`count` blocks from block `first` on."""
        self._check(first, count)
        return os.pread(self._file, count * BLOCK, first * BLOCK)

    def write_block(self, block: int, data: bytes) -> None:
        """Replace one block by the 512 octets of `data`."""
        self._check(block, 1)
        if len(data) != BLOCK:
            raise ValueError(f"{len(data)} octets are not a block")
        self._journal.append((block, os.pread(self._file, BLOCK, block * BLOCK), bytes(data)))
        self._put(block, data)

    def erase(self, first: int, last: int) -> None:
        """Zero the blocks `first` to `last` (included)."""
        self._check(first, last - first + 1)
        self._journal.clear()
        for start, end in self._data_ranges(first * BLOCK, (last + 1) * BLOCK):
            for offset in range(start, end, _CHUNK):
                os.pwrite(self._file, bytes(min(_CHUNK, end - offset)), offset)

    def power_cut(self, lose_last: int = 0, torn: int | None = None) -> None:
        """Leave what a power cut right after the last write leaves, on a card with a cache.

        The last block written keeps its old content but for its first `torn` octets (None: it
        is whole); the `lose_last` writes before it never happened. Writes further back stay.
        Raises ValueError when the journal does not reach back that far.
        """
        if not 0 <= lose_last < JOURNAL_DEPTH or not 0 <= (torn or 0) <= BLOCK:
            raise ValueError(f"cannot lose {lose_last} writes, tear at {torn}")
        undone = [self._journal.pop() for _ in range(min(lose_last + 1, len(self._journal)))]
        self._journal.clear()
        for block, old, _ in undone:  # newest first, so the oldest content stands in the end
            self._put(block, old)
        if undone:
            block, _, new = undone[0]
            kept = BLOCK if torn is None else torn
            self._put(block, new[:kept] + self.read_blocks(block)[kept:])

    def copy(self, path: Path | str) -> CardImage:
        """Make an image of the same content, as sparse as this one. Raises FileExistsError."""
        twin = CardImage.create(path, self.block_count * BLOCK, formatted=False)
        for start, end in self._data_ranges(0, self.block_count * BLOCK):
            for offset in range(start, end, _CHUNK):
                chunk = os.pread(self._file, min(_CHUNK, end - offset), offset)
                os.pwrite(twin._file, chunk, offset)
        return twin

    def close(self) -> None:
        os.close(self._file)

    def __enter__(self) -> CardImage:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def _check(self, first: int, count: int) -> None:
        if first < 0 or count < 1 or first + count > self.block_count:
            raise IndexError(f"blocks {first}+{count} of {self.block_count}")

    def _put(self, block: int, data: bytes) -> None:
        if os.pwrite(self._file, data, block * BLOCK) != BLOCK:
            raise OSError(f"{self.path}: short write")

    def _data_ranges(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """The parts of the file from `start` to `end` that are not holes."""
        while start < end:
            try:
                start = os.lseek(self._file, start, os.SEEK_DATA)
            except OSError:
                return  # ENXIO: only a hole is left
            hole = os.lseek(self._file, start, os.SEEK_HOLE)
            if start < end:
                yield start, min(hole, end)
            start = hole
