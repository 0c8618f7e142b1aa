"""`network` as the Pico W's port has it: a radio whose access point the host switches.

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

_ASK = 0x4E  # N
_STATE, _CONNECT, _ACTIVE = 0, 1, 2


class WLAN:
    IF_STA = 0

    def __init__(self, interface_id=STA_IF):
        self._active = False
        self._ifconfig = ("127.0.0.1", "255.0.0.0", "127.0.0.1", "127.0.0.1")

    def active(self, *up):
        if up:
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
        return state - 256 if state > 127 else state

    def isconnected(self):
        return self.status() == STAT_GOT_IP

    def ifconfig(self, *values):
        if values:
            self._ifconfig = values[0]
            return None
        return self._ifconfig

    def config(self, *names, **values):
        return b"\x28\xcd\xc1\x00\x00\x01" if names == ("mac",) else None


_hostname = "picopost"


def hostname(*name):
    global _hostname
    if name:
        _hostname = name[0]
    return _hostname
