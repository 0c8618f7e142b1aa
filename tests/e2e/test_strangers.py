"""A stranger's session can do nothing but deliver to local mailboxes, within limits: what it may
try, one test each. DESIGN.md lists them ("What a stranger may try")."""

import base64
import itertools
import re
import socket
import ssl
import time
from pathlib import Path

import pytest

from tests.e2e.conftest import KINDS
from tests.support.appliance import Appliance
from tests.support.wire import Lines, Pop3, send

IMPATIENT = Path(__file__).parents[1] / "support" / "impatient.py"
LETTER = b"Subject: hello\r\n\r\nIt works.\r\n"
ENVELOPE = (b"EHLO x", b"MAIL FROM:<a@b.c>", b"RCPT TO:<girl@xyz.com>")
USERS = {"girl": "pw", "boy": "pa55"}


@pytest.fixture(scope="module", params=KINDS)
def appliance(request, tmp_path_factory):
    card = tmp_path_factory.mktemp(request.param) / "card.img"
    with Appliance(card, request.param, USERS) as running:
        yield running
        assert running.faults() == []


@pytest.fixture(scope="module")
def impatient(tmp_path_factory):
    """One whose deadlines pass within a second."""
    card = tmp_path_factory.mktemp("impatient") / "card.img"
    with Appliance(card, "pico_w", USERS, main=IMPATIENT) as running:
        yield running
        assert running.faults() == []


_addresses = (f"127.0.0.{number}" for number in itertools.chain(range(20, 60), range(130, 250)))


def begin(port: int, *commands: bytes, source: str = "127.0.0.1") -> Lines:
    """A session after these commands, none of which may fail."""
    session = Lines(port, source=source)
    assert session.reply().startswith(b"220 ")
    for command in commands:
        reply = session.say(command)
        assert reply[:1] in b"23", (command, reply)
    return session


def letters(appliance, user: str = "girl") -> list[bytes]:
    """What is in a mailbox, which is empty then."""
    return Pop3(appliance.pop3, user, USERS[user]).take_all()


def rest(session: Lines) -> list[bytes]:
    """All lines that still come, to the end of the stream."""
    lines = []
    try:
        while line := session.line():
            lines.append(line)
    except ConnectionResetError:
        pass  # it closed while we were sending
    return lines


def stranger() -> str:
    """An address that nobody has failed to log in from."""
    return next(_addresses)


def advice(appliance, words: str, event: str = "refused") -> dict:
    """The next line about a session that has these words in it."""
    while True:
        found = appliance.wait_for(event)
        if words in " ".join(map(str, found.values())):
            return found


# --- whose mail is taken ----------------------------------------------------------------------

@pytest.mark.parametrize("recipient", [
    b"<somebody@example.com>", b"<girl%example.com@xyz.com>", b"<example.com!girl@xyz.com>",
    b"<@xyz.com:somebody@example.com>", b"<girl@xyz.com@example.com>", b"<girl@example.com.>",
    b'<"girl@xyz.com"@example.com>', b"<girl@[10.1.2.3]>", b"<girl@xyz.com.example.com>",
    b"girl@example.com", "<girl@xyz.com\u3002example.com> ".encode(), b"<girl@xyz.com.>"])
def test_nothing_is_relayed(appliance, recipient):
    with begin(appliance.smtp, b"EHLO x", b"MAIL FROM:<girl@xyz.com>") as session:
        assert session.say(b"RCPT TO:" + recipient)[:3] in (b"550", b"553", b"501")
        assert session.say(b"DATA").startswith(b"554")


def test_a_login_relays_nothing_either(appliance):
    login = b"AUTH PLAIN " + base64.b64encode(b"\0girl\0pw")
    with begin(appliance.ports[587], b"EHLO x", login, b"MAIL FROM:<girl@xyz.com>") as session:
        assert session.say(b"RCPT TO:<somebody@example.com>").startswith(b"550")


@pytest.mark.parametrize("name", [b"../girl", b"girl/../boy", b"..", b".", b"girl/",
                                  b"mail/girl", b"girl\\..\\boy", b"INDEX0.PIX", b"GIRL~1"])
def test_no_name_becomes_a_path(appliance, name):
    for recipient in (b"<%s@xyz.com>" % name, b'<"%s"@xyz.com>' % name):
        with begin(appliance.smtp, b"EHLO x", b"MAIL FROM:<a@b.c>") as session:
            assert session.say(b"RCPT TO:" + recipient)[:3] in (b"550", b"501")
    with begin(appliance.smtp, b"EHLO x", source=stranger()) as session:
        login = b"AUTH PLAIN " + base64.b64encode(b"\0%s\0pw" % name)
        assert session.say(login).startswith(b"535")


def test_who_has_a_mailbox_is_not_told(appliance):
    """RFC 5321 7.3. RCPT tells, as it must."""
    with begin(appliance.smtp, b"EHLO x", source=stranger()) as session:
        assert session.say(b"VRFY girl") == session.say(b"VRFY nobody")
        assert session.say(b"EXPN girl") == session.say(b"EXPN nobody")
        known = session.say(b"AUTH PLAIN " + base64.b64encode(b"\0girl\0wrong"))
        unknown = session.say(b"AUTH PLAIN " + base64.b64encode(b"\0nobody\0wrong"))
        assert known == unknown and known.startswith(b"535")


# --- what a message may contain -----------------------------------------------------------------

def test_the_name_in_helo_adds_no_header_line(appliance):
    letters(appliance)
    with begin(appliance.smtp, b"EHLO x)\rBcc: evil\x00 ([1.2.3.4])", *ENVELOPE[1:],
               b"DATA") as session:
        session.socket.sendall(LETTER + b".\r\n")
        assert session.reply().startswith(b"250")
    [text] = letters(appliance)
    received = text.split(b"\r\n\tby ")[0].split(b"\r\n")[-1]
    assert re.fullmatch(rb"Received: from [A-Za-z0-9?.:\[\]-]+ \(\[[0-9.]+\]\)", received)


def test_a_message_cannot_pass_for_two_on_the_card(appliance):
    letters(appliance)
    fake = (b"Subject: one\r\n\r\nFrom evil@b.c Thu Jan  1 00:00:00 2026\r\n"
            b"Return-Path: <evil@b.c>\r\nReceived: from x ([1.2.3.4])\r\n"
            b"\tby xyz.com with SMTP id 00000001.00000001;\r\n\tThu, 1 Jan 2026\r\n\r\ntwo\r\n")
    assert send(appliance.smtp, fake).startswith(b"250")
    [text] = letters(appliance)
    assert text.endswith(fake)


ENDS = [begin + dot + end
        for begin in (b"\n", b"\r", b"\r\n", b"\n\r", b"\r\r\n", b"\r\0\n", b"\0\r\n", b"")
        for dot in (b".", b"\0.", b".\0")
        for end in (b"\n", b"\r", b"\r\n", b"\n\r", b"\r\r\n", b"\r\0\n", b"\0\r\n")
        if b"\r\n.\r\n" not in begin + dot + end]


def test_smuggling(appliance):
    """Each end of data that some server took for one, in one message: they end nothing, and what
    stands behind them is text. CRLF.CRLF alone does, and pipelined commands behind it are heard.
    """
    letters(appliance)
    hidden = b"MAIL FROM:<evil@b.c>\r\nRCPT TO:<boy@xyz.com>\r\nDATA\r\nevil"
    text = b"Subject: x\r\n\r\na" + b"".join(end + hidden for end in ENDS) + b"\r\nend\r\n"
    with begin(appliance.smtp, *ENVELOPE, b"DATA") as session:
        session.socket.sendall(text + b".\r\nNOOP\r\n")
        assert session.reply().startswith(b"250 2.0.0 Mail accepted")
        assert session.reply().startswith(b"250 2.0.0 OK")
    assert len(letters(appliance)) == 1 and letters(appliance, "boy") == []


def test_bare_line_ends_can_be_refused(tmp_path):
    """The policy `reject` for a network: in commands and in the text."""
    with Appliance(tmp_path / "card.img", "pico_w", USERS, {
            "clients": {"127.0.0.0/8": {"line_ends": "reject"}}}) as appliance:
        for text in (b"a\nb\r\n", b"a\rb\r\n", b"a\r\r\n", b"a\n.\nb\r\n"):
            with begin(appliance.smtp, *ENVELOPE, b"DATA") as session:
                session.socket.sendall(text + b".\r\n")
                assert session.reply().startswith(b"550 5.6.0 ")
                chunk = b"BDAT %d LAST\r\n%s" % (len(text), text)
                session.socket.sendall(ENVELOPE[1] + b"\r\n" + ENVELOPE[2] + b"\r\n" + chunk)
                assert [session.reply()[:3] for _ in range(3)] == [b"250", b"250", b"550"]
                session.socket.sendall(b"NOOP\n")
                assert session.reply().startswith(b"500 5.5.2 ")
            assert "line_ends" in advice(appliance, "LF")["advice"]
        assert send(appliance.smtp, LETTER).startswith(b"250")
        assert len(letters(appliance)) == 1


def test_mail_in_circles(appliance):
    """RFC 5321 6.3; what looks like the field in the text does not count."""
    letters(appliance)
    field = b"Received: from a by b;\r\n\tThu, 1 Jan 2026 00:00:00 +0000\r\n"
    assert send(appliance.smtp, field * 99 + b"\r\n" + field * 100).startswith(b"250")
    assert send(appliance.smtp, field * 100 + b"\r\n").startswith(b"554 5.4.6 ")
    assert send(appliance.smtp, b"X-Long: " + b"x" * 5000 + b"\r\n" + field * 100
                + b"\r\n").startswith(b"554 5.4.6 ")
    assert "each other" in advice(appliance, "circles")["advice"]
    assert len(letters(appliance)) == 1


@pytest.mark.timeout(300)
def test_lines_and_headers_of_ten_megabytes(appliance):
    letters(appliance)
    size = 10_000_000 if appliance.ready["board"] == "pico_w" else 1_000_000
    for text in (b"Subject: x\r\n\r\n" + b"y" * size + b"\r\n",
                 b"X-Long: " + b"z" * size + b"\r\n\r\nshort\r\n",
                 b"X-Many: 12345678901234567890\r\n" * (size // 30) + b"\r\nshort\r\n"):
        assert send(appliance.smtp, text).startswith(b"250")
        reader = Pop3(appliance.pop3, "girl", "pw")
        assert 0 < reader.sizes()[1] - len(text) < 300
        reader.command(b"DELE 1")
        reader.quit()


def test_nul_octets(appliance):
    letters(appliance)
    with begin(appliance.smtp, b"EHLO x") as session:
        for command in (b"MAIL FROM:<a\0@b.c>", b"\0\0\0", b"NO\0OP", b"MAIL FROM:<a@b.c> \0"):
            assert session.say(command)[:2] == b"50"
    text = b"Subject: \0\r\n\r\n\0\0\r\n.\0\r\n"
    assert send(appliance.smtp, text).startswith(b"250")
    [got] = letters(appliance)
    assert got.endswith(text)


# --- what a session may cost ----------------------------------------------------------------------

def test_a_command_line_of_ten_megabytes(appliance):
    with begin(appliance.smtp, b"EHLO x") as session:
        session.socket.sendall(b"NOOP " + b"x" * 10_000_000 + b"\r\nNOOP\r\n")
        assert session.reply().startswith(b"500 5.5.2 ")
        assert session.reply().startswith(b"250")


def test_a_hundred_thousand_recipients(appliance):
    letters(appliance)
    with begin(appliance.smtp, *ENVELOPE[:2]) as session:
        accepted = refused = 0
        try:
            for _ in range(1000):  # a hundred at a time
                session.socket.sendall(b"RCPT TO:<girl@xyz.com>\r\n" * 100)
                for _ in range(100):
                    reply = session.reply()
                    accepted += reply.startswith(b"250")
                    refused += reply.startswith(b"452 4.5.3 ")
                    if not reply or reply.startswith(b"421"):
                        raise ConnectionError
        except ConnectionError:
            pass
    assert accepted == 100 and 1000 <= refused <= 1021
    assert letters(appliance) == []


def test_junk_commands_are_counted(appliance):
    """Postfix: smtpd_junk_command_limit, then each is an error."""
    with begin(appliance.smtp, b"EHLO x") as session:
        session.socket.sendall(b"NOOP\r\nRSET\r\nVRFY a\r\nHELP\r\nEHLO y\r\n" * 100)
        said = rest(session)
    assert said[-1].startswith(b"421 4.7.0 ")
    replies = [line for line in said if line[3:4] == b" "]
    assert 100 < len(replies) < 130


def test_a_letter_pays_for_junk(appliance):
    with begin(appliance.smtp, b"EHLO x") as session:
        for _ in range(3):
            for _ in range(60):
                assert session.say(b"NOOP").startswith(b"250")
            for command in (*ENVELOPE[1:], b"DATA"):
                session.say(command)
            assert session.say(b".").startswith(b"250")
    letters(appliance)


def test_errors_are_counted_and_cost_time(appliance):
    """Postfix: smtpd_hard_error_limit. Each error from the sixth on waits 50 ms longer."""
    with begin(appliance.smtp, b"EHLO x") as session:
        waits = []
        while True:
            began = time.monotonic()
            reply = session.say(b"BREW coffee")
            waits.append(time.monotonic() - began)
            if b"500" != reply[:3] or len(waits) > 20:
                break
        assert [line[:3] for line in rest(session)] == [b"421"]
    assert 20 <= len(waits) <= 22
    assert sum(waits[15:20]) > sum(waits[6:11]) > 5 * 0.05


@pytest.mark.parametrize("request_line", [b"GET / HTTP/1.1", b"POST /x HTTP/1.1",
                                          b"CONNECT a:25 HTTP/1.1", b"PRI * HTTP/2.0"])
def test_a_web_browser_is_sent_away_at_once(appliance, request_line):
    """A page can make a browser send a POST here, with SMTP commands in it."""
    letters(appliance)
    body = b"\r\n".join((*ENVELOPE, b"DATA", LETTER, b".", b"QUIT")) + b"\r\n"
    with Lines(appliance.smtp) as session:
        session.socket.sendall(request_line + b"\r\nHost: a\r\n\r\n" + body)
        said = rest(session)
    assert [line[:3] for line in said] == [b"220", b"421"][:len(said)]
    assert "web server" in advice(appliance, request_line.split()[0].decode())["advice"]
    assert letters(appliance) == []


def test_chunks_without_end(appliance):
    """BDAT counts: too large, none, negative, not a number."""
    letters(appliance)
    for size in (b"4294967296", b"99999999999999999999", b"-1", b"0x10", b"", b"1 LAST x", b"1 X"):
        with begin(appliance.smtp, *ENVELOPE) as session:
            session.socket.sendall(b"BDAT %s\r\nNOOP\r\nQUIT\r\n" % size)
            assert [line[:3] for line in rest(session)] == [b"501"]
    with begin(appliance.smtp, *ENVELOPE) as session:  # more than was promised is a command
        session.socket.sendall(b"BDAT 2\r\nabNOOP\r\nBDAT 1 LAST\r\ncQUIT\r\n")
        assert [line[:3] for line in rest(session)] == [b"250", b"250", b"250", b"221"]
    assert len(letters(appliance)) == 1


def test_who_talks_before_the_greeting(tmp_path):
    """Let pass and noted, or refused where the settings say so."""
    with Appliance(tmp_path / "card.img", "pico_w", USERS, {
            "clients": {"127.0.0.7": {"early_talkers": "reject", "name": "sketch"}}}) as appliance:
        with Lines(appliance.smtp, source="127.0.0.7") as session:
            session.socket.sendall(b"EHLO x\r\n")
            assert [line[:3] for line in rest(session)] == [b"554"]
        event = advice(appliance, "talking before the greeting")
        assert event["device"] == "sketch" and "early_talkers" in event["advice"]
        with Lines(appliance.smtp, source="127.0.0.7") as session:
            assert session.reply().startswith(b"220")  # who waits is served
            assert session.say(b"QUIT").startswith(b"221")


def test_sessions_of_one_address(tmp_path):
    settings = {"sessions_per_address": 2, "clients": {"127.0.0.9": {"sessions": 3}}}
    with Appliance(tmp_path / "card.img", "pico_w", USERS, settings) as appliance:
        for source, most in (("127.0.0.1", 2), ("127.0.0.9", 3)):
            sessions = [Lines(appliance.smtp, source=source) for _ in range(most)]
            for session in sessions:
                assert session.reply().startswith(b"220")
            with Lines(appliance.smtp, source=source) as session:
                assert session.reply().startswith(b"421 xyz.com Too many sessions")
                assert session.line() == b""
            assert "sessions_per_address" in appliance.wait_for("refused")["why"]
            with Lines(appliance.pop3, source=source) as session:
                assert session.line().startswith(b"-ERR [SYS/TEMP] ")
            with Lines(appliance.smtp, source="127.0.0.2") as other:
                assert other.reply().startswith(b"220")
            for session in sessions:
                assert session.say(b"QUIT").startswith(b"221")
                session.close()


def test_other_networks_are_refused(tmp_path):
    only = {"networks": ["127.0.0.64/26"]}
    settings = {"listeners": {"25": only, "465": {"tls": True, **only}, "587": {}}}
    with Appliance(tmp_path / "card.img", "pico_w", USERS, settings) as appliance:
        with Lines(appliance.smtp, source="127.0.0.1") as session:
            assert session.reply().startswith(b"554 Not for your network")
            assert session.line() == b""
        assert "listeners" in appliance.wait_for("refused")["why"]
        with Lines(appliance.ports[465], source="127.0.0.1") as session:
            with pytest.raises(ssl.SSLError, match="(?i)alert internal error"):
                session.start_tls()
        with Lines(appliance.smtp, source="127.0.0.65") as session:
            assert session.reply().startswith(b"220")
        with Lines(appliance.ports[587], source="127.0.0.1") as session:
            assert session.reply().startswith(b"220")


# --- time -----------------------------------------------------------------------------------------

def drip(session: Lines, octets: bytes) -> list[bytes]:
    """Send octet by octet, twenty a second, until the other end closes; what it said."""
    session.socket.settimeout(0.05)
    said = b""
    for at in range(len(octets)):
        try:
            session.socket.sendall(octets[at:at + 1])
            piece = session.socket.recv(1000)
        except TimeoutError:
            continue
        except ConnectionError:
            break
        if not piece:
            break
        said += piece
    else:
        raise AssertionError("it goes on listening")
    return said.splitlines()


def test_a_command_that_never_ends(impatient):
    with begin(impatient.smtp, b"EHLO x") as session:
        assert drip(session, b"N" * 200)[-1].startswith(b"421 4.4.2 ")
    assert advice(impatient, "timed out", "odd")


def test_a_message_that_drips(impatient):
    """Slower than 256 octets a second beyond the grace, though it is never idle."""
    with begin(impatient.smtp, *ENVELOPE, b"DATA") as session:
        assert drip(session, b"x" * 300)[-1].startswith(b"421 4.4.2 ")
    assert letters(impatient) == []


def test_a_message_whose_end_never_comes(impatient):
    """LF.LF does not end it; the log says what is wrong with the device."""
    with begin(impatient.smtp, *ENVELOPE, b"DATA") as session:
        session.socket.sendall(b"Subject: x\n\nIt works.\n.\nQUIT\n")
        assert session.reply().startswith(b"421 4.4.2 ")
    assert advice(impatient, "LF alone", "odd")
    assert letters(impatient) == []


def test_a_chunk_that_drips(impatient):
    with begin(impatient.smtp, *ENVELOPE) as session:
        session.socket.sendall(b"BDAT 1000 LAST\r\n")
        assert drip(session, b"x" * 300)[-1].startswith(b"421 4.4.2 ")
    with begin(impatient.smtp, b"EHLO x") as session:  # a refused one, too
        session.socket.sendall(b"BDAT 1000 LAST\r\n")
        assert drip(session, b"x" * 300)[-1].startswith(b"421 4.4.2 ")
    assert letters(impatient) == []


def test_noops_keep_no_seat(impatient):
    with begin(impatient.smtp, b"EHLO x") as session:
        for _ in range(90):
            reply = session.say(b"NOOP")
            if not reply.startswith(b"250"):
                break
            time.sleep(0.05)
        assert reply.startswith(b"421 4.4.2 ") or session.line().startswith(b"421 4.4.2 ")


def test_silence(impatient):
    with begin(impatient.smtp) as session:
        assert session.line().startswith(b"421 ")
        assert session.line() == b""


@pytest.mark.parametrize("chunk", [b"BDAT 0\r\n", b"BDAT 1\r\nx"])
def test_chunks_keep_no_seat(impatient, chunk):
    with begin(impatient.smtp, *ENVELOPE) as session:
        for _ in range(200):
            session.socket.sendall(chunk)
            reply = session.reply()
            if not reply.startswith(b"250"):
                break
            time.sleep(0.05)
        assert reply.startswith(b"421 4.4.2 ") or session.line().startswith(b"421 4.4.2 ")
    assert letters(impatient) == []


# --- passwords and TLS ------------------------------------------------------------------------

def test_guessing_costs_time_and_a_connection(impatient):
    """Three a connection; the address waits longer each time, others do not."""
    def guess(count: int, source: str) -> float:
        began = time.monotonic()
        with Lines(impatient.smtp, source=source) as session:
            session.reply()
            session.say(b"EHLO x")
            for _ in range(count):
                assert session.say(b"AUTH PLAIN " + base64.b64encode(b"\0girl\0no")
                                   ).startswith(b"535")
            took = time.monotonic() - began
            if count == 3:
                assert session.reply().startswith(b"421") and session.line() == b""
        return took

    takes = [guess(3, "127.0.0.5") for _ in range(3)]
    assert takes[2] > takes[0]
    other = guess(1, "127.0.0.6")
    assert other < takes[2] / 3
    with Lines(impatient.smtp, source="127.0.0.6") as session:  # and the owner gets in
        session.reply()
        session.say(b"EHLO x")
        assert session.say(b"AUTH PLAIN " + base64.b64encode(b"\0girl\0pw")).startswith(b"235")


def test_no_secret_in_the_log(appliance):
    with begin(appliance.smtp, b"EHLO x", source=stranger()) as session:
        session.say(b"AUTH LOGIN " + base64.b64encode(b"girl"))
        session.say(base64.b64encode(b"s3cret-one"))
        session.say(b"auth plain " + base64.b64encode(b"\0girl\0s3cret-two"))
        session.say(b"AUTH LOGIN")
        session.say(base64.b64encode(b"girl"))
        session.socket.sendall(base64.b64encode(b"s3cret-three") + b"\r\n")
    assert advice(appliance, "wrong password for 'girl'")
    log = str(appliance.events)
    for secret in (b"s3cret-one", b"\0girl\0s3cret-two", b"s3cret-three"):
        assert base64.b64encode(secret).decode() not in log
    assert "s3cret" not in log


@pytest.mark.parametrize("before", [(), (b"EHLO x", b"MAIL FROM:<a@b.c>")])
def test_no_secret_of_who_did_not_notice_that_auth_was_refused(appliance, before):
    secrets = (base64.b64encode(b"girl"), base64.b64encode(b"s3cret word"))
    with begin(appliance.smtp, *before) as session:
        assert session.say(b"AUTH LOGIN").startswith(b"503")
        for secret in secrets:
            assert session.say(secret).startswith(b"500")
    assert advice(appliance, "refused")
    with Lines(appliance.pop3) as session:  # its line comes before those of the next session
        session.line()
    assert not any(secret.decode() in str(appliance.events) for secret in secrets)


@pytest.mark.parametrize("verb", [b"AUTH ", b"AUTH=PLAIN ", b"AUTHPLAIN ", b"AUTH X "])
def test_no_secret_of_who_spells_auth_in_its_own_way(appliance, verb):
    secret = base64.b64encode(b"\0girl\0s3cret of " + verb)
    with begin(appliance.smtp, b"EHLO x") as session:
        assert session.say(verb + secret)[:2] == b"50"
    assert advice(appliance, "after AUTH was refused")
    assert secret.decode() not in str(appliance.events)


@pytest.mark.parametrize("line", [b"BDAT" + b" " * 1100 + b"9 LAST\r\n",
                                  b" " * 1100 + b"BDAT 9 LAST\r\n"])
def test_a_chunk_behind_a_line_that_is_none(appliance, line):
    with begin(appliance.smtp, *ENVELOPE) as session:
        session.socket.sendall(line + b"RSET\r\nNOOP\r\n")
        assert [reply[:3] for reply in rest(session)] == [b"500"]


def test_pop3_counts_failures_too(impatient):
    source = stranger()
    takes = []
    for _ in range(3):
        with Lines(impatient.pop3, source=source) as session:
            session.line()
            began = time.monotonic()
            for _ in range(2):
                session.socket.sendall(b"USER girl\r\nPASS no\r\n")
                assert session.line().startswith(b"+OK") and session.line().startswith(b"-ERR")
            takes.append(time.monotonic() - began)
    assert takes[2] - takes[0] > 0.3  # 20 ms, doubled four times and five times


def test_who_leaves_while_tls_begins_takes_no_room(appliance):
    for _ in range(6):
        with begin(appliance.smtp, b"EHLO x") as session:
            session.socket.sendall(b"STARTTLS\r\n")
            session.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    for _ in range(2):
        with begin(appliance.smtp, b"EHLO x") as session:
            assert session.say(b"STARTTLS").startswith(b"220")
            session.start_tls()
            assert session.say(b"EHLO x").startswith(b"250")
            assert session.say(b"QUIT").startswith(b"221")


def test_silence_at_the_port_for_tls_takes_no_room(impatient):
    """A seat, and not for long: who speaks gets in meanwhile."""
    mute = [socket.create_connection(("127.0.0.1", impatient.ports[465]), 20) for _ in range(3)]
    with Lines(impatient.ports[465]) as session:
        session.start_tls()
        assert session.reply().startswith(b"220")
        assert session.say(b"QUIT").startswith(b"221")
    for raw in mute:
        try:
            assert raw.recv(100) == b""
        except ConnectionResetError:
            pass
        raw.close()


def test_a_log_line_stays_one(appliance):
    user = b'x\r\nlogin peer=1.2.3.4 "user"=girl'
    with begin(appliance.smtp, b"EHLO x", source=stranger()) as session:
        assert session.say(b"AUTH PLAIN " + base64.b64encode(b"\0%s\0x" % user)
                           ).startswith(b"535")
        session.say(b"RCPT \r\r\x1b[2J\x7f")
    assert advice(appliance, "no such user 'x??login")


def test_plain_text_before_tls_is_thrown_away(appliance):
    """RFC 3207 4.2 and CVE-2011-0411: commands in STARTTLS' packet."""
    with begin(appliance.smtp, b"EHLO x") as session:
        session.socket.sendall(b"STARTTLS\r\nMAIL FROM:<evil@b.c>\r\nRCPT TO:<girl@xyz.com>\r\n")
        assert session.reply().startswith(b"220")
        session.start_tls()
        assert session.say(b"NOOP").startswith(b"250")
        assert session.say(b"RCPT TO:<girl@xyz.com>").startswith(b"503")


def test_tls_at_a_port_without(appliance):
    with socket.create_connection(("127.0.0.1", appliance.smtp), 10) as raw:
        assert raw.recv(100).startswith(b"220")
        raw.sendall(bytes.fromhex("160301020001000001fc0303") + b"\n" * 20)
        assert raw.recv(100) == b""
    assert advice(appliance, "port for TLS (465)")


def test_plain_text_at_the_port_for_tls(appliance):
    with socket.create_connection(("127.0.0.1", appliance.ports[465]), 10) as raw:
        raw.sendall(b"EHLO camera.local\r\n")
        try:
            assert raw.recv(100) == b""
        except ConnectionResetError:
            pass  # it closed without having read all
    assert "port 25" in advice(appliance, "spoke plain text")["advice"]


def test_handshakes_that_never_end(impatient):
    """They hold the room for TLS no longer than their deadline; who comes meanwhile is told."""
    hung = []
    for _ in range(2):
        hung.append(socket.create_connection(("127.0.0.1", impatient.ports[465]), 20))
        hung[-1].sendall(b"\x16")
        impatient.wait_for("connected", service="smtps")
    with Lines(impatient.smtp) as session:
        session.reply()
        session.say(b"EHLO x")
        reply = session.say(b"STARTTLS")
        assert reply.startswith(b"454 4.7.0 ") or reply.startswith(b"220 ")
    for raw in hung:
        try:
            while raw.recv(100):
                pass
        except ConnectionResetError:
            pass  # the alert came, and what it had sent was never read
        raw.close()
    with Lines(impatient.ports[465]) as session:
        session.start_tls()
        assert session.reply().startswith(b"220")


def test_a_login_may_be_wanted_and_tls_too(tmp_path):
    settings = {"listeners": {"25": {"require_tls": True}, "587": {"require_auth": True}}}
    with Appliance(tmp_path / "card.img", "pico_w", USERS, settings) as appliance:
        for port, words in ((25, "STARTTLS"), (587, "log in")):
            with begin(appliance.ports[port], b"EHLO x") as session:
                assert session.say(b"MAIL FROM:<a@b.c>").startswith(b"530 5.7.0 ")
            assert words in advice(appliance, "MAIL FROM")["advice"]
