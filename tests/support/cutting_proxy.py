"""A TCP proxy on 127.0.0.1 that kills a connection in the middle."""

from __future__ import annotations

import socket
import struct
import threading

_PATIENCE = 60


class CuttingProxy:
    """Passes connections on to `port` of 127.0.0.1, the first until the server has sent `octets`.

    Then both its ends are reset, as by a router that forgot them. `port` is where clients
    connect; `connections` counts them, `cut` says that it happened. Use as a context manager.
    """

    def __init__(self, port: int, octets: int):
        self._server = port
        self._octets = octets
        self.connections = 0
        self.cut = threading.Event()
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # closed: the test is over
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._server), _PATIENCE)
            except OSError:  # as a client sees it that is refused
                client.close()
                continue
            self.connections += 1
            left = self._octets if self.connections == 1 else None
            self._sockets += [client, server]
            for arguments in ((client, server, None, False), (server, client, left, True)):
                thread = threading.Thread(target=self._pass, args=arguments, daemon=True)
                self._threads.append(thread)
                thread.start()

    def _pass(self, source: socket.socket, target: socket.socket, left: int | None,
              to_client: bool) -> None:
        """Copy until the end of `source`, or for `left` octets; None: all."""
        try:
            while left != 0 and (piece := source.recv(min(left or 65536, 65536))):
                target.sendall(piece)
                left = None if left is None else left - len(piece)
        except OSError:
            pass  # an end that is gone
        try:
            if left == 0:
                self.cut.set()
                for end in (source, target):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    # The other thread waits in recv, which keeps the socket open: wake it first.
                    end.shutdown(socket.SHUT_RD)
                    end.close()
            else:  # the appliance never ends one direction alone
                target.shutdown(socket.SHUT_RDWR if to_client else socket.SHUT_WR)
        except OSError:
            pass  # the other thread was first

    def __enter__(self) -> CuttingProxy:
        self._threads[0].start()
        return self

    def __exit__(self, *_) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for end in self._sockets:
            try:
                end.shutdown(socket.SHUT_RDWR)  # wakes its thread
            except OSError:
                pass
            end.close()
        for thread in self._threads:
            thread.join(_PATIENCE)
