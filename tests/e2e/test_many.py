"""A mailbox of 10,000 letters: boot, login, listings and delivery, in the board's heap."""

from pathlib import Path

import pytest

from host_tools.emulator.card_image import CardImage
from tests.support.running import Running
from tests.support.vm import Vm
from tests.support.wire import Pop3, send

SUPPORT = Path(__file__).parents[1] / "support"
LETTER = b"Subject: one more\r\n\r\n" + b"z" * 70 + b"\r\n" + (b"z" * 70 + b"\r\n") * 27  # 2 KB


def filled(folder: Path, count: int) -> Running:
    """An appliance, not started yet, whose mailbox holds `count` letters of 2 KB."""
    card = folder / "card.img"
    CardImage.create(card).close()
    with Vm(extra_path=(SUPPORT,)) as vm:
        vm.exec(f"import vm_fill; vm_fill.fill({str(card)!r}, 'girl', {count}, 2000)")
    return Running(folder)


def delivered(running: Running, times: int) -> list[int]:
    """Blocks written for each of `times` deliveries of 2 KB."""
    counters = running.board.sd_card.counters
    blocks = []
    for _ in range(times):
        before = counters.blocks_written
        assert send(running.smtp, LETTER).startswith(b"250")
        running.wait_for("closed", service="smtp")
        blocks.append(counters.blocks_written - before)
    return blocks


@pytest.mark.timeout(300)
def test_ten_thousand_letters(tmp_path, capsys):
    costs = {}
    for count in (10, 9_900):
        folder = tmp_path / str(count)
        folder.mkdir()
        with filled(folder, count) as running:
            running.wait_for("ready")
            costs[count] = sorted(delivered(running, 25))
            reader = Pop3(running.pop3, "girl", "pw")
            assert reader.command(b"STAT").split()[1] == b"%d" % (count + 25)
            sizes, uids = reader.sizes(), reader.uids()
            assert len(sizes) == len(set(uids.values())) == count + 25
            for number in (1, count // 2, count, count + 25):
                assert len(reader.text(number)) == sizes[number]
            assert b"Subject: %d\r\n" % (count // 2 - 1) in reader.text(count // 2)
            reader.command(b"DELE 3")
            reader.quit()
            reader = Pop3(running.pop3, "girl", "pw")
            assert reader.uids()[3] == uids[4]
            reader.quit()
            assert not any(event["event"] in ("fault", "console", "rebuilding")
                           for event in running.passed)
    few, many = costs.values()
    with capsys.disabled():
        print(f"\nblocks written for a 2 KB delivery: {few[12]} at 10 messages, "
              f"{many[12]} at 9,900 (medians; most {few[-1]}, {many[-1]})")
    assert abs(few[12] - many[12]) <= 1


@pytest.mark.timeout(300)
def test_a_full_mailbox_says_so(tmp_path):
    with filled(tmp_path, 9_999) as running:
        running.wait_for("ready")
        assert send(running.smtp, LETTER).startswith(b"250")
        assert send(running.smtp, LETTER).startswith(b"452 4.2.2 ")
