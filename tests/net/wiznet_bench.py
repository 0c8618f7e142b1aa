"""The firmware's W5500 link in the VM, the chip model, and devices on its LAN to talk to it."""

from __future__ import annotations

import ast
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from host_tools.emulator.chips.w5500 import W5500
from host_tools.emulator.lan import Lan
from tests.chips.w5500_host import free_offset
from tests.support.bench import Bench

BOARD = json.loads(
    (Path(__file__).parents[2] / "boards" / "pico_w5500" / "board.json").read_text())
SERVICES = Path(__file__).with_name("vm_services.py").read_text()
CONTROL = 30  # the chip's port of the service that answers questions
STATIC = {"address": "192.168.77.9", "netmask": "255.255.255.0", "gateway": "192.168.77.1",
          "dns": "192.168.77.1"}
PATIENCE = 10  # s; a client that waits longer fails its test


class WiznetBench:
    """`link` in the VM is made but not up; `vm_services.py` tells what else is there.

    The chip's buffer pointers start near their 16-bit end, so that each stream crosses it.
    """

    def __init__(self, address: dict | str = "dhcp"):
        self.lan = Lan(free_offset())
        self.chip = W5500(self.lan, initial_pointer=0xFE00)
        wiring = BOARD["wiznet"]
        self.bench = Bench(
            {(wiring["spi"], wiring["cs"]): self.chip},
            outputs={wiring["reset"]: lambda level: level or self.chip.reset()},
            inputs={wiring["interrupt"]: self.chip.interrupt_level},
            heap_kib=BOARD["heap_kib"])
        self.vm = self.bench.vm
        self.vm.exec(SERVICES)
        settings = {"hostname": "picopost", "address": address}
        self.vm.exec(f"make_link({BOARD!r}, {settings!r})")

    @property
    def spi_calls(self) -> int:
        return self.bench.buses[BOARD["wiznet"]["spi"]].transfers

    def up(self) -> None:
        assert self.vm.eval("up()") == 0
        self.settle()

    def settle(self) -> None:
        """Let the chip have what the VM has written: it answers in order."""
        self.vm.eval("link.chip.version()")

    @contextmanager
    def serving(self, **ports: int) -> Iterator[Callable[[str], object]]:
        """Serve each service at its port while the block runs; yields a function that asks the
        VM for the value of an expression meanwhile, over the link itself."""
        services = [(port, name) for name, port in ports.items()] + [(CONTROL, "control")]
        self.vm.exec(f"serve({services!r})")
        self.settle()
        failures = []

        def work():
            try:
                self.vm.exec("job()")
            except AssertionError as failure:
                failures.append(failure)

        worker = threading.Thread(target=work)
        worker.start()
        try:
            with self.control() as ask:
                yield ask
        finally:
            worker.join(PATIENCE)
        assert not worker.is_alive() and not failures, failures

    @contextmanager
    def control(self) -> Iterator[Callable[[str], object]]:
        """A connection to the service that evaluates expressions; its end stops the serving."""
        with self.connect(CONTROL) as client, client.makefile("r") as answers:
            def ask(expression: str):
                client.sendall(expression.encode())
                return ast.literal_eval(answers.readline())

            yield ask

    def connect(self, port: int, device: int = 1) -> socket.socket:
        """A client on the LAN's 192.168.77.`device`."""
        return socket.create_connection(self.lan.outside(port), PATIENCE,
                                        (f"127.0.0.{device}", 0))

    def unplug(self) -> None:
        """Pull the cable out, and wait until the firmware has noticed."""
        before = self._losses()
        self.lan.set_link(False)
        until(lambda: self._losses() > before, "the loss of the link")

    def _losses(self) -> int:
        return sum(line.endswith(" link_down") for line in self.vm.printed)

    def close(self) -> None:
        self.bench.close()
        self.lan.close()
        assert self.bench.failure is None, repr(self.bench.failure)
        assert self.lan.port_error is None


def receive(client: socket.socket, count: int) -> bytes:
    """`count` octets, or those before the end of stream."""
    data = b""
    while len(data) < count and (piece := client.recv(count - len(data))):
        data += piece
    return data


def receive_all(client: socket.socket) -> bytes:
    """Everything up to the end of stream."""
    pieces = []
    while piece := client.recv(65536):
        pieces.append(piece)
    return b"".join(pieces)


def reset(client: socket.socket) -> None:
    """Close with RST instead of FIN."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def exchange(client: socket.socket, data: bytes) -> bytes:
    """Send all of `data`, end the stream, and read at the same time to the other end's end."""
    sender = threading.Thread(target=lambda: (client.sendall(data),
                                              client.shutdown(socket.SHUT_WR)))
    sender.start()
    answer = receive_all(client)
    sender.join()
    return answer


def until(condition: Callable[[], object], what: str) -> None:
    """Wait for a condition that another thread, or the VM, brings about."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"never came: {what}"
        time.sleep(0.001)
