"""Every fault of the SD card model strikes where it was scheduled, and nowhere else."""

import pytest

from host_tools.emulator.card_image import CardImage
from host_tools.emulator.chips.sd_card import SDCard
from host_tools.emulator.faults import CardFaults, Fired, PowerCut
from tests.chips.sd_host import ErrorToken, NoAnswer, SdHost, block

pytestmark = pytest.mark.filterwarnings("error::UserWarning")

SIZE = 4 << 20


@pytest.fixture
def image(tmp_path):
    with CardImage.create(tmp_path / "card.img", SIZE, formatted=False) as image:
        yield image


@pytest.fixture
def faults():
    return CardFaults()


@pytest.fixture
def host(image, faults):
    host = SdHost(SDCard(image, faults=faults))
    host.start()
    return host


def test_reject_write_once(host, faults, image):
    faults.reject_write(2)
    assert [host.write(n, block(n)) for n in (1, 2, 3)] == [0x05, 0x0D, 0x05]
    assert image.read_blocks(1, 3) == block(1) + bytes(512) + block(3)
    assert faults.fired == [Fired("reject_write", 2)]
    assert host.status() == (0, 0x04)
    assert host.status() == (0, 0)


def test_reject_write_for_good(host, faults):
    faults.reject_write(2, sticky=True)
    assert [host.write(n, block(n)) for n in (1, 2, 3, 4)] == [0x05, 0x0D, 0x0D, 0x0D]
    faults.clear()
    assert host.write(2, block(2)) == 0x05
    assert len(faults.fired) == 3


def test_reject_write_ends_a_multiple_write(host, faults):
    faults.reject_write(3)
    assert host.write_many(0, [block(n) for n in range(5)]) == [0x05, 0x05, 0x0D, 0x0D, 0x0D]
    host.command(55)
    assert host.register(22, 4) == (2).to_bytes(4, "big")


@pytest.mark.parametrize("bit", [0, 77, 4095, 4111])
def test_corrupt_write_is_noticed_by_crc(host, faults, image, bit):
    faults.corrupt_write(bit=bit)
    assert host.write(1, block(1)) == 0x0B
    assert host.write(1, block(1)) == 0x05
    assert host.card.counters.data_crc_errors == 1
    assert faults.fired == [Fired("corrupt_write", 1)]
    assert image.read_blocks(1) == block(1)


def test_corrupt_write_is_stored_without_crc(image, faults):
    host = SdHost(SDCard(image, faults=faults))
    host.start(crc=False)
    faults.corrupt_write(bit=15)
    assert host.write(1, bytes(512)) == 0x05
    assert image.read_blocks(1) == b"\0\x01" + bytes(510)


def test_corrupt_read(host, faults, image):
    image.write_block(2, block(2))
    faults.corrupt_read(2, bit=0)
    received = []
    for _ in range(3):
        host.command(17, 2)
        received.append(host.receive())
    assert [right for _, right in received] == [True, False, True]
    assert received[1][0] == b"\x80" + block(2)[1:]
    assert faults.fired == [Fired("corrupt_read", 2)]


def test_no_read_token(host, faults, image):
    image.write_block(6, block(6))
    faults.no_read_token(2)
    host.command(18, 5)
    host.receive()
    with pytest.raises(NoAnswer, match="no token"):
        host.receive()
    assert host.command(12) == b"\x00"
    host.ready()
    assert host.read(6) == block(6)
    faults.no_read_token()
    host.command(17, 6)
    with pytest.raises(NoAnswer):
        host.receive()
    assert host.status() == (0, 0)  # after a single read any command will do
    assert faults.fired == [Fired("no_read_token", 6)] * 2
    assert host.card.counters.blocks_read == 2


@pytest.mark.parametrize("token, r2", [(0x01, 0x04), (0x02, 0x08), (0x04, 0x10), (0x08, 0x80)])
def test_error_token(host, faults, token, r2):
    faults.error_token(2, token=token)
    host.read(0)
    host.command(17, 1)
    with pytest.raises(ErrorToken) as caught:
        host.receive()
    assert caught.value.args == (token,)
    assert host.status() == (0, r2)
    faults.error_token(2, token=token)
    host.command(18, 0)
    host.receive()
    with pytest.raises(ErrorToken):
        host.receive()
    with pytest.warns(UserWarning, match="CMD17"):
        assert host.command(17, 0) == b"\x04"  # CMD12 has to come first
    host.command(12)
    host.ready()
    assert len(host.read(0)) == 512


def test_corrupt_response(host, faults):
    faults.corrupt_response("CMD13", 2)
    faults.corrupt_response("ACMD22", mask=0x20)
    assert host.status() == (0, 0)
    host.command(55)
    with pytest.raises(AssertionError):
        host.register(22, 4)
    with pytest.raises(NoAnswer, match="CMD13"):
        host.status()
    assert faults.fired == [Fired("corrupt_response", "ACMD22"),
                            Fired("corrupt_response", "CMD13")]


def test_a_card_that_never_gets_ready(image, faults):
    faults.corrupt_response("ACMD41", mask=0x01, nth=3, sticky=True)
    host = SdHost(SDCard(image, faults=faults))
    with pytest.raises(NoAnswer, match="ACMD41"):
        host.start()


def test_stall_for_some_bytes(host, faults):
    faults.stall(2, clocks=1234)
    host.write(1, block(1))
    host.command(24, 2)
    assert host.send(0xFE, block(2)) == 0x05
    assert host.ready() == 1234
    faults.stall(clocks=777, after="stop")
    host.command(25, 1)
    host.send(0xFC, block(1))
    host.ready()
    host.card.transfer_bulk(b"\xfd\xff")
    assert host.ready() == 777
    assert [fired.kind for fired in faults.fired] == ["stall_block", "stall_stop"]


def test_stall_for_ever(host, faults, image):
    faults.stall()
    host.command(24, 2)
    assert host.send(0xFE, block(2)) == 0x05
    assert host.card.transfer_bulk(b"\xff" * (1 << 20)) == bytes(1 << 20)
    host.card.select(False)
    host.card.clocked_unselected(1 << 20)
    host.card.select(True)
    assert host.card.transfer(0xFF) == 0
    assert host.command(0) == b"\x01"
    assert image.read_blocks(2) == block(2)


def test_card_pulled_and_put_back(host, faults, image):
    cid = host.register(10, 16)
    faults.pull(2)
    assert host.write(1, block(1)) == 0x05
    host.command(24, 2)
    assert host.send(0xFE, block(2)) == 0x1F  # nothing answers
    assert not host.card.present
    assert image.read_blocks(2) == bytes(512)
    with pytest.raises(NoAnswer):
        host.command(13)
    assert faults.fired == [Fired("pull_write", 2)]
    host.card.insert()
    with pytest.warns(UserWarning, match="before SPI mode"), pytest.raises(NoAnswer):
        host.command(0)
    host.start()
    assert host.register(10, 16) == cid
    assert host.read(1) == block(1)


@pytest.mark.parametrize("on, where", [("read", 3), ("command", "CMD18")])
def test_pulled_in_a_read(host, faults, on, where):
    faults.pull(1, on=on)
    with pytest.raises(NoAnswer):
        host.command(18, 3)
        host.receive()
    host.card.select(False)  # no warning: there is no card to warn of
    assert faults.fired == [Fired(f"pull_{on}", where)]


def test_another_card(host, tmp_path):
    cid = host.register(10, 16)
    with CardImage.create(tmp_path / "other.img", 2 * SIZE, formatted=False) as other:
        other.write_block(0, block(99))
        host.card.remove()
        assert host.card.transfer_bulk(b"\xff" * 3) == b"\xff" * 3
        host.card.insert(other, serial=2)
        host.start()
        assert host.register(10, 16) != cid
        assert host.read(0) == block(99)
        assert host.read(2 * SIZE // 512 - 1) == bytes(512)


def test_write_protected(host, faults, image):
    faults.write_protected = True
    assert host.write(1, block(1)) == 0x0D
    assert host.status() == (0, 0x20)
    host.command(32, 0)
    host.command(33, 1)
    host.command(38)
    host.ready()
    assert host.status() == (0, 0x20)
    assert image.read_blocks(1) == bytes(512)
    assert host.card.counters.blocks_written == 0


@pytest.mark.parametrize("torn, lose_last, expected", [
    (None, 0, [1, 2, 3]),
    (0, 0, [1, 2, None]),
    (None, 1, [1, None, 3]),
    (0, 1, [1, None, None]),
    (None, 2, [None, None, 3]),
])
def test_power_cut(host, faults, image, torn, lose_last, expected):
    image.write_block(9, block(9))  # long ago
    faults.power_cut(3, torn=torn, lose_last=lose_last)
    with pytest.raises(PowerCut, match="block 3"):
        host.write_many(1, [block(1), block(2), block(3), block(4)])
    wanted = b"".join(bytes(512) if n is None else block(n) for n in expected)
    assert image.read_blocks(1, 4) == wanted + bytes(512)
    assert image.read_blocks(9) == block(9)
    assert faults.fired == [Fired("power_cut", 3)]
    with pytest.raises(PowerCut):
        host.card.transfer(0xFF)
    host.card.power_on()
    host.start()
    assert host.write(4, block(4)) == 0x05


def test_power_cut_tears_the_block(host, faults, image):
    image.write_block(5, block(5))
    faults.power_cut(torn=200)
    with pytest.raises(PowerCut):
        host.write(5, block(6))
    assert image.read_blocks(5) == block(6)[:200] + block(5)[200:]


def test_a_fault_that_does_not_exist(faults):
    for schedule in (lambda: faults.pull(on="monday"), lambda: faults.stall(after="lunch"),
                     lambda: faults.reject_write(0)):
        with pytest.raises(ValueError):
            schedule()
