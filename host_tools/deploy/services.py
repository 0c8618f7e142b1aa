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
from host_tools.doctor import in_network
from host_tools.errors import UserError

_PATIENCE = 60  # s: Wi-Fi and DHCP take their time
_LOOK = 0.05
_ANSWER = 10  # s for a banner


def wait_ready(device: str, say: Callable[[str], None]) -> dict:
    """The event `ready` of the board that has just been reset. `say` gets what is in its way, for a
    person. Raises UserError for a board in safe mode, and after a minute.
    """
    last: list[str] = []
    for line in lines(device, _PATIENCE, ask=True):
        event = events.parse(line)
        if line == PROMPT:
            with Prompt(device) as prompt:
                why = (prompt.read(FAULT) or b"").decode(errors="replace").partition("\n")[2]
            raise UserError(f"the board is at its prompt, in safe mode: {why.strip()}")
        if event is None:
            last = [*last[-10:], line]
        elif event["event"] == "ready":
            return event
        elif event["event"] == "safe_mode":
            raise UserError(f"the board is in safe mode: {event['why']}")
        elif event["event"] in ("no_card", "link_failed", "first_start"):
            say(_shown(event))
    raise UserError(f"the board is not ready after {_PATIENCE} s" + "".join(
        f"\n  {line}" for line in last))


def _shown(event: dict) -> str:
    if event["event"] == "first_start":
        return f"user {event['user']}, password {event['password']}"
    advice = f" ({event['advice']})" if event.get("advice") else ""
    return f"{event['event'].replace('_', ' ')}: {event['why']}{advice}"


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
