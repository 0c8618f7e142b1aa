"""The SD card model against the sequences of the specification, byte by byte."""

import binascii
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host_tools.emulator.card_image import CardImage
from host_tools.emulator.chips.sd_card import SLOW, SDCard, Timing
from host_tools.emulator.chips.sd_registers import crc7
from tests.chips.sd_host import ARGUMENT_HCS, ErrorToken, NoAnswer, SdHost, block

# What the model warns of is a mistake of the host; the tests make some on purpose.
pytestmark = pytest.mark.filterwarnings("error::UserWarning")

SIZE = 4 << 20
LAST = SIZE // 512 - 1
FIXED = Timing(response=(1, 1), read_access=(2, 2), write_busy=(3, 3), stop_busy=(2, 2),
               initialisation=2)


@pytest.fixture
def image(tmp_path):
    with CardImage.create(tmp_path / "card.img", SIZE, formatted=False) as image:
        yield image


@pytest.fixture
def card(image):
    return SDCard(image, timing=FIXED)


@pytest.fixture
def host(card):
    host = SdHost(card)
    host.start()
    return host


def exchange(card: SDCard, mosi: str, miso: str, by_byte: bool) -> None:
    out, expected = bytes.fromhex(mosi), bytes.fromhex(miso)
    if by_byte:
        got = bytes(card.transfer(byte) for byte in out)
    else:
        got = card.transfer_bulk(out)
    assert got.hex(" ") == expected.hex(" ")


@pytest.mark.parametrize("by_byte", [True, False])
def test_initialisation_byte_by_byte(card, by_byte):
    exchange(card, "FF" * 10, "FF" * 10, by_byte)
    card.select(True)
    silent = "FF" * 6
    for mosi, miso in (
        ("40 00000000 95 FFFFFF", "FF 01 FF"),
        ("48 000001AA 87 FFFFFFFFFFFFFF", "FF 01 000001AA FF"),
        ("7A 00000000 FD FFFFFFFFFFFFFF", "FF 01 00FF8000 FF"),
        ("7B 00000001 83 FFFFFF", "FF 01 FF"),
        ("77 00000000 65 FFFFFF", "FF 01 FF"),
        ("69 40000000 77 FFFFFF", "FF 01 FF"),
        ("77 00000000 65 FFFFFF", "FF 01 FF"),
        ("69 40000000 77 FFFFFF", "FF 00 FF"),
        ("7A 00000000 FD FFFFFFFFFFFFFF", "FF 00 C0FF8000 FF"),
        ("50 00000200 15 FFFFFF", "FF 00 FF"),
        ("4D 00000000 0D FFFFFFFF", "FF 00 00 FF"),
    ):
        exchange(card, mosi, silent + miso, by_byte)


@pytest.mark.parametrize("by_byte", [True, False])
def test_blocks_byte_by_byte(host, image, by_byte):
    card = host.card
    silent, ones, crc = "FF" * 6, "FF" * 512, "7F A1"  # the CRC16 of 512 octets 0xFF (4.5)
    # Single write: N_CR, R1, one byte of N_WR, the block, data response, busy.
    exchange(card, "58 00000000 6F FFFFFF" + f"FE {ones} {crc}" + "FFFFFFFFFF",
             silent + "FF 00 FF" + "FF" * 515 + "E5 000000 FF", by_byte)
    assert image.read_blocks(0) == b"\xff" * 512
    # Single read: N_CR, R1, N_AC of two bytes, the token.
    exchange(card, "51 00000000 55 FFFFFFFF" + "FF" * 516,
             silent + "FF 00 FFFF" + f"FE {ones} {crc}" + "FF", by_byte)
    # Multiple write of two blocks, Stop Tran, N_BR, busy.
    one = f"FC {ones} {crc} FFFFFFFF FF"
    exchange(card, "59 00000000 03 FFFFFF" + one + one + "FD FFFFFFFF",
             silent + "FF 00 FF" + ("FF" * 515 + "E5 000000 FF") * 2 + "FF FF 0000 FF", by_byte)
    assert image.read_blocks(0, 2) == b"\xff" * 1024
    # Multiple read: a second block begins; CMD12 ends it; stuff byte, N_CR, R1, busy.
    exchange(card, "52 00000000 E1" + "FF" * 519 + "FFFFFFFF"
             + "4C 00000000 61" + "FFFFFFFFFFFF",
             silent + "FF 00 FFFF" + f"FE {ones} {crc}" + "FFFF FE FF" + "FF" * 6
             + "FF FF 00 0000 FF", by_byte)


def test_nothing_before_74_clocks_and_cmd0(card):
    card.transfer_bulk(b"\xff" * 9)  # 72 clocks
    host = SdHost(card)
    card.select(True)
    with pytest.warns(UserWarning, match="CMD0 before SPI mode"), pytest.raises(NoAnswer):
        host.command(0)
    host.power_up_clocks()
    with pytest.warns(UserWarning, match="CMD8 before SPI mode"), pytest.raises(NoAnswer):
        host.command(8, 0x1AA, 4)
    with pytest.warns(UserWarning, match="CRC wrong"), pytest.raises(NoAnswer):
        host.command(0, wrong_crc=True)
    assert host.command(0) == b"\x01"


def test_an_idle_card_answers_few_commands(card):
    host = SdHost(card)
    host.power_up_clocks()
    host.command(0)
    for index in (9, 10, 12, 13, 16, 17, 18, 24, 25, 32, 38):
        with pytest.warns(UserWarning, match=f"CMD{index} is not"):
            assert host.command(index) == b"\x05"
    host.command(55)
    with pytest.warns(UserWarning, match="ACMD22"):
        assert host.command(22) == b"\x05"


def test_cmd8_checks_crc_and_voltage(card):
    host = SdHost(card)
    host.power_up_clocks()
    host.command(0)
    assert host.command(8, 0x1AA, wrong_crc=True) == b"\x09"
    assert host.command(8, 0x1AA, 4) == bytes.fromhex("01 000001AA")
    assert host.command(8, 0x2AA, 4) == bytes.fromhex("01 000000AA")
    assert card.counters.command_crc_errors == 1


@pytest.mark.parametrize("cmd8, hcs", [(False, ARGUMENT_HCS), (True, 0)])
def test_high_capacity_is_not_ready_for_an_old_host(card, cmd8, hcs):
    host = SdHost(card)
    host.power_up_clocks()
    host.command(0)
    if cmd8:
        host.command(8, 0x1AA, 4)
    for _ in range(20):
        host.command(55)
        assert host.command(41, hcs) == b"\x01"


def test_crc_of_commands_counts_after_cmd59(host):
    assert host.command(13, 0, wrong_crc=True) == b"\x08"
    assert host.command(59, 0) == b"\x00"
    assert host.command(13, 0, 1, wrong_crc=True) == b"\x00\x00"
    assert host.command(8, 0x1AA, wrong_crc=True) == b"\x08"
    assert host.card.counters.command_crc_errors == 2


def test_registers(host):
    csd = host.register(9, 16)
    assert csd[0] == 0x40  # version 2
    assert (int.from_bytes(csd[7:10], "big") & 0x3FFFFF) + 1 == SIZE // (512 * 1024)
    cid = host.register(10, 16)
    host.card.insert(serial=2)
    host.start()
    assert host.register(10, 16) != cid
    host.card.faults.write_protected = True
    assert host.register(9, 16)[14] == 0x10  # TMP_WRITE_PROTECT


def test_reads_and_writes(host, image):
    assert host.write(7, block(7)) == 0x05
    assert host.read(7) == image.read_blocks(7) == block(7)
    assert host.write_many(8, [block(8), block(9), block(10)]) == [0x05] * 3
    assert host.read_many(7, 4) == b"".join(map(block, range(7, 11)))
    counters = host.card.counters
    assert (counters.blocks_written, counters.blocks_read) == (4, 5)
    host.command(55)
    assert host.register(22, 4) == (3).to_bytes(4, "big")  # of the last write
    assert (counters.multi_block_writes, counters.multi_block_reads) == (1, 1)
    assert counters.commands["CMD12"] == counters.commands["CMD25"] == 1
    assert counters.commands["ACMD41"] == FIXED.initialisation
    assert host.status() == (0, 0)


def test_a_wrong_block_crc_ends_a_multiple_write(host, image):
    host.command(25, 4)
    assert host.send(0xFC, block(4)) == 0x05
    host.ready()
    assert host.send(0xFC, block(5), wrong_crc=True) == 0x0B
    assert host.send(0xFC, block(5)) == 0x0D  # only Stop Tran or CMD12 help
    assert host.command(12) == b"\x00"
    host.ready()
    host.command(55)
    assert host.register(22, 4) == b"\x00\x00\x00\x01"
    assert image.read_blocks(4, 2) == block(4) + bytes(512)
    assert host.card.counters.data_crc_errors == 1
    assert host.write(5, block(5)) == 0x05  # a new transfer starts clean


def test_block_crc_is_ignored_with_crc_off(card, image):
    host = SdHost(card)
    host.start(crc=False)
    host.command(24, 0)
    assert host.send(0xFE, block(1), wrong_crc=True) == 0x05
    assert image.read_blocks(0) == block(1)


def test_cmd55_is_for_the_next_command_only(host):
    with pytest.warns(UserWarning, match=" CMD22"):
        assert host.command(22) == b"\x04"
    host.command(55)
    host.status()
    with pytest.warns(UserWarning, match=" CMD22"):
        assert host.command(22) == b"\x04"


def test_commands_within_a_multiple_write(host):
    host.command(55)
    assert host.command(23, 8) == b"\x00"
    host.command(25, 0)
    host.send(0xFC, block(0))
    host.ready()
    assert host.status() == (0, 0)
    with pytest.warns(UserWarning, match="CMD17 is not known, or not allowed"):
        assert host.command(17, 0) == b"\x04"
    host.card.select(False)  # allowed between blocks
    host.card.select(True)
    assert host.send(0xFC, block(1)) == 0x05
    host.ready()
    host.stop_tran()
    with pytest.warns(UserWarning, match="CMD12"):
        assert host.command(12) == b"\x04"


def test_commands_within_a_multiple_read(host):
    host.command(18, 0)
    host.receive()
    with pytest.warns(UserWarning, match="CMD13"):
        host.card.transfer_bulk(bytes.fromhex("4D 00000000 0D"))
    assert host.command(12) == b"\x04"  # told late: MISO was busy with data
    host.ready()
    host.command(18, 0)
    host.receive()
    host.card.transfer_bulk(bytes.fromhex("4C 00000000 63"))  # a wrong CRC: it goes on
    assert host.command(12) == b"\x08"
    host.ready()
    assert host.status() == (0, 0)


def test_busy_goes_on_while_deselected_and_rejects_commands(image):
    card = SDCard(image, timing=Timing(response=(1, 1), write_busy=(40, 40)))
    host = SdHost(card)
    host.start()
    host.command(24, 0)
    host.send(0xFE, block(1))
    assert card.transfer_bulk(b"\xff" * 10) == bytes(10)
    card.select(False)
    assert card.transfer_bulk(b"\xff" * 10) == b"\xff" * 10
    card.select(True)
    with pytest.warns(UserWarning, match="CMD13 while busy"):
        assert card.transfer_bulk(bytes.fromhex("4D 00000000 0D FFFF")) == bytes(8)
    with pytest.warns(UserWarning, match="0xfe while busy"):
        assert card.transfer(0xFE) == 0
    assert host.ready() == 11  # 40 in all
    assert host.status() == (0, 0)


def test_cmd0_ends_busy(image):
    card = SDCard(image, timing=Timing(response=(2, 2), write_busy=(10_000, 10_000)))
    host = SdHost(card)
    host.start()
    host.command(24, 0)
    host.send(0xFE, block(2))
    answer = card.transfer_bulk(bytes.fromhex("40 00000000 95 FFFFFF"))
    assert answer == bytes(6) + b"\xff\xff\x01"


def test_addresses_out_of_range(host):
    for index in (17, 18, 24, 25, 32):
        assert host.command(index, LAST + 1) == b"\x40"
        assert host.status() == (0, 0x80)
        assert host.status() == (0, 0)
    host.command(18, LAST)
    host.receive()
    with pytest.raises(ErrorToken, match="8"):
        host.receive()
    host.command(12)
    host.ready()
    assert host.status() == (0, 0x80)
    assert host.write_many(LAST, [block(1), block(2)]) == [0x05, 0x0D]
    assert host.status() == (0, 0x80)


def test_erase(host, image):
    host.write_many(10, [block(n) for n in range(10, 14)])
    assert host.command(32, 11) == host.command(33, 12) == host.command(38) == b"\x00"
    assert host.ready() > 0
    assert image.read_blocks(10, 4) == block(10) + bytes(1024) + block(13)
    assert host.command(38) == b"\x10"
    assert host.command(33, 1) == b"\x10"
    host.command(32, 1)
    assert host.command(16, 512) == b"\x02"  # erase reset
    assert host.command(38) == b"\x10"
    host.command(32, 5)
    host.command(33, 4)
    host.command(38)
    host.ready()
    assert host.status() == (0, 0x40)


@pytest.mark.parametrize("version", [1, 2])
def test_standard_capacity(image, version):
    card = SDCard(image, high_capacity=False, version=version, timing=FIXED)
    host = SdHost(card)
    host.power_up_clocks()
    host.command(0)
    if version == 1:
        assert host.command(8, 0x1AA) == b"\x05"
    host.start()
    assert host.command(58, 0, 4) == bytes.fromhex("00 80FF8000")  # no CCS
    csd = host.register(9, 16)
    c_size = int.from_bytes(csd[6:9], "big") >> 6 & 0xFFF
    multiplier = 1 << ((csd[9] & 3) << 1 | csd[10] >> 7) + 2
    assert csd[0] == 0 and (c_size + 1) * multiplier << (csd[5] & 15) == SIZE
    assert host.write(1024, block(2)) == 0x05
    assert image.read_blocks(2) == block(2)
    assert host.command(24, 1000) == host.command(17, 1000) == b"\x20"
    assert host.command(17, SIZE) == b"\x40"
    assert host.command(16, 600) == b"\x40"
    assert host.command(16, 4) == b"\x00"
    host.command(17, 1024 + 4)
    assert host.receive(4) == (block(2)[:4], True)
    assert host.command(17, 1024 + 510) == b"\x20"  # across the end of a block
    assert host.command(24, 1024) == b"\x40"


def test_an_image_that_no_card_has(tmp_path):
    with CardImage.create(tmp_path / "card.img", SIZE + 512, formatted=False) as image:
        for high_capacity in (True, False):
            with pytest.raises(ValueError):
                SDCard(image, high_capacity=high_capacity)


def test_access_out_of_the_specification_is_warned_of(host):
    host.command(24, 0)
    with pytest.warns(UserWarning, match="deselected within"):
        host.card.select(False)
    assert host.card.transfer(0x40) == 0xFF
    host.card.select(True)
    with pytest.warns(UserWarning, match="unexpected byte 0x0"):
        host.card.transfer(0)
    host.command(24, 0)
    with pytest.warns(UserWarning, match="unexpected byte 0xfc"):
        host.card.transfer(0xFC)
    host.card.transfer_bulk(b"\xfe" + bytes(300))
    with pytest.warns(UserWarning, match="deselected within"):
        host.card.select(False)
    host.card.select(True)
    host.card.transfer_bulk(bytes.fromhex("4D 00000000 0D"))
    with pytest.warns(UserWarning, match="before the end of a response"):
        assert host.status() == (0, 0)
    with pytest.warns(UserWarning, match="CMD27"):
        assert host.command(27) == b"\x04"


def session(rng: random.Random) -> bytes:
    """What a host sends that knows every wait of FIXED and checks nothing."""
    def command(index, argument=0):
        octets = bytes((0x40 | index,)) + argument.to_bytes(4, "big")
        return octets + bytes((crc7(octets),)) + b"\xff" * 10

    sent = [command(0), command(8, 0x1AA), *(command(i, ARGUMENT_HCS) for i in (55, 41) * 2),
            command(59, 1)]
    for _ in range(6):
        where = rng.randrange(LAST - 8)
        count = rng.randrange(1, 4)
        blocks = [rng.randbytes(512) for _ in range(count)]
        frames = [data + binascii.crc_hqx(data, 0).to_bytes(2, "big") for data in blocks]
        sent += rng.choice((
            [command(24, where), b"\xfe", frames[0], b"\xff" * 8, command(13)],
            [command(25, where), *(b"\xfc" + frame + b"\xff" * 6 for frame in frames),
             b"\xfd" + b"\xff" * 6],
            [command(17, where), b"\xff" * 520],
            [command(18, where), b"\xff" * (520 * count + 13), command(12)],
        ))
    return b"".join(sent)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), chunk=st.integers(1, 700))
def test_any_division_into_transfers_is_the_same(tmp_path_factory, seed, chunk):
    mosi = session(random.Random(seed))
    chunks = random.Random(chunk)
    seen = []
    for by_byte in (True, False):
        path = tmp_path_factory.mktemp("division") / "card.img"
        with CardImage.create(path, SIZE, formatted=False) as image:
            card = SDCard(image, timing=FIXED)
            card.clocked_unselected(10)
            card.select(True)
            miso, position = b"", 0
            while position < len(mosi):
                length = 1 if by_byte else chunks.randrange(1, chunk + 1)
                miso += card.transfer_bulk(mosi[position : position + length])
                position += length
            seen.append((miso, card.counters, image.read_blocks(0, image.block_count)))
        path.unlink()
    assert seen[0] == seen[1]
    assert seen[0][1].blocks_read + seen[0][1].blocks_written > 0


@pytest.mark.parametrize("undefined, response, stuff", [(0xFF, 0xE5, 0xFF), (0x00, 0x05, 0x00)])
def test_undefined_bits(image, undefined, response, stuff):
    host = SdHost(SDCard(image, undefined=undefined, timing=FIXED))
    host.start()
    host.command(24, 0)
    host.card.transfer_bulk(b"\xfe" + bytes(514))  # the CRC16 of zeros is zero
    assert host.card.transfer(0xFF) == response
    host.ready()
    host.command(18, 0)
    host.receive()
    answer = host.card.transfer_bulk(bytes.fromhex("4C 00000000 61 FFFFFF"))
    assert answer[6:] == bytes((stuff, 0xFF, 0x00))


def test_waits_keep_to_their_ranges(image):
    timing = Timing(response=(1, 8), read_access=(5, 9), write_busy=(2, 6))
    host = SdHost(SDCard(image, timing=timing))
    host.start()
    busy = set()
    for _ in range(60):
        host.command(24, 0)
        host.send(0xFE, block(0))
        busy.add(host.ready())
    assert busy == {2, 3, 4, 5, 6}


def test_a_slow_card_is_slow(image):
    card = SDCard(image, timing=SLOW)
    host = SdHost(card)
    host.start()
    host.command(24, 0)
    host.send(0xFE, block(1))
    with pytest.raises(NoAnswer):
        host.ready()
    card.transfer_bulk(b"\xff" * 300_000)
    assert host.ready() == 0
