"""Room: quotas, retention, a card that is full."""

import pytest

from tests.support.appliance import Appliance
from tests.support.wire import Lines, Pop3, send

LETTER = b"Subject: x\r\n\r\n" + b"y" * 500 + b"\r\n"
BIG = b"".join(b"%070d\r\n" % i for i in range(140))  # about 10 KB


def subjects(appliance, name):
    reader = Pop3(appliance.pop3, name, "pw")
    found = [reader.text(number).split(b"Subject: ")[1].split(b"\r\n")[0]
             for number in reader.sizes()]
    reader.quit()
    return found


def marked(number):
    return b"Subject: %d\r\n\r\n.\r\n" % number


def test_quotas_and_retention(tmp_path):
    rules = {"bytes": {"max_octets": 15_000}, "count": {"max_messages": 3},
             "newest": {"keep_newest": 2}, "oldest": {"max_messages": 10, "drop_oldest": True}}
    with Appliance(tmp_path / "card.img", users={name: "pw" for name in rules},
                   settings={"mailboxes": rules}) as appliance:

        def deliver(name, text):
            return send(appliance.smtp, text, to=(name.encode() + b"@xyz.com",))

        # Bounds in octets: declared or not, before or after the text.
        assert deliver("bytes", BIG).startswith(b"250")
        assert deliver("bytes", BIG).startswith(b"452 4.2.2 ")
        assert deliver("bytes", BIG * 2).startswith(b"552 5.2.3 ")
        with Lines(appliance.smtp) as session:
            session.reply()
            session.say(b"EHLO x")
            session.say(b"MAIL FROM:<a@b.c> SIZE=14000")
            assert session.say(b"RCPT TO:<bytes@xyz.com>").startswith(b"452 4.2.2 ")
            session.say(b"RSET")
            session.say(b"MAIL FROM:<a@b.c> SIZE=20000")
            assert session.say(b"RCPT TO:<bytes@xyz.com>").startswith(b"552 5.2.3 ")
        assert deliver("bytes", LETTER).startswith(b"250")  # what fits is taken
        # Bounds in messages, and service after a deletion.
        for number in range(3):
            assert deliver("count", marked(number)).startswith(b"250")
        assert deliver("count", marked(3)).startswith(b"452 4.2.2 ")
        reader = Pop3(appliance.pop3, "count", "pw")
        reader.command(b"DELE 1")
        reader.quit()
        assert deliver("count", marked(4)).startswith(b"250")
        assert subjects(appliance, "count") == [b"1", b"2", b"4"]
        # The newest two stay; of ten, nine.
        for number in range(4):
            deliver("newest", marked(number))
            if number >= 2:
                appliance.wait_for("expired", mailbox="newest")
        assert subjects(appliance, "newest") == [b"2", b"3"]
        for number in range(12):
            assert deliver("oldest", marked(number)).startswith(b"250")
            if number >= 9:
                appliance.wait_for("expired", mailbox="oldest")
        assert subjects(appliance, "oldest") == [b"%d" % number for number in range(3, 12)]
        assert not appliance.faults()


@pytest.mark.parametrize("board", ["pico_w"])
def test_a_letter_wants_its_room_once(tmp_path, board):
    """It is on the card, all but its end, when its size is known: that room is not free any more,
    nor is it wanted again.
    """
    from host_tools.emulator.card_image import CardImage

    card = tmp_path / "card.img"
    CardImage.create(card, 8 << 20).close()
    text = b"".join(b"%078d\r\n" % i for i in range(46_000))  # 3.7 MB
    with Appliance(card, board) as appliance:
        assert send(appliance.smtp, text).startswith(b"250")
        assert send(appliance.smtp, text).startswith(b"452 4.3.1 "), "MIN_FREE is left"
        reader = Pop3(appliance.pop3, "girl", appliance.users["girl"])
        assert len(reader.sizes()) == 1 and reader.text(1).endswith(text)
        reader.quit()


@pytest.mark.parametrize("board", ["pico_w"])
def test_full_card(tmp_path, board):
    """Filled to the last block: 452, nothing lost, and service again after deletions."""
    from host_tools.emulator.card_image import CardImage

    card = tmp_path / "card.img"
    CardImage.create(card, 4 << 20).close()
    chunk = b"".join(b"%078d\r\n" % i for i in range(4000))  # 320 KB
    with Appliance(card, board) as appliance:
        taken = 0
        for _ in range(30):
            reply = send(appliance.smtp, chunk)
            if not reply.startswith(b"250"):
                break
            taken += 1
        assert reply.startswith(b"452 4.3.1 ") and 3 < taken < 30
        # The reserve is for what is on its way already: an undeclared size runs into the end.
        assert send(appliance.smtp, chunk * 8).startswith(b"452 4.3.1 ")
        reader = Pop3(appliance.pop3, "girl", appliance.users["girl"])
        assert len(reader.sizes()) == taken
        for number in reader.sizes():
            assert reader.text(number).endswith(chunk)
        for number in range(1, taken, 2):
            reader.command(b"DELE %d" % number)
        reader.quit()
        for _ in range(100):
            if send(appliance.smtp, chunk).startswith(b"250"):
                break
        else:
            raise AssertionError("no service after deletions")
        assert [event for event in appliance.faults() if event["event"] != "card_full"] == []
