"""Reads mail by POP3 as fast as it comes: a process of its own, as sender.py is.

    python reader.py '{"port": 2110, "user": "girl", "numbers": [1, 2, 3]}'

What comes is received in large pieces and only the end of it is looked at: one answer is under way
at a time, so CRLF.CRLF at the end is the end of a message. Prints JSON: octets received for the
messages with their status lines, `seconds` for them, and those of the connection with its greeting,
of the login, of STAT (the median of `stats` times), with STAT's two numbers.
"""

from __future__ import annotations

import json
import socket
import statistics
import sys
import time

_PATIENCE = 120
_STATS = 1
_LARGEST = 1 << 20


class Reader:
    """A POP3 session."""

    def __init__(self, port: int):
        self._socket = socket.create_connection(("127.0.0.1", port), _PATIENCE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = bytearray(_LARGEST)
        self._view = memoryview(self._buffer)
        self.line()

    def line(self) -> bytes:
        """An answer of one line."""
        line = b""
        while not line.endswith(b"\r\n"):
            piece = self._socket.recv(512)
            if not piece:
                raise SystemExit(f"the connection ended behind {line!r}")
            line += piece
        if not line.startswith(b"+OK"):
            raise SystemExit(f"wanted +OK, got {line!r}")
        return line

    def command(self, command: str) -> bytes:
        self._socket.sendall(command.encode() + b"\r\n")
        return self.line()

    def retrieve(self, number: int) -> int:
        """RETR; how many octets came."""
        self._socket.sendall(b"RETR %d\r\n" % number)
        total, tail = 0, b""
        while tail != b"\r\n.\r\n":
            count = self._socket.recv_into(self._view)
            if not count:
                raise SystemExit(f"the connection ended in message {number}")
            if not total and self._buffer[:3] != b"+OK":
                raise SystemExit(f"message {number}: {bytes(self._buffer[:100])!r}")
            total += count
            tail = (tail + bytes(self._view[max(0, count - 5):count]))[-5:]
        return total


def main() -> None:
    job = json.loads(sys.argv[1])
    clock = time.perf_counter
    times = [clock()]
    reader = Reader(job["port"])
    times.append(clock())
    reader.command(f"USER {job.get('user', 'girl')}")
    reader.command(f"PASS {job.get('password', 'pw')}")
    times.append(clock())
    stats = []
    for _ in range(job.get("stats", _STATS)):
        start = clock()
        stat = reader.command("STAT")
        stats.append(clock() - start)
    _, messages, octets = stat.split()[:3]
    times.append(clock())
    sizes = [reader.retrieve(number) for number in job.get("numbers", [])]
    seconds = clock() - times[-1]
    reader.command("QUIT")
    print(json.dumps({"seconds": seconds, "sizes": sizes, "connect": times[1] - times[0],
                      "login": times[2] - times[1], "stat": statistics.median(stats),
                      "messages": int(messages), "octets": int(octets)}))


if __name__ == "__main__":
    main()
