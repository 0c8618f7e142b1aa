"""A UDP multicast group on this machine's loopback interface, for one emulated device in it.

Real multicast: whoever joins the group there hears the device, and is heard. The device is
127.0.0.x among them; what it says itself does not come back to it, as on an Ethernet.
"""

from __future__ import annotations

import selectors
import socket
from collections.abc import Callable

_INTERFACE = "127.0.0.1"
_LARGEST = 1 << 16


class Member:
    """The device at 127.0.0.`host` in `group` (4 octets) at `port`. `heard(address, port, payload)`
    is called from the selector's events. OSError where the machine has no such group.
    """

    def __init__(self, selector: selectors.BaseSelector, group: bytes, port: int, host: int,
                 heard: Callable[[bytes, int, bytes], None]):
        self.port = port
        self.host = host
        self._selector = selector
        self._group = socket.inet_ntoa(group)
        self._own = f"127.0.0.{host}"
        self._heard = heard
        self._group_socket = self._bind(self._group)
        try:
            self._group_socket.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                                          group + socket.inet_aton(_INTERFACE))
            self._own_socket = self._bind(self._own)
            self._own_socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF,
                                        socket.inet_aton(_INTERFACE))
        except OSError:
            self._group_socket.close()
            raise
        for endpoint in (self._group_socket, self._own_socket):
            selector.register(endpoint, selectors.EVENT_READ,
                              lambda events, endpoint=endpoint: self._receive(endpoint))

    def _bind(self, address: str) -> socket.socket:
        endpoint = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):  # others are at this port too
            endpoint.setsockopt(socket.SOL_SOCKET, option, 1)
        endpoint.setblocking(False)
        try:
            endpoint.bind((address, self.port))
        except OSError:
            endpoint.close()
            raise
        return endpoint

    def _receive(self, endpoint: socket.socket) -> None:
        try:
            payload, (address, port) = endpoint.recvfrom(_LARGEST)
        except OSError:
            return  # nothing after all, or the ICMP error of what was sent before
        if address != self._own:
            self._heard(socket.inet_aton(address), port, payload)

    def send(self, payload: bytes, ttl: int) -> None:
        """To the group."""
        self._own_socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, ttl)
        self._send(payload, (self._group, self.port))

    def send_to(self, payload: bytes, host: int, port: int) -> None:
        """To 127.0.0.`host` alone."""
        self._send(payload, (f"127.0.0.{host}", port))

    def _send(self, payload: bytes, to: tuple[str, int]) -> None:
        try:
            self._own_socket.sendto(payload, to)
        except OSError:
            pass  # lost, as a datagram may be

    def close(self) -> None:
        for endpoint in (self._group_socket, self._own_socket):
            self._selector.unregister(endpoint)
            endpoint.close()
