"""The link of the Pico W: its radio joins a network, lwIP's sockets do the rest."""

import errno

import network

from picopost import limits
from picopost.net import lwip

# WLAN.status() of the rp2 port.
_FAILURES = {-1: "the connection failed", -2: "no such network", -3: "wrong password"}


class Link(lwip.Link):
    """`settings["wifi"]` says which network."""

    def __init__(self, board, settings):
        super().__init__(network.WLAN(network.STA_IF), settings)

    async def up(self):
        """Join the network. OSError, which says why, when it is not to be joined now."""
        wlan = self._interface
        wlan.active(True)
        self._fixed_address()
        wifi = self._settings["wifi"] or {"ssid": "", "password": ""}
        if not wlan.isconnected():  # a radio that found its network again is not to lose it
            wlan.connect(wifi["ssid"], wifi["password"])
        await self._until(lambda: wlan.isconnected() or wlan.status() < 0, limits.JOIN_TIME)
        if not wlan.isconnected():
            raise OSError(errno.ETIMEDOUT, "Wi-Fi %r: %s"
                          % (wifi["ssid"], _FAILURES.get(wlan.status(), "not joined in time")))
        self.address = wlan.ifconfig()[0]

    @property
    def signal(self):
        """Of the access point, in dBm; None while there is none."""
        return self._interface.status("rssi") if self.connected else None
