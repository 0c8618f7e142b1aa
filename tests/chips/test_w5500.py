"""The W5500 model against the datasheet (1.0.9): SPI frame, registers, memories, interrupts."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host_tools.emulator.chips import w5500_registers as reg
from host_tools.emulator.chips.ring_memory import RingMemory
from host_tools.emulator.chips.w5500_registers import COMMON_OFFSETS, Command, Status
from tests.chips.w5500_host import client, readable

SIPR, GAR, SIR, SIMR = (COMMON_OFFSETS[name] for name in ("SIPR", "GAR", "SIR", "SIMR"))
RTR, PHYCFGR, VERSIONR = (COMMON_OFFSETS[name] for name in ("RTR", "PHYCFGR", "VERSIONR"))


def test_reset_values(host):
    assert host.read_common(VERSIONR) == b"\x04"
    assert host.read_common(RTR, 3) == b"\x07\xd0\x08"
    assert host.read_common(PHYCFGR) == b"\xbf"  # 0xB8, and link up at 100 Mbit/s full duplex
    block = host.frame(0, 0x08, bytes(reg.SOCKET_SIZE))
    assert block[0x06:0x0C] == b"\xff" * 6
    assert (block[0x16], block[0x1E], block[0x1F]) == (0x80, 2, 2)
    assert (block[0x20:0x22], block[0x2C], block[0x2D:0x2F]) == (b"\x08\x00", 0xFF, b"\x40\x00")


def test_header_goes_in_while_its_octets_are_numbered(chip):
    chip.select(True)
    assert chip.transfer_bulk(b"\x00\x39\x00\x00") == b"\x01\x02\x03\x04"
    chip.select(False)
    assert chip.transfer_bulk(b"\x00\x39\x00\x00") == b"\xff" * 4  # not selected


def test_variable_length_increments_the_address(host):
    host.write_common(GAR, bytes(range(1, 19)))  # GAR, SUBR, SHAR, SIPR in one frame (2.3.1)
    assert host.read_common(SIPR, 4) == bytes((15, 16, 17, 18))
    assert host.read_common(GAR, 18) == bytes(range(1, 19))


def test_fixed_lengths_end_a_frame_without_chip_select(chip, host):
    """2.4: one selection, three frames: write 4 octets, read 2, read 1."""
    chip.select(True)
    reply = chip.transfer_bulk(b"\x00\x0f\x07" + b"\xc0\xa8\x4d\x02" +
                               b"\x00\x0f\x02" + b"\0\0" + b"\x00\x12\x01" + b"\0")
    chip.select(False)
    assert reply[7:] == b"\x01\x02\x03\xc0\xa8\x01\x02\x03\x02"
    assert host.read_common(SIPR, 4) == b"\xc0\xa8\x4d\x02"
    assert chip.counters.frames == 2


def test_octet_by_octet_is_the_same_as_in_bulk(chip):
    def shift(data):
        chip.select(True)
        reply = bytes(chip.transfer(octet) for octet in data)
        chip.select(False)
        return reply

    shift(b"\x00\x0f\x04\x0a\x00\x00\x01")
    assert shift(b"\x00\x0f\x00" + bytes(4)) == b"\x01\x02\x03\x0a\x00\x00\x01"
    shift(b"\x07\xfe\x14abcd")  # socket 0's TX memory, over its end
    assert shift(b"\x07\xfe\x10" + bytes(4))[3:] == b"abcd"
    assert shift(b"\x00\x00\x10" + bytes(2))[3:] == b"cd"


def test_a_new_selection_begins_a_new_frame(chip):
    chip.select(True)
    chip.transfer_bulk(b"\x00\x0f")
    chip.select(False)
    chip.select(True)
    assert chip.transfer_bulk(b"\x00\x39\x00\x00")[3] == 0x04


@pytest.mark.parametrize(("address", "control", "data", "words"), [
    (0x0000, 0x20, b"\0", "reserved block 0b00100"),
    (0x0039, 0x04, b"\x05", "VERSIONR"),
    (0x0030, 0x04, b"\x05", "no register"),
    (0xF000, 0x00, b"\0", "beyond the common registers"),
    (0x0003, 0x0C, b"\x17", "Sn_SR"),
    (0x0014, 0x0C, b"\x17", "no register"),
    (0x0030, 0x08, b"\0", "beyond the registers"),
    (0x0001, 0x0C, b"\x7e", "unknown command 0x7e"),
    (0x0001, 0x0C, b"\x20", "SEND in SOCK_CLOSED"),
    (0x001E, 0x0C, b"\x03", "Sn_RXBUF_SIZE = 3"),
    (0x001F, 0x0C, b"\x10", "30 of 16 KB"),
])
def test_what_the_datasheet_does_not_allow_is_warned_of(host, address, control, data, words):
    with pytest.warns(UserWarning, match=words):
        host.frame(address, control, data)
    assert host.read_common(VERSIONR) == b"\x04"
    assert host.status(0) == Status.SOCK_CLOSED


@pytest.mark.parametrize("mode", [0x00, 0x03, 0x04])
def test_raw_modes_are_warned_of(host, mode):
    with pytest.warns(UserWarning, match="not emulated"):
        host.open(0, mode)
    assert host.status(0) == Status.SOCK_CLOSED


def test_software_reset(host):
    host.write_common(SIPR, b"\x0a\x00\x00\x01")
    host.listen(3)
    host.write_common(0, bytes((reg.MR_RST,)))
    assert host.read_common(0) == b"\0"
    assert host.read_common(SIPR, 4) == bytes(4)
    assert host.status(3) == Status.SOCK_CLOSED
    assert host.read(3, "Sn_PORT", 2) == 0


def test_reset_pin_drops_connections(chip, host, lan):
    host.listen(0)
    with client(lan) as peer:
        host.until_status(0, Status.SOCK_ESTABLISHED)
        chip.reset()
        assert host.status(0) == Status.SOCK_CLOSED
        with pytest.raises(ConnectionResetError):
            peer.recv(1)


@settings(max_examples=200, deadline=None)
@given(size=st.sampled_from([0, 1, 2, 4, 8, 16]),
       writes=st.lists(st.tuples(st.integers(0, 0xFFFF), st.binary(max_size=40))),
       address=st.integers(0, 0xFFFF), length=st.integers(0, 40))
def test_ring_memory(size, writes, address, length):
    """Against the same memory, octet by octet."""
    ring, plain = RingMemory(size), bytearray(max(size, 1))
    for start, data in writes:
        ring.write(start, data)
        for i, octet in enumerate(data if size else b""):
            plain[(start + i) % size] = octet
    assert ring.read(address, length) == bytes(
        plain[(address + i) % size] if size else 0 for i in range(length))


def test_memory_sizes(host):
    for number in range(8):
        for register in ("Sn_RXBUF_SIZE", "Sn_TXBUF_SIZE"):
            host.write(number, register, 16 if number == 7 else 0)
    host.open(7)
    assert host.read(7, "Sn_TX_FSR", 2) == 0x4000
    assert host.read(0, "Sn_TX_FSR", 2) == 0
    data = bytes(range(256)) * 64
    host.frame(0x8123, 0xF4, data)  # socket 7's TX memory, wrapping at 16 KB
    assert host.frame(0x0123, 0xF0, bytes(len(data))) == data
    host.frame(0x0000, 0x14, b"lost")
    assert host.frame(0x0000, 0x10, bytes(4)) == bytes(4)  # no memory there


def test_interrupts_are_cleared_by_writing_ones(chip, host, lan):
    host.write_common(SIMR, b"\xff")
    host.listen(2)
    with client(lan) as peer:
        peer.sendall(b"x")
        host.until(lambda: host.read(2, "Sn_IR") == reg.IR_CON | reg.IR_RECV)
        assert host.read_common(SIR) == b"\x04" and chip.interrupt
        host.write(2, "Sn_IR", reg.IR_CON)
        assert host.read(2, "Sn_IR") == reg.IR_RECV and chip.interrupt
        host.write(2, "Sn_IR", 0)
        assert host.read(2, "Sn_IR") == reg.IR_RECV
        host.write_common(COMMON_OFFSETS["IR"], b"\xf0")
        assert host.read_common(COMMON_OFFSETS["IR"]) == b"\0"
        host.write(2, "Sn_IR", 0xFF)
        assert host.read_common(SIR) == b"\0" and not chip.interrupt


def test_interrupt_masks(chip, host):
    """Sn_IMR masks SIR and the pin, SIMR the pin; Sn_IR records all the same."""
    host.write(0, "Sn_IMR", 0xFF & ~reg.IR_SEND_OK)
    host.open(0, reg.PROTOCOL_UDP)
    host.give(0, b"x")
    assert host.read(0, "Sn_IR") == reg.IR_SEND_OK
    assert host.read_common(SIR) == b"\0"
    host.write(0, "Sn_IMR", 0xFF)
    assert host.read_common(SIR) == b"\x01" and not chip.interrupt
    host.write_common(SIMR, b"\x01")
    assert chip.interrupt


def test_interrupt_pin_without_any_frame(chip, host, lan):
    """The descriptor and poll() alone bring the pin down: what a front end does."""
    host.write_common(SIMR, b"\xff")
    host.listen(0)
    frames = chip.counters.frames
    with client(lan):
        assert not chip.interrupt and readable(chip)
        chip.poll()
        assert chip.interrupt
    assert chip.counters.frames == frames


def test_status_reads_poll_once_a_frame(chip, host):
    before = chip.counters.polls
    host.frame(0, 0x08, bytes(reg.SOCKET_SIZE))
    assert chip.counters.polls == before + 1
    chip.select(True)
    for octet in b"\x00\x20\x08" + bytes(12):
        chip.transfer(octet)
    chip.select(False)
    assert chip.counters.polls == before + 2
    host.read_common(VERSIONR)
    host.read(0, "Sn_PORT", 2)
    assert chip.counters.polls == before + 2


def test_counters(chip, host, lan):
    host.listen(1)
    with client(lan) as peer:
        peer.sendall(bytes(100))
        host.until(lambda: host.read(1, "Sn_RX_RSR", 2) == 100)
        assert len(host.take(1)) == 100
        host.give(1, bytes(7))
    counters = chip.counters
    assert counters.commands == {"OPEN": 1, "LISTEN": 1, "RECV": 1, "SEND": 1}
    assert counters.blocks["tx 1"] == counters.blocks["rx 1"] == 1
    assert (counters.tcp_received, counters.tcp_sent) == (100, 7)
    assert sum(counters.blocks.values()) == counters.frames
    assert counters.octets == 3 * counters.frames + counters.read + counters.written


@pytest.mark.parametrize("status", [Status.SOCK_CLOSED, Status.SOCK_INIT, Status.SOCK_LISTEN])
def test_disconnect_before_a_connection_closes(host, status):
    if status != Status.SOCK_CLOSED:
        host.open(0)
    if status == Status.SOCK_LISTEN:
        host.command(0, Command.LISTEN)
    assert host.status(0) == status
    host.command(0, Command.DISCON)
    assert host.status(0) == Status.SOCK_CLOSED
