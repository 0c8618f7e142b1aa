"""A socket's TX or RX memory: a power of two of octets behind a 16-bit address that wraps."""

from __future__ import annotations


class RingMemory:
    """`size` octets (0: none), seen again and again over the 16-bit offset address space
    (W5500 datasheet 3.3)."""

    def __init__(self, size: int):
        self.size = size
        self._octets = bytearray(size)
        self._view = memoryview(self._octets)

    def parts(self, address: int, length: int) -> list[memoryview]:
        """`length` <= size octets from `address` on, as one or two slices."""
        if not length:
            return []
        start = address & (self.size - 1)
        end = start + length
        if end <= self.size:
            return [self._view[start:end]]
        return [self._view[start:], self._view[: end - self.size]]

    def read(self, address: int, length: int) -> bytes:
        """`length` octets; more than `size` go round again, none give zeros."""
        if not self.size:
            return bytes(length)
        if length <= self.size:
            return b"".join(self.parts(address, length))
        start = address & (self.size - 1)
        rounds = (start + length) // self.size + 1
        return bytes(self._octets * rounds)[start : start + length]

    def write(self, address: int, data: bytes) -> None:
        """Store `data`; of more than `size` octets the last ones stay."""
        if len(data) > self.size:
            address += len(data) - self.size
            data = data[len(data) - self.size :]
        done = 0
        for part in self.parts(address, len(data)):
            part[:] = data[done : done + len(part)]
            done += len(part)
