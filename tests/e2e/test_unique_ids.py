"""Unique-ids for ever (RFC 1939 7): the same letters through all that happens to a mailbox."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from host_tools.card.store import Index
from tests.card.conftest import Card
from tests.support.appliance import Appliance
from tests.support.wire import Lines, Pop3

SWEEPS = Path(__file__).parents[1] / "support" / "sweep_probe.py"
_COUNT = 320  # letters: two segments and the beginning of a third, records of three index steps
_TRACE_ID = re.compile(rb" id ([0-9a-f]{8}\.[0-9a-f]{8})[;\r]")


def letter(number: int) -> bytes:
    """1.5 KB; every fortieth, from the 40th on, 9 KB, which has a segment of its own."""
    line = b"%06d " % number * 10 + b"\r\n"
    return b"Subject: %d\r\n\r\n" % number + line * (120 if number % 40 == 39 else 20)


class Story:
    """One card and all that was ever in girl's mailbox on it.

    ever   {unique-id: text as RETR gives it}, of every message that was ever listed
    lives  the unique-ids that must be listed, in their order
    """

    def __init__(self, folder: Path):
        self.path = folder / "card.img"
        self.ever: dict[bytes, bytes] = {}
        self.lives: list[bytes] = []
        self.sent = 0
        self.appliance: Appliance | None = None

    def start(self, board: str = "pico_w", **settings) -> None:
        self.appliance = Appliance(self.path, board, {"girl": "pw"}, settings, main=SWEEPS)

    def stop(self) -> None:
        assert self.appliance.faults() == []
        self.appliance.stop()

    def restart(self, board: str = "pico_w", **settings) -> None:
        self.stop()
        self.start(board, **settings)

    def reader(self) -> Pop3:
        return Pop3(self.appliance.pop3, "girl", "pw")

    def leave(self, reader: Pop3) -> None:
        """Without QUIT: nothing may be deleted."""
        reader.close()
        self.appliance.wait_for("closed", service="pop3")

    def deliver(self, count: int = 1) -> None:
        """New letters; each gets a unique-id that nobody ever had."""
        with Lines(self.appliance.smtp) as smtp:
            smtp.reply()
            smtp.say(b"EHLO abc.com")
            for number in range(self.sent, self.sent + count):
                smtp.socket.sendall(b"MAIL FROM:<boy@abc.com>\r\nRCPT TO:<girl@xyz.com>\r\n"
                                    b"DATA\r\n")
                assert [smtp.reply()[:3] for _ in range(3)] == [b"250", b"250", b"354"]
                smtp.socket.sendall(letter(number) + b".\r\n")
                assert smtp.reply().startswith(b"250")
            smtp.say(b"QUIT")
        self.sent += count
        reader = self.reader()
        uids = list(reader.uids().values())
        assert uids[:len(self.lives)] == self.lives
        new = uids[len(self.lives):]
        assert len(new) == count and not self.ever.keys() & set(new)
        for number, text in enumerate(self.texts(reader, range(len(self.lives) + 1,
                                                                len(uids) + 1))):
            self.ever[new[number]] = text
            assert text.endswith(b"\r\n" + letter(self.sent - count + number))
        self.lives = uids
        reader.quit()
        self.appliance.wait_for("closed", service="pop3")

    def delete(self, numbers, swept: bool = True) -> None:
        """By DELE and QUIT; with `swept` the background work is waited for."""
        numbers = set(numbers)
        reader = self.reader()
        for number in numbers:
            reader.command(b"DELE %d" % number)
        reader.quit()
        if swept:
            self.appliance.wait_for("swept")
        self.lives = [uid for number, uid in enumerate(self.lives, 1) if number not in numbers]

    def check(self, more: int = 0) -> None:
        """All is listed as it was; LIST and UIDL agree, with arguments and beside marks.

        `more`: so many deleted messages may have come back, each as what it was.
        """
        reader = self.reader()
        uids = list(reader.uids().values())
        assert [uid for uid in uids if uid in self.lives] == self.lives
        back = [uid for uid in uids if uid not in self.lives]
        assert len(back) <= more and self.ever.keys() >= set(back)
        sizes = reader.sizes()
        assert list(sizes) == list(range(1, len(uids) + 1))
        for number, text in enumerate(self.texts(reader, sizes), 1):
            uid = uids[number - 1]
            assert text == self.ever[uid] and len(text) == sizes[number]
            assert _TRACE_ID.search(text)[1] == uid
        total = sum(sizes.values())
        assert reader.command(b"STAT") == b"+OK %d %d\r\n" % (len(uids), total)
        if uids:
            self._check_with_marks(reader, dict(enumerate(uids, 1)), sizes)
        self.leave(reader)
        if back:
            self.lives = uids
            self.delete([number for number, uid in enumerate(uids, 1) if uid in back])

    @staticmethod
    def _check_with_marks(reader: Pop3, uids: dict[int, bytes], sizes: dict[int, int]) -> None:
        marked = {1, len(uids) // 2 + 1, len(uids)}
        # Those, their neighbours, and where a checkpoint is.
        numbers = {near for number in (*marked, 64, 128) for near in range(number - 1, number + 2)}
        numbers &= uids.keys()
        for number in marked:
            reader.command(b"DELE %d" % number)
        for after in (marked, set()):
            left = {number: uid for number, uid in uids.items() if number not in after}
            assert reader.uids() == left
            assert reader.sizes() == {number: sizes[number] for number in left}
            assert reader.command(b"STAT") == b"+OK %d %d\r\n" % (
                len(left), sum(sizes[number] for number in left))
            for number in numbers:
                for verb, value in ((b"UIDL", uids[number]), (b"LIST", b"%d" % sizes[number])):
                    reader.socket.sendall(b"%s %d\r\n" % (verb, number))
                    line = b"+OK %d %s\r\n" % (number, value)
                    assert reader.line() == (line if number in left
                                             else b"-ERR message is deleted\r\n")
            reader.command(b"RSET")
        reader.command(b"DELE 1")  # and then the session is dropped

    @staticmethod
    def texts(reader: Pop3, numbers) -> list[bytes]:
        """RETR of them all, pipelined."""
        numbers = list(numbers)
        texts = []
        for at in range(0, len(numbers), 50):
            reader.socket.sendall(b"".join(b"RETR %d\r\n" % number
                                           for number in numbers[at:at + 50]))
            for _ in numbers[at:at + 50]:
                reader.ok()
                lines = []
                while (line := reader.line()) != b".\r\n":
                    lines.append(line)
                texts.append(b"".join(lines))
        return texts

    # --- the card on the table ------------------------------------------------------------

    def card(self) -> Card:
        return Card(self.path, {})

    def files(self) -> list[str]:
        """Names of the mailbox's segments and of its index; the appliance does not run."""
        with self.card().firmware() as vm:
            return vm.eval("sorted(n for d in ('00', '.') for n in os.listdir('/sd/mail/girl/' + d)"
                           " if n[-3:] in ('MBX', 'PIX'))")

    def index(self) -> tuple[str, Index]:
        """The index in force, and its path."""
        [name] = [name for name in self.files() if name.endswith("PIX")]
        path = f"/sd/mail/girl/{name}"
        with self.card().firmware() as vm:
            vm.exec(f"f = open({path!r}, 'rb'); whole = f.read(); f.close()")
            return path, Index(path, vm.eval("whole"))

    def on_card(self, statements: str) -> None:
        with self.card().firmware() as vm:
            vm.exec(statements)


def flipped(path: str, offset: int) -> str:
    return (f"f = open({path!r}, 'r+b'); f.seek({offset}); c = f.read(1)[0] ^ 1; f.seek({offset});"
            " f.write(bytes([c])); f.close()")


@pytest.mark.timeout(300)
def test_unique_ids_stay_and_are_never_used_again(tmp_path):
    story = Story(tmp_path)
    story.start()
    try:
        tell(story)
        story.stop()
    except BaseException:
        story.appliance.kill()
        raise


def tell(story: Story) -> None:
    story.deliver(_COUNT)
    story.check()

    # Others are deleted, then a restart.
    story.delete([1, 2, 17, 160, _COUNT])
    story.check()
    story.restart()
    story.check()

    # What is left of a segment moves to another; the index stays.
    first_segment = [number for number in range(1, 140) if number % 40 and number % 4]
    story.delete(first_segment)
    story.check()
    story.stop()
    assert "0000.MBX" not in story.files()
    path, index = story.index()
    assert index.records[0].uid == 1 and index.records[0].deleted  # packed no index
    story.start()
    story.check()

    # Most records are dead: the index is written anew.
    story.delete(range(60, len(story.lives), 2))
    story.check()
    story.stop()
    packed, index = story.index()
    assert packed != path and len(index.records) == len(story.lives)
    story.start()
    story.check()
    story.deliver(3)

    # The newest are deleted, and their records are gone before the next letter comes.
    story.delete(range(5, len(story.lives) + 1))
    story.restart()
    story.check()
    story.deliver(60)
    story.check()

    # The index is lost; then a record, then the header is damaged. What was deleted and still
    # stands in a shared segment comes back as what it was. The newest does not, its segment is
    # gone; nothing on the card tells of its unique-id, which no other may get.
    story.delete([3, 6, 9, 12], swept=False)
    for damage in (lambda path: f"os.remove({path!r})",
                   lambda path: flipped(path, 512 + 32 * 7 + 4),
                   lambda path: flipped(path, 8)):
        story.deliver(40 - story.sent % 40)
        story.delete([len(story.lives)])
        story.stop()
        path, _ = story.index()
        story.on_card(damage(path))
        story.start()
        assert any(event["event"] == "rebuilding" for event in story.appliance.events)
        story.check(more=_COUNT)
        story.check()
        story.deliver(2)

    # Another board, and back.
    for board in ("pico_w5500", "pico_w"):
        story.restart(board)
        story.check()
        story.deliver()

    # The oldest are thrown away.
    story.restart(mailboxes={"girl": {"keep_newest": 40}})
    assert len(story.lives) > 50
    with Lines(story.appliance.smtp) as smtp:
        smtp.reply()
        for command in (b"EHLO x", b"MAIL FROM:<a@b.c>", b"RCPT TO:<girl@xyz.com>", b"DATA"):
            smtp.say(command)
        smtp.say(b"Subject: the last straw\r\n\r\n.")
    story.appliance.wait_for("swept")
    reader = story.reader()
    uids = list(reader.uids().values())
    assert uids[:-1] == story.lives[-39:] and uids[-1] not in story.ever
    story.ever[uids[-1]] = story.texts(reader, [40])[0]
    story.lives = uids
    story.leave(reader)
    story.restart()
    story.check()

    # All are deleted; then all, and the index with them.
    for lost in (False, True):
        story.delete(range(1, len(story.lives) + 1))
        story.check()
        story.stop()
        if lost:
            path, _ = story.index()
            story.on_card(f"os.remove({path!r})")
        story.start()
        story.check(more=_COUNT)
        story.deliver(2)
        story.check()
