"""Who sits at a board's console."""

from __future__ import annotations

import base64
import os
import time

import serial

from host_tools import events

_PATIENCE = 60


class Typist:
    """`seen` is all that came, `events` are those of its lines that are some."""

    def __init__(self, port: str):
        self._port = serial.Serial(os.path.realpath(port), timeout=0.05, exclusive=True)
        self.seen = b""

    def __enter__(self) -> Typist:
        return self

    def __exit__(self, *_) -> None:
        self._port.close()

    def type(self, octets: bytes) -> None:
        """Just that."""
        self._port.write(octets)

    def wait_for(self, octets: bytes, since: int = 0) -> bytes:
        """What came from offset `since` of `seen` on, as soon as that is in it."""
        deadline = time.monotonic() + _PATIENCE
        while octets not in self.seen[since:]:
            assert time.monotonic() < deadline, (octets, self.seen[since:][-2000:])
            self.seen += self._port.read(max(1, self._port.in_waiting))
        return self.seen[since:]

    def ask(self, command: str) -> tuple[list[str], dict]:
        """A command; the lines of its answer, and the event at its end."""
        since = len(self.seen)
        self.type(command.encode() + b"\r")
        self.wait_for(b" answered command=", since)
        came = self.wait_for(b"\n", self.seen.rindex(b" answered command="))
        assert came
        lines = self.seen[since:].decode().splitlines()
        at = next(at for at, line in enumerate(lines) if " answered command=" in line)
        return lines[:at], events.parse(lines[at])

    def text(self, command: str) -> list[str]:
        """The text of an answer that nothing is wrong with."""
        lines, end = self.ask(command)
        assert "why" not in end, end
        return [line[2:] for line in lines if line.startswith("| ")]

    def said(self, command: str) -> list[dict]:
        """The events of an answer that nothing is wrong with."""
        lines, end = self.ask(command)
        assert "why" not in end, end
        return [event for event in map(events.parse, lines) if event]

    def why(self, command: str) -> str:
        """What is wrong with it."""
        return str(self.ask(command)[1]["why"])

    def attachment(self, command: str) -> tuple[dict, bytes, dict]:
        """What `save` sends: its first event, the octets, its last event."""
        lines, end = self.ask(command)
        assert "why" not in end, end
        first, last = [event for event in map(events.parse, lines)
                       if event and event["event"] in ("attachment", "attached")]
        return first, b"".join(base64.b64decode(line[2:], validate=True) for line in lines
                               if line.startswith("|=")), last
