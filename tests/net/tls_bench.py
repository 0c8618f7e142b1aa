"""Both links with TLS services in the VM, and a TLS client whose octets a test has in its hands."""

from __future__ import annotations

import select
import socket
import ssl
from pathlib import Path

from host_tools import tls_identity
from tests.net.wiznet_bench import PATIENCE, SERVICES, STATIC, WiznetBench
from tests.support.bench import Bench
from tests.support.ports import free_port_offset

TLS_SERVICES = Path(__file__).with_name("vm_tls_services.py").read_text()


class LwipBench(WiznetBench):
    """The link of the Pico W, that is the VM's own sockets. The radio plays no part."""

    def __init__(self, heap_kib: int = 196):
        self.bench = Bench({}, heap_kib=heap_kib)
        self.vm = self.bench.vm
        self.vm.exec(SERVICES)
        self._offset = free_port_offset((25, 26, 30, 465))
        self.vm.exec(f"import socket; socket._OFFSET = {self._offset}\n"
                     "from picopost.net import wifi\n"
                     "limits.LINK_RETRY = 1_000_000_000\n"
                     "link = wifi.Link({}, {'hostname': 'xyz', 'address': 'dhcp', 'wifi': None})")

    def up(self) -> None:
        pass

    def settle(self) -> None:
        pass

    def connect(self, port: int, device: int = 1) -> socket.socket:
        client = socket.create_connection(("127.0.0.1", self._offset + port), PATIENCE)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return client

    def close(self) -> None:
        self.bench.close()
        assert self.bench.failure is None, repr(self.bench.failure)


def tls_bench(link: str, folder: Path) -> WiznetBench:
    """The bench of a link ("lwip" or "wiznet") with a new identity in `folder`, up."""
    bench = LwipBench() if link == "lwip" else WiznetBench(STATIC)
    try:
        bench.vm.exec(TLS_SERVICES)
        _, certificate = tls_identity.keep(folder, "xyz.com", ("127.0.0.1",))
        fingerprint = bench.vm.eval(f"load_identity({str(folder)!r})")
        assert fingerprint == tls_identity.fingerprint(certificate).replace(":", "").lower()
        bench.certificate = certificate
        bench.up()
    except BaseException:
        bench.close()
        raise
    return bench


def trusting(bench: WiznetBench) -> ssl.SSLContext:
    """A client's settings that trust the appliance's certificate and nothing else."""
    return ssl.create_default_context(cadata=bench.certificate)


class TlsClient:
    """TLS over `raw`, in two steps: what OpenSSL wants to send stays in `outgoing` for the test
    to deliver as it likes, or is moved by the methods here."""

    def __init__(self, raw: socket.socket, context: ssl.SSLContext, hostname: str = "xyz.com"):
        self.raw = raw
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname=hostname)

    def step(self, function, *arguments):
        """`function`'s result, or None when it needs more of the peer; nothing is moved."""
        try:
            return function(*arguments)
        except ssl.SSLWantReadError:
            return None

    def hello(self) -> bytes:
        """The ClientHello, not sent."""
        self.step(self.tls.do_handshake)
        return self.outgoing.read()

    def send(self) -> None:
        if octets := self.outgoing.read():
            self.raw.sendall(octets)

    def receive(self) -> None:
        if octets := self.raw.recv(65536):
            self.incoming.write(octets)
        else:
            self.incoming.write_eof()

    def call(self, function, *arguments):
        """Call until it needs nothing more, moving octets both ways."""
        while True:
            try:
                result = function(*arguments)
            except ssl.SSLWantReadError:
                self.send()
                self.receive()
            else:
                self.send()
                return result

    def handshake(self) -> TlsClient:
        self.call(self.tls.do_handshake)
        return self

    def say(self, octets: bytes) -> bytes:
        """Send, and receive as many."""
        self.tls.write(octets)
        self.send()
        answer = b""
        while len(answer) < len(octets):
            answer += self.call(self.tls.read, 65536)
        return answer

    def exchange(self, data: bytes, wanted: int) -> bytes:
        """Send `data` and receive `wanted` octets, at the same time."""
        answer, pending = bytearray(), b""
        while len(answer) < wanted or pending or data:
            if not pending and data:
                self.tls.write(data[:16384])
                data = data[16384:]
                pending = self.outgoing.read()
            ready = select.select([self.raw], [self.raw] if pending else [], [], PATIENCE)
            assert ready[0] or ready[1], "nothing moves"
            if ready[1]:
                pending = pending[self.raw.send(pending[:8192]):]
            if ready[0]:
                self.receive()
                while piece := self.step(self.tls.read, 65536):
                    answer += piece
        return bytes(answer)

    def read_all(self) -> bytes:
        """Everything to the end of the TCP stream, which comes without a close_notify."""
        answer = b""
        try:
            while piece := self.call(self.tls.read, 65536):
                answer += piece
        except ssl.SSLEOFError:
            pass
        return answer

    def close_notify(self) -> None:
        """Say close_notify, and nothing on TCP."""
        self.step(self.tls.unwrap)
        self.send()

    def __enter__(self) -> TlsClient:
        return self

    def __exit__(self, *_) -> None:
        self.raw.close()
