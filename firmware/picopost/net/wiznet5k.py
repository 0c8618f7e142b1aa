"""The link of the W5500-EVB-Pico: its W5500 carries Ethernet frames (MACRAW), lwIP does the rest.

The chip's own TCP (wiznet.py) lies idle. MicroPython's driver moves the frames, from INTn's
interrupt and in lwIP's timer, so nothing here polls.
"""

import time

import machine
import network
from micropython import const

from picopost import limits
from picopost.net import lwip

_NAME = const(32)  # octets that MicroPython keeps of a host name (extmod/modnetwork.h)


class Link(lwip.Link):
    """`board`: the board's description (`wiznet`: spi, sck, mosi, miso, cs, baudrate, reset and,
    where it is wired, interrupt).
    """

    def __init__(self, board, settings):
        pins = board["wiznet"]
        spi = machine.SPI(pins["spi"], baudrate=pins["baudrate"], sck=machine.Pin(pins["sck"]),
                          mosi=machine.Pin(pins["mosi"]), miso=machine.Pin(pins["miso"]))
        # Without INTn frames wait for lwIP's next timer, up to 64 ms.
        names = ("cs", "reset", "interrupt") if "interrupt" in pins else ("cs", "reset")
        super().__init__(network.WIZNET5K(spi, *[machine.Pin(pins[name]) for name in names]),
                         settings)
        # lwIP takes it when the interface becomes active, and answers to it by mDNS.
        network.hostname(settings["hostname"][:_NAME])

    async def up(self):
        """Wait for the cable, get an address. OSError, as net/trouble.py knows it."""
        nic = self._interface
        # Does nothing while the interface is up. The driver takes it down when the chip refuses a
        # frame; then, as at the start, this resets the chip, and the loop stands for 0.4 s.
        nic.active(True)
        if not await self._until(nic.status, limits.CABLE_WAIT):
            raise OSError("no cable")
        fallback = self._settings.get("fallback_address")
        if fallback and self.address == fallback["address"]:
            self._falls_back()
        elif not self._fixed_address():
            # Nobody tells lwIP of the cable. It asks for a lease from the start on, ever more
            # rarely, and would keep an old one in a new network: so it is told to ask now, its own
            # server where the network is the same for sure, and else any, as if it had none.
            if time.ticks_diff(time.ticks_ms(), self._lost) > limits.SAME_NETWORK:
                nic.ipconfig(dhcp4=False)
            nic.ipconfig(dhcp4=True)
        wait = limits.DHCP_FALLBACK if fallback else limits.LWIP_DHCP_WAIT
        if not await self._until(nic.isconnected, wait) and not self._falls_back():
            raise OSError("no DHCP")
        self.address = nic.ifconfig()[0]
