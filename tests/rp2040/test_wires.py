"""Our models on the pins of rp2040py's RP2040: every octet goes through its SPI, its GPIO or its
DMA, by the addresses of their registers."""

import itertools

import pytest

from host_tools.emulator.card_image import CardImage
from host_tools.emulator.chips.sd_card import SDCard
from host_tools.emulator.chips.w5500 import W5500
from host_tools.emulator.chips.w5500_registers import COMMON_OFFSETS, IR_RECV, Status
from host_tools.emulator.lan import Lan
from host_tools.emulator.rp2040 import InputWire, OutputWire, SpiWire
from tests.chips.sd_host import SdHost, block
from tests.chips.w5500_host import Host, client, free_offset
from tests.rp2040.master import Master, drive, level

emulator = pytest.importorskip("rp2040py.rp2040", reason="pip install -r tests/requirements.txt")

CARD_SELECT, ETHERNET_SELECT, RESET, INTERRUPT = 13, 17, 20, 21
SERIAL = (1, 2, 3, 4, 5, 6)


@pytest.fixture(params=["bytes", "bulk"])
def bulk(request) -> bool:
    return request.param == "bulk"


class Board:
    """A chip with the card on SPI 1 and the W5500 on SPI 0."""

    def __init__(self, folder, bulk: bool):
        self.chip = emulator.RP2040()
        self.card = SDCard(CardImage.create(folder / "card.img", formatted=False))
        self.lan = Lan(free_offset())
        self.w5500 = W5500(self.lan)
        self.interrupt = InputWire(INTERRUPT, lambda: not self.w5500.interrupt)
        self.wires = (SpiWire(1, {CARD_SELECT: self.card}),
                      SpiWire(0, {ETHERNET_SELECT: self.w5500}, self.interrupt.update))
        for wire in (*self.wires, self.interrupt, OutputWire(
                RESET, lambda level: None if level else self.w5500.reset())):
            wire.attach(self.chip)
        drive(self.chip, RESET, 1)
        self.card_master = Master(self.chip, 1, CARD_SELECT, self.card, bulk)
        self.sd = SdHost(self.card_master)
        self.ethernet_master = Master(self.chip, 0, ETHERNET_SELECT, self.w5500, bulk)
        self.ethernet = Host(self.ethernet_master)


@pytest.fixture
def board(tmp_path, bulk):
    board = Board(tmp_path, bulk)
    yield board
    board.lan.close()


def test_the_card_is_initialised_and_keeps_blocks(board):
    board.sd.start()
    assert board.sd.status() == (0, 0)
    assert board.sd.write(7, block(7)) == 5
    assert board.card.image.read_blocks(7) == block(7)
    assert board.sd.write_many(8, [block(8), block(9)]) == [5, 5]
    assert board.sd.read(8) == block(8)
    assert board.sd.read_many(7, 3) == block(7) + block(8) + block(9)


def test_the_w5500_has_registers_and_memories(board):
    host = board.ethernet
    assert host.read_common(COMMON_OFFSETS["VERSIONR"]) == b"\x04"
    host.write_common(COMMON_OFFSETS["SHAR"], bytes(SERIAL))
    assert host.read_common(COMMON_OFFSETS["SHAR"], 6) == bytes(SERIAL)
    pattern = bytes(itertools.islice(itertools.cycle(range(251)), 700))
    host.frame(0x100, 2 << 3 | 4, pattern)  # the TX memory of socket 0
    assert host.frame(0x100, 2 << 3, bytes(700)) == pattern


def test_a_chip_hears_its_own_bus_and_select_alone(board):
    version = bytes((0, COMMON_OFFSETS["VERSIONR"], 0, 0))
    other = Master(board.chip, 1, CARD_SELECT, board.card, False)
    assert board.ethernet_master.transfer_bulk(version) == b"\xff" * 4, "nobody is selected"
    board.ethernet_master.select(True)
    assert other.transfer_bulk(version) == b"\xff" * 4, "SPI 1 is not the W5500's"
    assert board.ethernet_master.transfer_bulk(version)[3] == 4
    board.ethernet_master.select(False)
    board.card_master.select(True)
    assert board.ethernet_master.transfer_bulk(version) == b"\xff" * 4, "that was the card's"
    assert board.w5500.counters.frames == 1
    assert board.w5500.counters.octets == 4


def test_unselected_clocks_count_before_cmd0(board):
    """The card wants 74 clocks with its select high (6.4.1)."""
    board.card_master.select(True)
    with pytest.warns(UserWarning, match="CMD0 before SPI mode, after 0 clocks"):
        board.card_master.transfer_bulk(b"\x40\0\0\0\0\x95")
    board.sd.start()


def test_the_interrupt_line_follows_the_w5500(board):
    host, chip = board.ethernet, board.chip
    host.write_common(COMMON_OFFSETS["SIMR"], b"\x01")
    host.listen(0)
    assert level(chip, INTERRUPT) == 1
    with client(board.lan) as peer:
        host.until_status(0, Status.SOCK_ESTABLISHED)
        host.interrupts(0)
        assert level(chip, INTERRUPT) == 1
        peer.sendall(b"x")
        # Between the chip's slices a board polls, then looks at the line.
        for _ in range(500):
            board.w5500.poll()
            board.interrupt.update()
            if not level(chip, INTERRUPT):
                break
        assert level(chip, INTERRUPT) == 0
        assert host.take(0) == b"x"
        assert level(chip, INTERRUPT) == 0, "Sn_IR is not cleared yet"
        assert host.interrupts(0) == IR_RECV  # the frame that clears it ends, and the line is up
        assert level(chip, INTERRUPT) == 1


def test_the_interrupt_line_is_an_interrupt_to_the_core(board):
    """A level that stays gives no second edge."""
    chip = board.chip
    level(chip, INTERRUPT)
    status = 0x4001_4000 + 0xF0 + 4 * (INTERRUPT // 8)  # INTRn: a nibble for each pin
    shift = 4 * (INTERRUPT % 8)
    edge_low = 1 << 2
    chip.write_uint32(status, edge_low << shift)
    lines = [True]
    wire = InputWire(INTERRUPT, lambda: lines[0])
    wire.attach(chip)
    assert not chip.read_uint32(status) >> shift & edge_low
    lines[0] = False
    wire.update()
    assert chip.read_uint32(status) >> shift & edge_low
    chip.write_uint32(status, edge_low << shift)
    wire.update()
    assert not chip.read_uint32(status) >> shift & edge_low


def test_the_reset_line_resets_the_w5500(board):
    board.ethernet.write_common(COMMON_OFFSETS["SHAR"], bytes(SERIAL))
    board.ethernet.listen(0)
    drive(board.chip, RESET, 0)
    drive(board.chip, RESET, 1)
    assert board.ethernet.read_common(COMMON_OFFSETS["SHAR"], 6) == bytes(6)
    assert board.ethernet.status(0) == Status.SOCK_CLOSED
