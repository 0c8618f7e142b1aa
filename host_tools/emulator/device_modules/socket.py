"""`socket` for firmware in the VM: the VM's own, but what listens on all addresses of the
board listens here on 127.0.0.1 only, PICOPOST_PORT_OFFSET higher, and its router's ports are there
too."""

import os

from usocket import *  # noqa: F403  (the built-in module; `u` reaches past this file)
from usocket import getaddrinfo as _getaddrinfo

_OFFSET = int(os.getenv("PICOPOST_PORT_OFFSET") or "0")


def getaddrinfo(host, port, *more):
    if host in ("0.0.0.0", "127.0.0.1"):
        host, port = "127.0.0.1", port + _OFFSET
    return _getaddrinfo(host, port, *more)
