"""Sessions over sockets: their number, their ends, and what a client's bad manners do not do."""

import socket
import threading
import time

import pytest

from host_tools import boards
from tests.e2e.conftest import BOARDS
from tests.support.appliance import Appliance
from tests.support.running import Running
from tests.support.wire import Lines, Pop3, send, stuffed

SESSIONS = 5
# Who finds no seat: the chip has few sockets, lwIP has more.
WAITING = {board: 1 if boards.load(board)["link"] == "wiznet" else 3 for board in BOARDS}
CROWD = 5
LETTER = b"Subject: hello\r\n\r\nIt works.\r\n"
PASSWORD = "pw"
# One account a test: they share the appliance, not the mailbox.
ACCOUNTS = ("count", "pipe", "drip", "half", "large", "two", "three", "lock", "drop", "smuggle",
            "ends")


@pytest.fixture(scope="module", params=BOARDS)
def appliance(request, tmp_path_factory):
    card = tmp_path_factory.mktemp(request.param) / "card.img"
    with Appliance(card, request.param, {name: PASSWORD for name in ACCOUNTS},
                   {"max_message_size": 100_000}) as running:
        yield running
        assert running.faults() == []


def patiently(connect):
    """What `connect` gives, tried again while it is refused, or reset: then it came to the host's
    port when the chip's last listener was leaving.
    """
    for _ in range(100):
        try:
            return connect()
        except (ConnectionRefusedError, ConnectionResetError):
            time.sleep(0.1)
    return connect()


def address(name: str) -> bytes:
    return name.encode() + b"@xyz.com"


def box(appliance, name: str) -> Pop3:
    return Pop3(appliance.pop3, name, PASSWORD)


def contents(appliance, name: str) -> list[bytes]:
    """The texts in a mailbox, without the trace lines."""
    reader = box(appliance, name)
    texts = [reader.text(number)[reader.trace_octets(number):] for number in reader.sizes()]
    reader.quit()
    return texts


def test_five_at_once_others_wait_and_one_too_many_is_told(appliance):
    sessions = []
    count = SESSIONS
    for _ in range(count):
        session = Lines(appliance.smtp)
        assert session.reply().startswith(b"220 ")
        sessions.append(session)
    waiting = [patiently(lambda: Lines(appliance.smtp))
               for _ in range(WAITING[appliance.ready["board"]])]
    def all_that_one_more_hears():
        with Lines(appliance.smtp) as one_more:
            return one_more.reply()[:4], one_more.line()

    # The chip has one socket left, which listens again when the one before has got its seat.
    assert patiently(all_that_one_more_hears) == (b"421 ", b"")
    for session in waiting:  # each gets the seat of one that leaves, in the order they came
        leaver = sessions.pop()
        assert leaver.say(b"QUIT").startswith(b"221")
        leaver.close()
        assert session.reply().startswith(b"220 ")
        sessions.append(session)
    for session in sessions:  # all are served, and in any order
        assert session.say(b"EHLO x").startswith(b"250")
        assert session.say(b"MAIL FROM:<a@b.c>").startswith(b"250")
    for session in reversed(sessions):
        assert session.say(b"RCPT TO:<%s>" % address("count")).startswith(b"250")
        assert session.say(b"DATA").startswith(b"354")
        session.socket.sendall(LETTER + b".\r\n")
        assert session.reply().startswith(b"250")
        assert session.say(b"QUIT").startswith(b"221")
        assert session.line() == b""
        session.close()
    for _ in range(count):
        appliance.wait_for("closed", service="smtp", why="done")
    assert contents(appliance, "count") == [LETTER] * count


def test_everything_in_one_packet(appliance):
    commands = (b"EHLO x\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<nobody@xyz.com>\r\n"
                b"RCPT TO:<%s>\r\nDATA\r\n%s.\r\nMAIL FROM:<>\r\nRCPT TO:<%s>\r\nDATA\r\n%s.\r\n"
                b"QUIT\r\n") % (address("pipe"), LETTER, address("pipe"), LETTER)
    with Lines(appliance.smtp) as session:
        session.socket.sendall(commands)
        codes = []
        while line := session.line():
            if line[3:4] == b" ":
                codes.append(line[:3])
    assert codes == b"220 250 250 550 250 354 250 250 250 354 250 221".split()
    assert contents(appliance, "pipe") == [LETTER, LETTER]


def test_one_octet_at_a_time(appliance):
    text = b"Subject: slow\r\n\r\n.dot\r\nFrom me\r\n"
    commands = (b"HELO x\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<%s>\r\nDATA\r\n%s.\r\nQUIT\r\n"
                % (address("drip"), stuffed(text)))
    with Lines(appliance.smtp) as session:
        for octet in commands:
            session.socket.sendall(bytes((octet,)))
        codes = []
        while line := session.line():
            codes.append(line[:3])
    assert codes == b"220 250 250 250 354 250 221".split()
    assert contents(appliance, "drip") == [text]


@pytest.mark.parametrize("size", [10, 3000, 9000])
@pytest.mark.parametrize("abrupt", [False, True])
def test_client_that_leaves_in_the_middle_leaves_nothing(appliance, size, abrupt):
    session = Lines(appliance.smtp)
    session.reply()
    for command in (b"EHLO x", b"MAIL FROM:<a@b.c>", b"RCPT TO:<%s>" % address("half"), b"DATA"):
        session.say(command)
    session.socket.sendall((b"x" * 70 + b"\r\n") * (size // 72) + b"\r\n.\r")
    if abrupt:
        session.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    session.close()
    appliance.wait_for("closed", service="smtp", why="gone")
    assert contents(appliance, "half") == []


def test_size_limit(appliance):
    """RFC 1870: refused at MAIL when declared, at the end of the data when not."""
    with Lines(appliance.smtp) as session:
        session.reply()
        assert b"SIZE 100000\r\n" in session.say(b"EHLO x")
        assert session.say(b"MAIL FROM:<a@b.c> SIZE=100001").startswith(b"552 5.3.4 ")
        assert session.say(b"MAIL FROM:<a@b.c> SIZE=100000").startswith(b"250")
    line = b"x" * 98 + b"\r\n"
    assert send(appliance.smtp, line * 1000, to=(address("large"),)).startswith(b"250")
    too_long = line * 1000 + b"\r\n"
    assert send(appliance.smtp, too_long, to=(address("large"),)).startswith(b"552 5.3.4 ")
    assert send(appliance.smtp, line * 9000, to=(address("large"),)).startswith(b"552 5.3.4 ")
    assert contents(appliance, "large") == [line * 1000]


def test_two_recipients_get_a_copy_each(appliance):
    both = (address("two"), address("three"), b"TWO@XYZ.COM")
    for text in (LETTER, b"".join(b"%070d\r\n" % i for i in range(200))):
        assert send(appliance.smtp, text, to=both).startswith(b"250")
    assert contents(appliance, "two") == contents(appliance, "three")
    assert len(contents(appliance, "two")) == 2


def test_strangers_mail_is_not_relayed(appliance):
    for recipient in (b"somebody@example.com", b"count%example.com@xyz.com",
                      b"@xyz.com:a@example.com", b"nobody@xyz.com", b"../count@xyz.com"):
        assert send(appliance.smtp, LETTER, to=(recipient,))[:3] in (b"550", b"501"), recipient


def test_mailbox_is_exclusive(appliance):
    send(appliance.smtp, LETTER, to=(address("lock"),))
    first = box(appliance, "lock")
    with Lines(appliance.pop3) as second:
        second.line()
        second.socket.sendall(b"USER lock\r\nPASS pw\r\n")
        assert second.line().startswith(b"+OK")
        assert second.line().startswith(b"-ERR [IN-USE] ")
    # Mail that arrives meanwhile is taken at once, and seen the next time.
    assert send(appliance.smtp, LETTER, to=(address("lock"),)).startswith(b"250")
    assert first.command(b"STAT").split()[1] == b"1"
    first.quit()
    assert contents(appliance, "lock") == [LETTER, LETTER]


def test_only_quit_deletes(appliance):
    for mark in b"abc":
        send(appliance.smtp, bytes((mark,)) + b"\r\n", to=(address("drop"),))
    reader = box(appliance, "drop")
    uids = reader.uids()
    reader.command(b"DELE 2")
    reader.close()
    appliance.wait_for("closed", service="pop3")
    reader = box(appliance, "drop")
    assert reader.uids() == uids
    reader.command(b"DELE 2")
    reader.command(b"RSET")
    reader.command(b"DELE 1")
    reader.quit()
    reader = box(appliance, "drop")
    assert list(reader.uids().values()) == [uids[2], uids[3]]
    assert reader.text(1).endswith(b"b\r\n") and reader.text(2).endswith(b"c\r\n")
    reader.quit()


def test_wrong_passwords_and_unknown_users_hear_the_same(appliance):
    with Lines(appliance.pop3) as session:
        session.line()
        said = []
        for user, password in ((b"drop", b"wr0ng"), (b"nobody", b"pw"), (b"drop", b"PW")):
            session.socket.sendall(b"USER %s\r\nPASS %s\r\n" % (user, password))
            said.append((session.line(), session.line()))
        assert len(set(said)) == 1 and said[0][1].startswith(b"-ERR [AUTH] ")
        assert session.line() == b""  # three are enough
    assert not any("wr0ng" in str(event)
                   for event in appliance.events)


@pytest.mark.parametrize("fake", [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r",
                                  b"\r.\r\n", b"\n.\r", b"\r\n\0.\r\n", b"\r\n.\0\r\n"])
def test_only_crlf_dot_crlf_ends_the_data(appliance, fake):
    hidden = b"MAIL FROM:<evil@b.c>\r\nRCPT TO:<%s>\r\nDATA\r\n" % address("smuggle")
    before = len(contents(appliance, "smuggle"))
    wire = b"a" + fake + hidden + b"end\r\n.\r\n"
    with Lines(appliance.smtp) as session:
        session.reply()
        for command in (b"EHLO x", b"MAIL FROM:<a@b.c>", b"RCPT TO:<%s>" % address("smuggle"),
                        b"DATA"):
            session.say(command)
        session.socket.sendall(wire)
        assert session.reply().startswith(b"250 2.0.0 Mail accepted")
        assert session.say(b"NOOP").startswith(b"250 2.0.0 OK")
    texts = contents(appliance, "smuggle")
    assert len(texts) == before + 1 and hidden + b"end\r\n" in texts[-1]


def test_too_many_errors_end_the_session(appliance):
    with Lines(appliance.smtp) as session:
        session.reply()
        said = []
        session.socket.sendall(b"GET / HTTP/1.1\r\n" * 30)
        while line := session.line():
            said.append(line)
    assert said[-1].startswith(b"421 ") and len(said) < 30


def test_five_senders_and_a_reader(tmp_path):
    """Crowd: five large letters at once on five sessions; whoever hears 421 comes again."""
    text = b"".join(b"%078d\r\n" % i for i in range(12_500))
    failures = []

    def deliver(port: int, mark: int) -> None:
        try:
            for _ in range(1000):
                try:
                    reply = send(port, b"Subject: %d\r\n\r\n" % mark + text)
                except (ConnectionError, ValueError):
                    continue
                if reply.startswith(b"250"):
                    return
            failures.append("never accepted")
        except Exception as error:
            failures.append(error)

    for board in BOARDS:
        with Appliance(tmp_path / f"{board}.img", board) as appliance:
            threads = [threading.Thread(target=deliver, args=(appliance.smtp, mark))
                       for mark in range(CROWD)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert not failures
            reader = Pop3(appliance.pop3, "girl", appliance.users["girl"])
            texts = [reader.text(number) for number in reader.sizes()]
            reader.quit()
            assert sorted(part.partition(b"Subject: ")[2] for part in texts) == [
                b"%d\r\n\r\n" % mark + text for mark in range(CROWD)]
            assert not appliance.faults()


def test_slow_senders_hold_nobody_up(tmp_path):
    """All but one drip their message octet by octet; it is answered within 50 ms of bus time."""
    with Running(tmp_path) as running:
        running.wait_for("ready")
        slow = []
        for _ in range(SESSIONS - 1):
            session = Lines(running.smtp)
            session.reply()
            for command in (b"EHLO x", b"MAIL FROM:<a@b.c>", b"RCPT TO:<girl@xyz.com>", b"DATA"):
                session.say(command)
            slow.append(session)
        worst = 0
        with Lines(running.smtp) as last:
            last.reply()
            turns = (b"EHLO x", b"NOOP", b"MAIL FROM:<a@b.c>", b"RCPT TO:<girl@xyz.com>", b"DATA",
                     LETTER + b".") * 10
            for command in turns:
                for session in slow:
                    session.socket.sendall(b"x")
                before = running.board.clock.nanoseconds
                assert last.say(command)[:1] in b"23"
                worst = max(worst, running.board.clock.nanoseconds - before)
        assert worst < 50_000_000
        for session in slow:
            session.socket.sendall(b"\r\n.\r\n")
            assert session.reply().startswith(b"250")
            session.close()
        reader = Pop3(running.pop3, "girl", "pw")
        texts = [reader.text(number) for number in reader.sizes()]
        reader.quit()
        dripped = b"\r\n" + b"x" * len(turns) + b"\r\n"
        assert sum(text.endswith(dripped) for text in texts) == 4 and len(texts) == 14


def test_what_was_said_before_tls_where_none_is_spoken_is_answered(appliance):
    letter = b"MAIL FROM:<>\r\nRCPT TO:<%s>\r\nDATA\r\n%s.\r\n" % (address("ends"), LETTER)
    with Lines(appliance.smtp) as session:
        session.socket.sendall(b"EHLO x\r\n" + letter + b"\x16\x03\x01\x00\n")
        codes = []
        while line := session.line():
            if line[3:4] == b" ":
                codes.append(line[:3])
    assert codes == b"220 250 250 250 354 250".split()
    assert contents(appliance, "ends") == [LETTER]
