"""A mailbox of 10,000 letters: boot, login, listings and delivery, in the board's heap."""

from pathlib import Path

import pytest

from host_tools.card.source import ImageCard
from host_tools.emulator.card_image import BLOCK, CardImage
from tests.support.running import Running
from tests.support.vm import Vm
from tests.support.wire import Pop3, send

HEAP = Path(__file__).parents[1] / "support" / "pop3_heap_probe.py"
SUPPORT = Path(__file__).parents[1] / "support"
# Octets of the 64-bit VM that may be more beside the snapshot: of what lives between two commands,
# and at a peak, which a short session's few samples may miss.
_MAY_DIFFER = {"level": 128, "peak": 1024}
LETTER = b"Subject: one more\r\n\r\n" + b"z" * 70 + b"\r\n" + (b"z" * 70 + b"\r\n") * 27  # 2 KB


def filled(folder: Path, count: int, **more) -> Running:
    """An appliance, not started yet, whose mailbox holds `count` letters of 2 KB.

    `more` is for Running.
    """
    folder.mkdir(exist_ok=True)
    card = folder / "card.img"
    CardImage.create(card).close()
    with Vm(extra_path=(SUPPORT,)) as vm:
        vm.exec(f"import vm_fill; vm_fill.fill({str(card)!r}, 'girl', {count}, 2000)")
    return Running(folder, **more)


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
        with filled(tmp_path / str(count), count) as running:
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


class Blocks:
    """Which blocks of the card are read and written, by the kind of what stands there."""

    def __init__(self, card: CardImage, path: Path):
        self.read: list[int] = []
        self.written: list[int] = []
        with ImageCard(path) as image:
            mailbox = image.listing(image.listing()["MAIL"])["GIRL"]
            files = image.listing(mailbox)
            [index] = [entry for name, entry in files.items() if name.endswith(".PIX")]
            self.index = self._blocks_of(image.volume, index)
            self.segments = set().union(*(
                self._blocks_of(image.volume, segment)
                for segment in image.listing(files["00"]).values()))
        read_blocks, write_block = card.read_blocks, card.write_block

        def reading(first: int, count: int = 1) -> bytes:
            self.read += range(first, first + count)
            return read_blocks(first, count)

        def writing(block: int, data: bytes) -> None:
            self.written.append(block)
            write_block(block, data)

        card.read_blocks, card.write_block = reading, writing

    @staticmethod
    def _blocks_of(volume, entry) -> set[int]:
        blocks = set()
        left = -(-entry.size // BLOCK)
        for start, end, place in volume._contiguous(volume.chain(entry.cluster, entry.size)[0]):
            count = min(left, (end - start) // BLOCK)
            blocks.update(range(place // BLOCK, place // BLOCK + count))
            left -= count
        return blocks

    def taken(self) -> dict[str, int]:
        """How many since the last time: of the index, of segments, and others (FAT, guard)."""
        counts = {"index read": sum(block in self.index for block in self.read),
                  "segments read": sum(block in self.segments for block in self.read),
                  "index written": sum(block in self.index for block in self.written),
                  "segments written": sum(block in self.segments for block in self.written)}
        counts["others read"] = len(self.read) - counts["index read"] - counts["segments read"]
        self.read.clear()
        self.written.clear()
        return counts


def session(folder: Path, count: int) -> tuple[dict[str, dict], dict[str, dict], int]:
    """A POP3 session with all commands over a mailbox of `count` letters, half of them deleted.

    (the heap by command: level and peak; the blocks by command; blocks of records).
    """
    odd = range(1, count + 1, 2)
    with filled(folder, count, main=HEAP) as running:
        running.wait_for("ready")
        blocks = Blocks(running.card, folder / "card.img")
        costs = {}

        def done(command: str) -> None:
            costs[command] = blocks.taken()

        def delete() -> None:
            for at in range(0, len(odd), 100):
                reader.socket.sendall(b"".join(b"DELE %d\r\n" % n for n in odd[at:at + 100]))
                for _ in odd[at:at + 100]:
                    reader.ok()

        reader = Pop3(running.pop3, "girl", "pw")
        done("PASS")
        stat = reader.command(b"STAT")
        done("STAT")
        sizes = reader.sizes()
        done("LIST")
        assert stat == b"+OK %d %d\r\n" % (count, sum(sizes.values()))
        assert len(set(reader.uids().values())) == count
        done("UIDL")
        reader.trace_octets(1)
        done("TOP ")
        delete()
        done("DELE")
        assert reader.command(b"STAT").split()[1] == b"%d" % (count // 2)
        reader.command(b"RSET")
        blocks.taken()
        delete()
        blocks.taken()
        reader.quit()
        done("QUIT")
        heap = {}
        while "QUIT" not in heap:
            event = running.wait_for("heap")
            heap.setdefault(event["command"], event)
        running.wait_for("closed", service="pop3")
    return heap, costs, -(-count * 32 // BLOCK)


def too_much(few: dict[str, dict], many: dict[str, dict], octets: int) -> list[str]:
    """The commands that took more of the heap by so many octets, beside what may differ."""
    return [f"{command} {kind} {many[command][kind] - few[command][kind]:+d}"
            for command in ("PASS", "STAT", "LIST", "UIDL", "TOP ", "DELE", "RSET", "QUIT")
            for kind, may_differ in _MAY_DIFFER.items()
            if many[command][kind] - few[command][kind] > octets + may_differ]


def least(heap: dict[str, dict], other: dict[str, dict]) -> dict[str, dict]:
    """Of two sessions."""
    return {command: {kind: min(heap[command][kind], other[command][kind])
                      for kind in _MAY_DIFFER} for command in heap}


@pytest.mark.timeout(300)
def test_a_session_takes_no_more_heap_for_ten_thousand(tmp_path, capsys):
    """What DESIGN.md says of POP3's snapshot, and what each command reads of the card."""
    (few, _, _), (many, costs, sectors) = (session(tmp_path / str(count), count)
                                           for count in (10, 10_000))
    snapshot = 10_000 // 8 + 2 * (10_000 // 64 + 1)
    for more in range(2):
        if not too_much(few, many, snapshot):
            break
        # What is freed may be taken for used, for a while: the least of three sessions counts.
        few, many = (least(heap, session(tmp_path / f"{count} {more}", count)[0])
                     for heap, count in ((few, 10), (many, 10_000)))
    with capsys.disabled():
        for command in many:
            print(f"\n{command:5} heap {many[command]['level']} (peak {many[command]['peak']}), "
                  f"{many[command]['level'] - few[command]['level']:+d} "
                  f"({many[command]['peak'] - few[command]['peak']:+d}) against 10 letters; blocks "
                  f"{costs.get(command)}", end="")
        print()
    assert not too_much(few, many, snapshot)
    for command in ("PASS", "LIST", "UIDL", "DELE"):
        assert sectors - 1 <= costs[command]["index read"] <= sectors, command
    assert costs["STAT"]["index read"] == 0
    assert costs["QUIT"]["index read"] <= sectors and costs["QUIT"]["index written"] <= sectors
    for command in ("PASS", "STAT", "LIST", "UIDL", "DELE", "QUIT"):
        assert costs[command]["segments read"] == 0, command
    assert costs["TOP "]["segments read"] > 0  # so it would be seen


@pytest.mark.timeout(300)
def test_a_full_mailbox_says_so(tmp_path):
    with filled(tmp_path, 9_999) as running:
        running.wait_for("ready")
        assert send(running.smtp, LETTER).startswith(b"250")
        assert send(running.smtp, LETTER).startswith(b"452 4.2.2 ")
