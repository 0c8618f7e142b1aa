"""Whether a board serves: what it says at its port, and its services over the network."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from contextlib import suppress

from host_tools import events, tls_identity
from host_tools.device.flash_files import FAULT
from host_tools.device.lines import PROMPT, lines
from host_tools.device.prompt import Prompt
from host_tools.doctor import complaints, in_network
from host_tools.doctor.finding import PROBLEM
from host_tools.errors import UserError

_PATIENCE = 60  # s: Wi-Fi and DHCP take their time
_LOOK = 0.05
_ANSWER = 10  # s for a banner


def wait_ready(device: str, say: Callable[[str], None]) -> dict:
    """The event `ready` of the board that has just been reset. `say` gets what is in its way, for a
    person: each trouble once. Raises UserError for a board in safe mode, and after a minute.
    """
    seen: list[dict] = []
    console: list[str] = []
    told: set[str] = set()
    for line in lines(device, _PATIENCE, ask=True):
        event = events.parse(line)
        if line == PROMPT:
            with Prompt(device) as prompt:
                why = (prompt.read(FAULT) or b"").decode(errors="replace").partition("\n")[2]
            raise _at_prompt(why, say)
        if event is None:
            console = [*console[-10:], line]
        elif event["event"] == "ready":
            return event
        elif event["event"] == "safe_mode":
            raise _at_prompt(str(event["why"]), say)
        elif event["event"] == "first_start":
            say(f"user {event['user']}, password {event['password']}")
        else:
            seen.append(event)
            for trouble in _troubles([event]):
                if trouble not in told:
                    told.add(trouble)
                    say(trouble)
    left = _troubles(seen)
    if not left:
        say("\n".join(console))
    raise UserError(f"all of it is on the board, which does not serve after {_PATIENCE} s: "
                    + (left[-1] if left else "`make logs` shows what it says"))


def _troubles(seen: list[dict]) -> list[str]:
    """What keeps a board from serving, as `doctor` says it: the last one comes last."""
    return ["; ".join(filter(None, (each.text, each.advice))) for each in complaints.judge(seen)
            if each.level == PROBLEM]


def _at_prompt(why: str, say: Callable[[str], None]) -> UserError:
    """The error for a board that does not start; `say` gets the traceback, if that is why."""
    if not why.strip():
        return UserError("the board is at its prompt: `make console`, there Ctrl-D starts it")
    first, *more = why.strip().splitlines()
    if more:
        say(why.strip())
    [finding] = complaints.judge([{"event": "safe_mode", "why": why}])
    return UserError(f"the board is in safe mode: {' ... '.join([first, *more[-1:]])}; "
                     f"{finding.advice}")


def greetings(ready: dict, host: str, offset: int = 0) -> dict[str, tuple[int, str]]:
    """{service: (port, what it says first)} of all that `ready` names, reached at `host`, where its
    ports are `offset` higher. Raises UserError for one that says nothing.
    """
    return {service: (port, _greeting(service, host, port + offset))
            for service, port in events.services(ready).items()}


def _greeting(service: str, host: str, port: int) -> str:
    deadline = time.monotonic() + _ANSWER
    why = "no answer"
    while time.monotonic() < deadline:
        try:
            with socket.create_connection((host, port), _ANSWER) as connection:
                if service in events.IN_TLS or (service not in in_network.PORTS
                                          and not in_network.greets(host, port)):
                    # Whose certificate it is was shown at its port; here it is to answer at all.
                    connection = tls_identity.unchecked().wrap_socket(connection)
                line = connection.makefile("rb").readline(1000).decode(errors="replace").strip()
                with suppress(OSError):
                    connection.sendall(b"QUIT\r\n")
                if line[:3] in ("220", "+OK"):
                    return line
                why = f"it says {line!r}"
        except OSError as error:
            why = str(error)
        time.sleep(_LOOK)
    raise UserError(f"{service} at {host} port {port}: {why}")
