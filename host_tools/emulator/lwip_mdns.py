"""What lwIP in MicroPython's images does by itself: it answers by mDNS to the name that a board has
told it, with the address that a DHCP server gave. On the loopback interface, by our own `Name`."""

from __future__ import annotations

import selectors
from typing import Protocol

from host_tools import firmware_modules  # noqa: F401
from host_tools.emulator.multicast import Member

from picopost.net import mdns  # isort: skip  (firmware_modules makes that possible)

_HOST = 254  # 127.0.0.254 it sends from: 127.0.0.1, the board's address, is also who asks


class Network(Protocol):
    """A radio or a cable. `name` is "" and `address` None where there is none."""

    name: str
    address: bytes | None


class LwipMdns:
    """Use `fileno` and `poll` in a selector; OSError where the machine has no multicast."""

    def __init__(self, network: Network):
        self._network = network
        self._selector = selectors.DefaultSelector()
        try:
            self._member = Member(self._selector, mdns.GROUP, mdns.PORT, _HOST, self._heard)
        except OSError:
            self._selector.close()
            raise

    def fileno(self) -> int:
        return self._selector.fileno()

    def poll(self) -> None:
        for key, events in self._selector.select(0):
            key.data(events)

    def _heard(self, address: bytes, port: int, message: bytes) -> None:
        name, own = self._network.name, self._network.address
        if not name or own is None:
            return
        reply = mdns.Name(name).answer(message, own, port != mdns.PORT)
        if reply and port == mdns.PORT:
            self._member.send(reply, 255)
        elif reply:
            self._member.send_to(reply, address[3], port)

    def close(self) -> None:
        self._member.close()
        self._selector.close()
