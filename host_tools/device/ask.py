"""Commands at the console of a board that serves (firmware/picopost/keyboard.py): their answers
alone, between which its events come."""

from __future__ import annotations

import base64
import contextlib
import os
import time
from collections.abc import Iterator

import serial

from host_tools import events
from host_tools.device.lines import PROMPT
from host_tools.errors import UserError

_PATIENCE = 5  # s for a port that is just coming
_LOOK = 0.1  # s between two tries
_ECHO = 3  # s for what was typed to be seen; then it is typed again
_TRIES = 4
_SILENCE = 40  # s within an answer; the board gives up after 30 (limits.CONSOLE_WAIT)
_STOP = b"q"  # what is at work
_CLEAR = b"\x15"  # Ctrl-U: what was typed before us
_OWN = ("status", "attachment", "attached")  # events that are part of an answer


class Refused(UserError):
    """The board says that it cannot do that."""


class AtPrompt(UserError):
    """It does not run the firmware, but MicroPython's prompt."""


def answers(device: str, command: str) -> Iterator[str | dict | bytes]:
    """Type `command` at the board at a serial port: its answer's lines of text, events, and octets,
    as they come. Raises Refused at the end of one that says what went wrong, and UserError where
    there is none, AtPrompt among them.
    """
    port = _open(device)
    whole = False
    try:
        lines = _lines(port, device, command)
        _type(port, lines, device, command)
        for line in lines:
            if line is None:
                raise UserError(f"{device}: the board says no more; part of the answer is missing")
            if line.startswith("|="):
                yield _octets(line, device)
            elif line.startswith("|"):
                yield line[2:]
            else:
                event = events.parse(line)
                if event and event["event"] == "answered" and str(event["command"]) == command:
                    whole = True
                    if "why" in event:
                        raise Refused(f"{device}: {event['why']}")
                    return
                if event and event["event"] in _OWN:
                    yield event
    except (OSError, serial.SerialException) as error:
        raise UserError(f"{device}: the board is gone ({error})") from error
    finally:
        with contextlib.suppress(OSError, serial.SerialException):
            if not whole:
                port.write(_STOP)
            port.close()


def _open(device: str) -> serial.Serial:
    deadline = time.monotonic() + _PATIENCE
    while True:
        if not os.path.exists(device):
            raise UserError(f"there is no port {device}")
        try:
            return serial.Serial(os.path.realpath(device), timeout=_LOOK, exclusive=True)
        except (OSError, serial.SerialException) as error:
            if time.monotonic() > deadline:
                raise UserError(f"port {device} cannot be opened: another program has it, or it is "
                                "not yours") from error
        time.sleep(_LOOK)


def _type(port: serial.Serial, lines: Iterator[str | None], device: str, command: str) -> None:
    """Until the board shows it."""
    for _ in range(_TRIES):
        port.write(_STOP + _CLEAR + command.encode() + b"\r")
        for line in lines:
            if line is None:
                break
            if line.endswith(command) and not line.startswith("|"):
                return
    raise UserError(f"{device}: no answer: the board is just starting, or its firmware is older "
                    "than this (`make deploy`)")


def _lines(port: serial.Serial, device: str, command: str) -> Iterator[str | None]:
    """What comes, line by line; None after a silence. Raises AtPrompt."""
    pending = b""
    heard = time.monotonic()
    patience = _ECHO
    while True:
        octets = port.read(max(1, port.in_waiting))
        now = time.monotonic()
        if octets:
            heard = now
        elif pending.endswith(PROMPT.encode()):
            raise AtPrompt(f"{device}: the board is at MicroPython's prompt and serves nobody: "
                            "`make console`, there Ctrl-D starts it; `make deploy` mends it")
        elif now - heard > patience:
            heard = now
            yield None
        *whole, pending = (pending + octets).split(b"\n")
        for line in whole:
            text = line.decode(errors="replace").rstrip("\r")
            if text.endswith(command):
                patience = _SILENCE
            yield text


def _octets(line: str, device: str) -> bytes:
    try:
        return base64.b64decode(line[2:], validate=True)
    except ValueError:
        raise UserError(f"{device}: what came is garbled") from None
