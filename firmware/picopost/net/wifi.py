"""The link of the Pico W: its radio joins a network, lwIP's sockets do the rest."""

import network
from micropython import const

from picopost import limits
from picopost.net import lwip

# WLAN.status() of the rp2 port; net/trouble.py has the words.
_NO_ADDRESS = const(2)
_WRONG_PASSWORD = const(-3)
_NAME = const(32)  # octets that MicroPython keeps of a host name (extmod/modnetwork.h)


class Link(lwip.Link):
    """`settings["wifi"]` says which network."""

    def __init__(self, board, settings):
        super().__init__(network.WLAN(network.STA_IF), settings)
        # lwIP takes it when the radio becomes active, and answers to it by mDNS.
        network.hostname(settings["hostname"][:_NAME])

    async def up(self):
        """Join the network. OSError, as net/trouble.py knows it, when that cannot be now."""
        wlan = self._interface
        wlan.active(True)
        self._fixed_address()
        wifi = self._settings["wifi"] or {"ssid": "", "password": ""}
        # A radio that found its network again is not to lose it.
        if not wlan.isconnected() and wlan.status() != _NO_ADDRESS:
            wlan.connect(wifi["ssid"], wifi["password"])
        await self._until(lambda: wlan.isconnected() or wlan.status() < 0, limits.JOIN_TIME)
        status = wlan.status()
        self.refused = status == _WRONG_PASSWORD
        if not wlan.isconnected():
            if status != _NO_ADDRESS:
                raise OSError(min(status, 0), wifi["ssid"])
            if not self._falls_back():
                raise OSError("no DHCP")
        self.address = wlan.ifconfig()[0]

    @property
    def signal(self):
        """Of the access point, in dBm; None while there is none."""
        return self._interface.status("rssi") if self.connected else None
