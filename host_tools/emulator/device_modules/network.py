"""`network` as MicroPython's rp2 port has it: the Pico W's radio, whose access point the host
switches (host_tools/emulator/radio.py), and a W5500 under lwIP, whose cable it pulls (cable.py).

The VM's own sockets carry the data; see `socket` beside this file for where they listen.
"""

import machine

STA_IF = 0
AP_IF = 1

STAT_IDLE = 0
STAT_CONNECTING = 1
STAT_WRONG_PASSWORD = -3
STAT_NO_AP_FOUND = -2
STAT_CONNECT_FAIL = -1
STAT_GOT_IP = 3
_STAT_NO_IP = 2  # CYW43_LINK_NOIP, which has no name in `network`

_ASK = 0x4E  # N
_STATE, _CONNECT, _ACTIVE = 0, 1, 2  # of the radio
_NIC_STATE, _NIC_ACTIVE, _NIC_ASK = 3, 4, 5  # of the W5500
_HOST = 6  # of either: the address that the router gave, its last octet and 64 times the one before
_NAME = 7  # the host name when the interface becomes active, an octet each time
_LINK, _UP, _LEASED = 1, 2, 4  # bits of its state
_START, _STOP = 0, 1  # with _NIC_ASK
_NO_ADDRESS = ("0.0.0.0", "0.0.0.0", "0.0.0.0", "0.0.0.0")


def _leased():
    host = machine.ask(_ASK, _HOST)
    if host > 63:
        return _leased_elsewhere(host)
    return ("127.0.0.%d" % host, "255.0.0.0", "127.0.0.1", "127.0.0.1")


def _leased_elsewhere(host):
    return ("127.0.%d.%d" % (host >> 6, host & 63), "255.0.0.0", "127.0.0.1", "127.0.0.1")


def _tell_name():
    """As lwIP's mDNS responder takes it (mdns_resp_add_netif, in both drivers)."""
    for octet in _hostname.encode() + b"\0":
        machine.ask(_ASK, _NAME, octet)


class WLAN:
    IF_STA = 0

    def __init__(self, interface_id=STA_IF):
        self._active = False
        self._fixed = None
        self._dhcp = True

    def active(self, *up):
        if up:
            if up[0] and not self._active:
                _tell_name()
            self._active = bool(up[0])
            machine.ask(_ASK, _ACTIVE, 1 if self._active else 0)
            return None
        return self._active

    def connect(self, ssid=None, key=None, **more):
        if not self._active:
            raise OSError(-1)
        machine.ask(_ASK, _CONNECT)

    def disconnect(self):
        machine.ask(_ASK, _ACTIVE, 1)

    def status(self, what=None):
        if what == "rssi":
            return -50
        state = machine.ask(_ASK, _STATE)
        if self._fixed:
            return self._with_fixed(state)
        return state - 256 if state > 127 else state

    def _with_fixed(self, state):
        if state == STAT_GOT_IP and self._dhcp:
            self._fixed = None  # DHCP has brought another
        return STAT_GOT_IP if state == _STAT_NO_IP else state - 256 if state > 127 else state

    def isconnected(self):
        return self.status() == STAT_GOT_IP

    def ifconfig(self, *values):
        if values:
            self._fixed = tuple(values[0])
            self._dhcp = False
            return None
        if self._fixed and self._dhcp:
            self.status()
        return self._fixed or _leased()

    def ipconfig(self, *names, **values):
        if values != {"dhcp4": True}:
            raise NotImplementedError("ipconfig: only dhcp4=True")
        self._dhcp = True

    def config(self, *names, **values):
        return b"\x28\xcd\xc1\x00\x00\x01" if names == ("mac",) else None


class WIZNET5K:
    """As extmod/network_wiznet5k.c has it where lwIP is there: spi, cs, reset and perhaps INTn.

    The interface comes up without an address, and DHCP begins by itself; the cable is seen where
    somebody asks, and changes nothing in lwIP.
    """

    def __init__(self, spi, cs, reset, interrupt=None):
        if not isinstance(spi, machine.SPI):
            raise TypeError("expecting SPI object")
        if not all([isinstance(pin, machine.Pin) for pin in (cs, reset, interrupt) if pin]):
            raise TypeError("expecting a Pin")
        self._fixed = None
        self._dhcp = True
        machine.ask(_ASK, _NIC_ACTIVE, 0)

    def active(self, *up):
        state = machine.ask(_ASK, _NIC_STATE)
        if not up:
            return bool(state & _UP)
        if bool(up[0]) != bool(state & _UP):
            self._fixed = None
            self._dhcp = True
            if up[0]:
                _tell_name()
            machine.ask(_ASK, _NIC_ACTIVE, 1 if up[0] else 0)
        return None

    def status(self):
        state = machine.ask(_ASK, _NIC_STATE)
        if not state & _LINK:
            return 0
        return 2 if state & _UP else 1

    def isconnected(self):
        return self.status() == 2 and self.ifconfig()[0] != "0.0.0.0"

    def ifconfig(self, *values):
        if values:
            self._fixed = tuple(values[0])  # "dhcp" would block
            self._dhcp = False
            machine.ask(_ASK, _NIC_ASK, _STOP)
            return None
        leased = self._dhcp and machine.ask(_ASK, _NIC_STATE) & _LEASED
        if leased:
            self._fixed = None
        return self._fixed or (_leased() if leased else _NO_ADDRESS)

    def ipconfig(self, *names, **values):
        if values == {"dhcp4": False}:
            # Where DHCP was off lwIP leaves the address alone.
            self._fixed = None if self._dhcp else self._fixed
            self._dhcp = False
            machine.ask(_ASK, _NIC_ASK, _STOP)
        elif values == {"dhcp4": True}:
            self._dhcp = True
            machine.ask(_ASK, _NIC_ASK, _START)
        else:
            raise NotImplementedError("ipconfig: only dhcp4")

    def config(self, *names, **values):
        return b"\x02\x43\x2d\x2b\x2a\x01" if names == ("mac",) else None


_hostname = "picopost"


def hostname(*name):
    global _hostname
    if name:
        _hostname = name[0]
    return _hostname
