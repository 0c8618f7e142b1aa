"""A time server (RFC 4330), fed with UDP payloads: no socket; its clock is the host's."""

from __future__ import annotations

import struct
import time

PORT = 123
_SIZE = 48
_TO_1970 = 2_208_988_800


class NtpServer:
    """`asked` counts the questions. `stratum` 0: it does not know the time; None: it is silent."""

    def __init__(self, stratum: int | None = 2):
        self.stratum = stratum
        self.ahead = 0.0  # s that its clock is before the host's
        self.asked = 0

    def answer(self, message: bytes) -> bytes | None:
        """The reply to one client's message."""
        self.asked += 1
        if self.stratum is None or len(message) < _SIZE or message[0] & 7 != 3:
            return None
        now = time.time() + _TO_1970 + self.ahead
        stamp = struct.pack(">II", int(now) & 0xFFFFFFFF, int(now % 1 * 2**32))
        unknown = 0xC0 if not self.stratum else 0
        return struct.pack(">BBbb12x8s8s8s8s", unknown | message[0] & 0x38 | 4, self.stratum, 6,
                           -20, stamp, message[40:48], stamp, stamp)
