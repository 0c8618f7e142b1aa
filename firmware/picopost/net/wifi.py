"""The link of the Pico W: its radio joins a network, lwIP's sockets do the rest."""

import network
from micropython import const

from picopost import limits
from picopost.net import LinkError, lwip, no_dhcp

# WLAN.status() of the rp2 port.
_NO_ADDRESS = const(2)
_WRONG_PASSWORD = const(-3)
_NEARER = "bring it nearer to the access point, whose network has to be one of 2.4 GHz"
_FAILURES = {
    -1: ("the connection failed", _NEARER),
    -2: ("no such network", "is that its name? The setting wifi says it, `make deploy` sets it; "
         + _NEARER),
    _WRONG_PASSWORD: ("wrong password", "give it the right one: the setting wifi, `make deploy` "
                      "sets it"),
}


class Link(lwip.Link):
    """`settings["wifi"]` says which network."""

    def __init__(self, board, settings):
        super().__init__(network.WLAN(network.STA_IF), settings)
        network.hostname(settings["hostname"][: lwip.HOSTNAME])

    async def up(self):
        """Join the network. LinkError when it is not to be joined now."""
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
                why, advice = _FAILURES.get(status, ("not joined in time", _NEARER))
                raise LinkError("Wi-Fi %r: %s" % (wifi["ssid"], why), advice)
            if not self._falls_back():
                raise no_dhcp()
        self.address = wlan.ifconfig()[0]
