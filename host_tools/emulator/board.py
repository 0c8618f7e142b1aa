"""One emulated board: the VM with the firmware, the chips around it, and its flash as a folder.

Everything happens in `run`, in one thread: frames from the VM, sockets behind the W5500, lines
from the console.
"""

from __future__ import annotations

import functools
import json
import os
import re
import select
import selectors
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

from host_tools import boards, firmware_build, tls_identity, vm
from host_tools.emulator import dns_server, ntp_server
from host_tools.emulator.cable import Cable
from host_tools.emulator.card_image import CardImage
from host_tools.emulator.channel import Channel, ProtocolError
from host_tools.emulator.chips.sd_card import SDCard
from host_tools.emulator.chips.w5500 import W5500
from host_tools.emulator.clock import BusClock
from host_tools.emulator.faults import PowerCut
from host_tools.emulator.flash import ACCOUNTS, SETTINGS
from host_tools.emulator.lan import GATEWAY, Lan, PortError
from host_tools.emulator.lwip_mdns import LwipMdns
from host_tools.emulator.radio import Radio
from host_tools.emulator.spi_bus import Pins, SpiBus, SpiDevice
from host_tools.emulator.usb import FLASH_KIB, UsbFolder

DEVICE_MODULES = Path(__file__).parent / "device_modules"
_IN_PLACE_SCRIPT = Path(__file__).parent / "vm_in_place.py"
_USB_SCRIPT = Path(__file__).parent / "vm_board.py"
_STOP_TIME = 10  # s for the firmware to sync the card and leave
_CTRL_C = b"\x03"
# Behind it programs talk (MicroPython, docs/reference/repl.rst), and a key may be what they say.
_RAW_REPL = re.compile(r"(>>> .*)?raw REPL; CTRL-B to exit")
# What loose files take of the heap beyond an image's, and no RP2040 has (DESIGN.md, "What the
# heap is spent on"), KiB.
_LOOSE_KIB = 48
_TURN = 0.5  # s between two looks at the watchdog


class EmulatedBoard:
    """`definition` is boards/<name>/board.json as a dict; `flash` a folder with its files, or with
    `usb` a file with its flash: then it is a board as it is bought, and waits for an image and for
    what comes in at its port. `in_place`: the firmware is in the image, as `boards/manifest.py`
    builds one; else it is loaded into the heap. `keys`: where lines for its console are typed, by
    somebody who sees them there, a file descriptor.

    After `run`: `power_cut` says whether a fault took the power away, `console_tail` holds the
    last lines. The models are `sd_card` and, each or None, `w5500`, `lan`, `radio`, `cable`, all
    with their counters and faults.
    """

    def __init__(self, definition: dict, card: CardImage, flash: Path, port_offset: int,
                 heap_kib: int | None = None, main: Path | None = None,
                 usb: UsbFolder | None = None, in_place: bool = False, keys: int | None = None):
        self.definition = definition
        self.flash = flash
        self.port_offset = port_offset
        self.heap_kib = heap_kib or definition["heap_kib"]
        self.power_cut = False
        self.console_tail: list[str] = []
        self.clock = BusClock()
        self.pins = Pins()
        self.buses: dict[int, SpiBus] = {}
        self.sd_card = SDCard(card)
        self._attach(definition["sd_card"], self.sd_card)
        self.lan: Lan | None = None
        self.w5500: W5500 | None = None
        self.radio: Radio | None = None
        self.cable: Cable | None = None
        if definition["link"] == "wiznet":
            self._attach_w5500(definition["wiznet"])
        elif definition["link"] == "wiznet5k":
            # MicroPython's driver is not emulated: its bus is there, and nothing on it.
            self.buses[definition["wiznet"]["spi"]] = SpiBus(self.clock)
            self.cable = Cable()
        else:
            self.radio = Radio()
        self.time_server = ntp_server.NtpServer()
        self.dns_server = dns_server.DnsServer(
            {dns_server.HOST: socket.inet_ntoa(GATEWAY) if self.lan else "127.0.0.1"})
        # What the router answers to by UDP.
        self._router = {ntp_server.PORT: self.time_server.answer,
                        dns_server.PORT: self.dns_server.answer}
        if self.lan:
            self.lan.udp.update(self._router)
        self._main = main
        self._usb = usb
        self._keys = keys
        self._echoes: list[str] = []  # of what was typed there
        self._raw = False  # since this start a program has its prompt
        self._in_place = in_place
        self._process: subprocess.Popen | None = None
        self._cause = ""  # of this start: "" (the power came), "reset" or "watchdog"
        self._stop_by = 0.0
        self._wake_ours, self._wake_theirs = socket.socketpair()
        self._wake_ours.setblocking(False)

    def _attach(self, wiring: dict, device: SpiDevice) -> None:
        bus = self.buses.setdefault(wiring["spi"], SpiBus(self.clock))
        bus.attach(device)
        self.pins.outputs[wiring["cs"]] = lambda level: bus.select(device, not level)

    def _attach_w5500(self, wiring: dict) -> None:
        self.lan = Lan(self.port_offset)
        self.w5500 = chip = W5500(self.lan)
        self._attach(wiring, chip)
        if "reset" in wiring:
            self.pins.outputs[wiring["reset"]] = lambda level: None if level else chip.reset()
        if "interrupt" in wiring:
            self.pins.inputs[wiring["interrupt"]] = chip.interrupt_level

    def claim(self, ports: list[int]) -> None:
        """Make sure that the outside ports are free. Raises PortError for the first that is not."""
        lan = self.lan or Lan(self.port_offset)
        lan.claim(ports)
        if lan is not self.lan:
            lan.close()

    def run(self, on_line: Callable[[str], None]) -> int:
        """Boot and serve until the firmware ends for good; `on_line` gets each console line.

        A reset, its own or the watchdog's, boots it again: only the chip, not what is around it.
        Returns the VM's exit status. Raises PortError when a port was taken meanwhile, and
        ProtocolError for a firmware that is another board's.
        """
        network = self.radio or self.cable
        if self._usb and not self.flash.exists() and not self._take_image():
            return 0
        try:
            while True:
                if self._usb and self._usb.fileno() < 0:
                    self._usb.attach()
                channel = Channel(self.buses, self.pins, network.ask if network else None)
                status = self._boot(channel, on_line)
                soft_reset = self._usb and not status
                if self._stop_by or self.power_cut or not (channel.cause or soft_reset):
                    return status
                self._cause = channel.cause or self._cause
                if self._usb and channel.cause:
                    self._usb.detach()
                if channel.cause == "bootloader":
                    self._cause = "reset"  # as the bootloader leaves it
                    if self._usb and not self._take_image():
                        return 0
        finally:
            if self._usb:
                self._usb.detach()
            if self.lan:
                self.lan.close()

    def _boot(self, channel: Channel, on_line: Callable[[str], None]) -> int:
        """From a start to an end of whatever kind. With USB the firmware is what lies on the flash,
        else what is in this tree.
        """
        path, cwd, flash, heap_kib = [DEVICE_MODULES], None, {}, self.heap_kib
        self._raw = False
        if self._usb:
            script = _USB_SCRIPT
            flash = {"PICOPOST_FLASH": str(self.flash.resolve())}
            if self._in_place:
                script, more, image = in_place(firmware_build.build_for_vm(), script)
                heap_kib += more
                flash.update(image)
            elif (heap_kib == self.definition["heap_kib"]
                  and boards.chip_of(self.definition) is boards.RP2040):
                heap_kib += _LOOSE_KIB
        else:
            tree = firmware_build.build_for_vm()
            script = self._main or tree / "main.py"
            cwd = self.flash
            if self._in_place:
                script, more, flash = in_place(tree, script)
                heap_kib += more
            else:
                path += [tree, tree / "lib"]
        self._process = vm.start(
            heap_kib, str(script), path=path, cwd=cwd,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            umask=0o077,  # what it writes to its flash is for its owner alone
            start_new_session=True,  # a Ctrl-C in our terminal is ours to pass on
            pass_fds=(channel.vm_end.fileno(),),
            env={"PICOPOST_EMULATOR_FD": str(channel.vm_end.fileno()),
                 "PICOPOST_RESET_CAUSE": self._cause, **flash,
                 "PICOPOST_PORT_OFFSET": str(self.port_offset)})
        channel.vm_end.close()
        around = {} if self.lan else self._around()
        try:
            self._serve(channel, on_line, around)
        except PowerCut:
            self.power_cut = True
        except ProtocolError:
            self._process.kill()  # it waits for an answer
            raise
        finally:
            if self._process.poll() is None:
                try:
                    self._process.wait(0 if self.power_cut or channel.cause else _STOP_TIME)
                except subprocess.TimeoutExpired:
                    self._process.kill()
            status = self._process.wait()
            self._process.stdin.close()
            self._process.stdout.close()
            channel.close()
            for endpoint in around:
                endpoint.close()
        return status

    def _around(self) -> dict:
        """What is around a board with lwIP: {what can be read and closed: who reads it}. The router
        tells the time and names, and lwIP answers to its own.
        """
        found = {}
        for port, answer in self._router.items():
            endpoint = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            found[endpoint] = functools.partial(self._answer, endpoint, answer)
            try:
                endpoint.bind(("127.0.0.1", self.port_offset + port))
            except OSError as error:
                for opened in found:
                    opened.close()
                raise PortError(f"UDP port {self.port_offset + port}: {error.strerror}") from error
            endpoint.setblocking(False)
        try:
            mdns = LwipMdns(self.radio or self.cable)
            found[mdns] = mdns.poll
        except OSError:
            pass  # nobody asks where there is no multicast
        return found

    @staticmethod
    def _answer(endpoint: socket.socket, answer: Callable[[bytes], bytes | None]) -> None:
        message, sender = endpoint.recvfrom(1500)
        reply = answer(message)
        if reply:
            endpoint.sendto(reply, sender)

    def stop(self) -> None:
        """Ask the firmware to end, as Ctrl-C on its console does. From any thread or signal."""
        self._wake_theirs.send(b"S")

    def _serve(self, channel: Channel, on_line: Callable[[str], None],
               around: dict) -> None:
        console = self._process.stdout
        os.set_blocking(console.fileno(), False)
        pending = b""
        with selectors.DefaultSelector() as selector:
            selector.register(channel, selectors.EVENT_READ, "chips")
            selector.register(console, selectors.EVENT_READ, "console")
            selector.register(self._wake_ours, selectors.EVENT_READ, "wake")
            if self._usb:
                selector.register(self._usb, selectors.EVENT_READ, "usb")
            if self._keys is not None:
                selector.register(self._keys, selectors.EVENT_READ, "keys")
            if self.w5500:
                selector.register(self.w5500, selectors.EVENT_READ, "lan")
            for endpoint in around:
                selector.register(endpoint, selectors.EVENT_READ, "around")
            while True:
                timeout = None
                if self._stop_by:
                    timeout = self._stop_by - time.monotonic()
                    if timeout <= 0:
                        self._process.kill()
                elif channel.watchdog_ms:
                    # Counted in turns of this loop, since a machine that is busy with other things
                    # slows both ends alike.
                    timeout = _TURN
                    if channel.overdue(time.monotonic(), _TURN):
                        self._process.kill()
                if self._usb:
                    self._show(selector, console)
                    timeout = min(_TURN, timeout or _TURN) if self._usb.waits else timeout
                for key, mask in selector.select(timeout):
                    if key.data == "chips":
                        if not channel.service():
                            selector.unregister(channel)
                    elif key.data == "lan":
                        self.w5500.poll()
                    elif key.data == "around":
                        around[key.fileobj]()
                    elif key.data == "usb":
                        if mask & selectors.EVENT_READ:
                            self._type(self._usb.typed())
                        if self._usb.unplugged:
                            raise PowerCut
                    elif key.data == "keys":
                        if not self._take_lines():
                            selector.unregister(self._keys)
                    elif key.data == "wake":
                        self._wake_ours.recv(100)
                        self._ask_to_stop()
                    else:
                        data = console.read(65536)
                        if not data:
                            if data is None:
                                continue
                            if pending:
                                self._line(pending, on_line)
                            return
                        if self._usb:
                            self._usb.show(data)
                        *lines, pending = (pending + data).split(b"\n")
                        for line in lines:
                            self._line(line, on_line)
                if self.lan and self.lan.port_error:
                    raise PortError(str(self.lan.port_error))

    def _show(self, selector: selectors.BaseSelector, console: IO[bytes]) -> None:
        """Send what waits for the port; nothing more is taken from the VM while that is much."""
        self._usb.send()
        selector.modify(self._usb, selectors.EVENT_READ
                        | (selectors.EVENT_WRITE if self._usb.waits else 0), "usb")
        taken = console in selector.get_map()
        if taken and self._usb.full:
            selector.unregister(console)
        elif not taken and not self._usb.full:
            selector.register(console, selectors.EVENT_READ, "console")

    def _line(self, line: bytes, on_line: Callable[[str], None]) -> None:
        text = line.decode(errors="replace").rstrip("\r")
        if text in self._echoes:
            self._echoes.remove(text)
            return
        if self._raw:
            return
        self._raw = bool(self._usb and _RAW_REPL.fullmatch(text))
        self.console_tail = [*self.console_tail[-30:], text]
        on_line(text)

    def _take_lines(self) -> bool:
        """Type what somebody has; False: nobody does any more, or not for us."""
        try:
            octets = os.read(self._keys, 4096)
        except OSError:
            return False
        lines = [line.strip() for line in octets.decode(errors="replace").splitlines()]
        self._echoes = [line for line in [*self._echoes, *lines][-10:] if line]
        self._type(octets)
        return bool(octets)

    def _ask_to_stop(self) -> None:
        if not self._stop_by:
            self._stop_by = time.monotonic() + _STOP_TIME
            self._type(_CTRL_C)
            if self._usb:  # and the prompt's end
                self._process.stdin.close()

    def _type(self, octets: bytes) -> None:
        try:
            self._process.stdin.write(octets)
            self._process.stdin.flush()
        except (BrokenPipeError, ValueError):
            pass  # it has ended by itself, or is about to

    def _take_image(self) -> bool:
        """Offer the BOOTSEL drive until it has got an image: the VM is the MicroPython. An image
        leaves the file system of the one before it alone. False: `stop` came first.
        """
        self._usb.offer_drive()
        while self._usb.taken() is None:
            if select.select([self._wake_ours], [], [], _TURN / 10)[0]:
                return False
        if self.flash.exists():
            return True
        size = FLASH_KIB[self.definition["image"]["name"]] << 10
        self.flash.touch(mode=0o600)
        self.flash.write_bytes(b"\xff" * size)
        return True


def in_place(tree: Path, main: Path) -> tuple[Path, int, dict[str, str]]:
    """What the VM runs so that `tree` is in its image: a script that runs `main`, KiB of heap for
    the image, and the script's environment."""
    image = firmware_build.rom_image(tree)
    return (_IN_PLACE_SCRIPT, vm.board_kib(image.stat().st_size),
            {"PICOPOST_IMAGE": str(image), "PICOPOST_MAIN": str(main)})


def prepare_flash(flash: Path, definition: dict, settings: dict, accounts: list[str] | None,
                  tls: tuple[bytes, bytes] | None = None) -> None:
    """Lay out the board's flash, of which nothing old stays: its definition, settings, accounts
    (None: those that are there), and `tls`, the DER of a private key and of its certificate. It is
    for its owner alone, whoever made it."""
    flash.mkdir(parents=True, exist_ok=True)
    flash.chmod(0o700)
    for path in flash.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != ACCOUNTS:
            path.unlink()
        else:
            path.chmod(0o600)
    (flash / "board.json").write_text(json.dumps(boards.for_firmware(definition)))
    (flash / SETTINGS).write_text(json.dumps(settings))
    if accounts is not None:
        (flash / ACCOUNTS).touch(mode=0o600)
        (flash / ACCOUNTS).write_text("\n".join([*accounts, ""]))
    if tls:
        for name, octets in zip((tls_identity.KEY, tls_identity.CERTIFICATE), tls, strict=True):
            path = flash / name
            path.touch(mode=0o600)
            path.write_bytes(octets)
