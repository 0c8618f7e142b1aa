"""POP3 as its users and strangers meet it: TLS, who may log in how, silence, what is promised."""

from __future__ import annotations

import base64
import hashlib
import socket
from pathlib import Path

import pytest

from tests.e2e.conftest import BOARDS
from tests.support.appliance import Appliance
from tests.support.wire import Lines, Pop3, send

IMPATIENT = Path(__file__).parents[1] / "support" / "impatient.py"
USERS = {"girl": "s3cret word", "boy": "pa55", "left": "pw", "lost": "pw", "many": "pw"}
LETTER = b"Subject: hello\r\n\r\nIt works.\r\n"


@pytest.fixture(scope="module", params=BOARDS)
def appliance(request, tmp_path_factory):
    card = tmp_path_factory.mktemp(request.param) / "card.img"
    with Appliance(card, request.param, USERS) as running:
        yield running
        assert running.faults() == []


@pytest.fixture(scope="module")
def impatient(tmp_path_factory):
    """One whose deadlines pass within seconds."""
    card = tmp_path_factory.mktemp("impatient") / "card.img"
    with Appliance(card, "pico_w", USERS, main=IMPATIENT) as running:
        yield running
        assert running.faults() == []


class Session(Lines):
    """A greeted session; `tls`: after a handshake at once."""

    def __init__(self, port: int, tls: bool = False):
        super().__init__(port)
        if tls:
            self.start_tls()
        self.greeting = self.line()

    def ask(self, command: bytes) -> bytes:
        """The first line of the answer; b"" where the other end is gone."""
        try:
            self.socket.sendall(command + b"\r\n")
            return self.line()
        except (ConnectionResetError, BrokenPipeError):
            return b""

    def listing(self, command: bytes) -> list[bytes]:
        """The lines of a multi-line answer, without their ends."""
        assert self.ask(command).startswith(b"+OK")
        lines = []
        while (line := self.line()) != b".\r\n":
            assert line.endswith(b"\r\n")
            lines.append(line[:-2])
        return lines

    def log_in(self, user: str) -> bytes:
        """The answer to PASS."""
        self.ask(b"USER " + user.encode())
        return self.ask(b"PASS " + USERS[user].encode())

    def rest(self) -> bytes:
        """What still comes, to the end of the stream."""
        try:
            return self.file.read()
        except ConnectionResetError:
            return b""


def plain(user: str, password: str) -> bytes:
    return b"AUTH PLAIN " + base64.b64encode(f"\0{user}\0{password}".encode())


def deliver(appliance: Appliance, user: str, text: bytes = LETTER) -> None:
    assert send(appliance.smtp, text, to=(f"{user}@xyz.com".encode(),)).startswith(b"250")


# --- TLS ------------------------------------------------------------------------------------

def test_capabilities_before_tls_in_it_and_after_the_login(appliance):
    always = {b"TOP", b"UIDL", b"RESP-CODES", b"AUTH-RESP-CODE", b"PIPELINING", b"UTF8",
              b"LOGIN-DELAY 0", b"IMPLEMENTATION picopost", b"USER", b"SASL PLAIN LOGIN",
              b"EXPIRE NEVER"}
    with Session(appliance.pop3) as session:
        assert set(session.listing(b"CAPA")) == always | {b"STLS"}
        assert session.ask(b"STLS").startswith(b"+OK")
        session.start_tls()
        assert set(session.listing(b"CAPA")) == always
        assert session.log_in("boy").startswith(b"+OK")
        assert set(session.listing(b"CAPA")) == always
        assert session.ask(b"QUIT").startswith(b"+OK")
    assert appliance.wait_for("login", user="boy")["tls"] == "yes"


def test_tls_from_the_first_octet(appliance):
    with Session(appliance.ports[995], tls=True) as session:
        assert session.greeting.startswith(b"+OK")
        assert session.ask(b"STLS") == b"-ERR TLS is active\r\n"
        assert session.ask(plain("boy", USERS["boy"])).startswith(b"+OK maildrop")
        assert session.ask(b"QUIT").startswith(b"+OK")
    assert appliance.wait_for("login", service="pop3s")["user"] == "boy"


def test_plain_text_before_tls_is_thrown_away(appliance):
    """RFC 2595 4 and CVE-2011-0411's kin: commands in STLS' packet, a name said before it."""
    with Session(appliance.pop3) as session:
        assert session.ask(b"USER boy").startswith(b"+OK")
        session.socket.sendall(b"STLS\r\nPASS pa55\r\nDELE 1\r\n")
        assert session.line().startswith(b"+OK")
        session.start_tls()
        # The first answer is to what is asked now: nothing else was.
        assert session.ask(b"UTF8") == b"+OK UTF-8 it is\r\n"
        assert session.ask(b"PASS pa55") == b"-ERR USER first\r\n"
        assert session.ask(b"STAT") == b"-ERR log in first\r\n"


def test_tls_at_the_port_without_it(appliance):
    with socket.create_connection(("127.0.0.1", appliance.pop3), 10) as raw:
        assert raw.recv(100).startswith(b"+OK")
        raw.sendall(bytes.fromhex("160301020001000001fc0303") + b"\n" * 20)
        assert raw.recv(100) == b""
    assert "995" in appliance.wait_for("refused", service="pop3")["advice"]


def test_no_tls_at_the_port_for_it(appliance):
    with socket.create_connection(("127.0.0.1", appliance.ports[995]), 10) as raw:
        raw.sendall(b"CAPA\r\n")
        try:
            assert raw.recv(100) == b""
        except ConnectionResetError:
            pass  # it closed without having read all
    refused = appliance.wait_for("refused", service="pop3s")
    assert "plain text" in refused["why"] and "110" in refused["advice"]


def test_who_idles_in_tls_gives_way(impatient):
    """There is room for two sessions in TLS at most; none of these ends by itself."""
    sessions = []
    for number in range(4):
        sessions.append(Session(impatient.pop3))
        assert sessions[-1].ask(b"STLS").startswith(b"+OK"), number
        sessions[-1].start_tls()
        assert sessions[-1].ask(b"NOOP") == b"-ERR log in first\r\n"
    for session in sessions:
        session.close()


# --- logins ---------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def strict(tmp_path_factory):
    """Logins in TLS alone; POP3S elsewhere, and only for a network that nobody here is in."""
    card = tmp_path_factory.mktemp("strict") / "card.img"
    settings = {"require_tls": True,
                "pop3_listeners": {"110": {}, "9995": {"tls": True, "networks": ["10.9.9.9"]}}}
    with Appliance(card, "pico_w", USERS, settings) as running:
        yield running
        assert running.faults() == []


def test_no_login_without_tls_where_the_owner_wants_it(strict):
    with Session(strict.pop3) as session:
        assert not {b"USER", b"SASL PLAIN LOGIN"} & set(session.listing(b"CAPA"))
        for command in (b"USER boy", b"AUTH PLAIN", plain("boy", "pa55")):
            assert session.ask(command) == b"-ERR STLS first: no login without TLS\r\n"
        assert session.ask(b"STLS").startswith(b"+OK")
        session.start_tls()
        assert session.log_in("boy").startswith(b"+OK")
    with Lines(strict.smtp) as session:
        session.reply()
        assert b"AUTH" not in session.say(b"EHLO x")
        response = base64.b64encode(b"\0boy\0pa55")
        assert session.say(b"AUTH PLAIN " + response).startswith(b"538 5.7.11 ")
        # Mail needs no login.
        assert session.say(b"MAIL FROM:<a@b.c>").startswith(b"250")
        session.say(b"RSET")
        assert session.say(b"STARTTLS").startswith(b"220")
        session.start_tls()
        assert b"AUTH PLAIN" in session.say(b"EHLO x")
        assert session.say(b"AUTH PLAIN " + response).startswith(b"235")


def test_passwords_in_the_clear_are_spoken_of(appliance, strict):
    """Once, when it starts."""
    [said] = [event for event in appliance.events if event["event"] == "logins"]
    assert "clear" in said["why"] and "require_tls" in said["advice"]
    assert not [event for event in strict.events if event["event"] == "logins"]


def test_a_listener_serves_its_networks(strict):
    assert set(strict.ports) == {25, 465, 587, 110, 9995}
    with socket.create_connection(("127.0.0.1", strict.ports[9995]), 10) as raw:
        assert raw.recv(100) == b"\x15\x03\x03\x00\x02\x02\x50"  # a fatal alert
    assert "pop3_listeners" in strict.wait_for("refused", service="pop3_9995")["why"]


def test_a_login_is_a_promise_to_nobody_else(appliance):
    """Somebody's own password opens nobody else's mailbox, and no secret is in the log."""
    secret = "quite-a-s3cret"
    with Session(appliance.pop3) as session:
        session.ask(b"AUTH PLAIN")
        response = base64.b64encode(f"boy\0girl\0{USERS['girl']}".encode())
        assert session.ask(response).startswith(b"-ERR [AUTH]")
        assert session.ask(plain("boy", secret)).startswith(b"-ERR [AUTH]")
    appliance.wait_for("closed", service="pop3")
    logged = str(appliance.events)
    for hidden in (secret, USERS["girl"], response.decode(),
                   base64.b64encode(f"\0boy\0{secret}".encode()).decode()):
        assert hidden not in logged


def test_a_name_with_our_domain_is_the_account(appliance):
    for name in ("boy@xyz.com", "Boy@XYZ.com.local"):
        with Session(appliance.pop3) as session:
            session.ask(b"USER " + name.encode())
            assert session.ask(b"PASS pa55").startswith(b"+OK"), name
    with Session(appliance.pop3) as session:
        session.ask(b"USER boy@example.com")
        assert session.ask(b"PASS pa55").startswith(b"-ERR [AUTH]")


# --- time -----------------------------------------------------------------------------------

def test_silence_is_ended_without_a_word_and_frees_the_mailbox(impatient):
    """RFC 1939 3: the autologout timer deletes nothing and says nothing."""
    deliver(impatient, "left")
    dead = Session(impatient.pop3)
    assert dead.log_in("left").startswith(b"+OK maildrop has 1 message ")
    assert dead.ask(b"DELE 1").startswith(b"+OK")
    with Session(impatient.pop3) as session:
        assert session.log_in("left").startswith(b"-ERR [IN-USE]")
    assert dead.rest() == b""
    impatient.wait_for("closed", why="timeout")
    with Session(impatient.pop3) as session:
        assert session.log_in("left").startswith(b"+OK maildrop has 1 message ")


def test_silence_before_the_login(impatient):
    with Session(impatient.pop3) as session:
        assert session.rest() == b""


@pytest.mark.parametrize("logged_in", [False, True])
def test_noops_keep_no_seat(impatient, logged_in):
    with Session(impatient.pop3) as session:
        if logged_in:
            assert session.log_in("boy").startswith(b"+OK")
        for _ in range(200_000):
            if not session.ask(b"NOOP" if logged_in else b"CAPA"):
                break
            if not logged_in:
                while session.line() not in (b".\r\n", b""):
                    pass
        else:
            raise AssertionError("it is still served")


# --- the maildrop ---------------------------------------------------------------------------

def test_pipelined_commands_are_answered_in_order(appliance):
    """RFC 2449 6.6: a whole session in one packet, messages among the replies."""
    deliver(appliance, "many")
    deliver(appliance, "many", b"Subject: two\r\n\r\n.\r\n..\r\n")
    with Session(appliance.pop3) as session:
        session.socket.sendall(b"CAPA\r\nUSER many\r\nPASS pw\r\nSTAT\r\nUIDL 2\r\nRETR 2\r\n"
                               b"TOP 1 0\r\nLIST\r\nDELE 1\r\nLIST 1\r\nRSET\r\nDELE 2\r\nNOOP\r\n"
                               b"LIST\r\nQUIT\r\n")
        said = session.rest().split(b"\r\n.\r\n")
    heads = [[line.split()[0] for line in part.split(b"\r\n") if line[:1] in (b"+", b"-")]
             for part in said]
    # What stands before the dot of CAPA, RETR, TOP, LIST and LIST; then what QUIT says.
    assert heads == [[b"+OK"], [b"+OK"] * 5, [b"+OK"], [b"+OK"],
                     [b"+OK", b"-ERR", b"+OK", b"+OK", b"+OK", b"+OK"], [b"+OK"]]
    assert said[1].endswith(b"\r\n\r\n..\r\n...")
    reader = Pop3(appliance.pop3, "many", "pw")
    assert [text.endswith(LETTER) for text in reader.take_all()] == [True]


def test_what_quit_deleted_stays_deleted_over_a_power_cut(tmp_path):
    """The process dies in the instant of `+OK`: no orderly end, nothing is written after it. (What
    a card still has in its own memory then is lost in tests/campaign.)
    """
    card = tmp_path / "card.img"
    running = Appliance(card, "pico_w", USERS)
    for number in range(3):
        deliver(running, "lost", b"Subject: %d\r\n\r\n" % number)
    with Session(running.pop3) as session:
        session.log_in("lost")
        uids = session.listing(b"UIDL")
        for number in (1, 3):
            assert session.ask(b"DELE %d" % number).startswith(b"+OK")
        assert session.ask(b"QUIT").startswith(b"+OK")
        running.kill()
    with Appliance(card, "pico_w", USERS) as again:
        with Session(again.pop3) as session:
            session.log_in("lost")
            assert [line.split()[1] for line in session.listing(b"UIDL")] == [uids[1].split()[1]]


# --- what the log shows of a letter -----------------------------------------------------------

@pytest.mark.parametrize("board", BOARDS)
def test_subjects_are_logged_where_the_owner_wants_it(tmp_path, board):
    """And the letters come as they are."""
    header = b"X-Long: " + b"x" * 900 + b"\r\n"
    letters = {"Zähler: 27 °C": b"Subject: =?utf-8?q?Z=C3=A4hler:_27?=\r\n =?utf-8?b?IMKwQw==?=",
               "forged  x=1 \\": b"subject: =?utf-8?q?forged=0D=0Ax=3D1?= \\",
               "": header * 5 + b"Subject: too far"}
    with Appliance(tmp_path / "card.img", board, USERS, {"log_subjects": True}) as running:
        for subject in letters.values():
            send(running.smtp, subject + b"\r\n\r\n.\r\n" + b"From me\r\n" * 9000)
        with Pop3(running.pop3, "girl", USERS["girl"]) as session:
            for number, (shown, subject) in enumerate(letters.items(), 1):
                digest, octets, head = session.retrieve(number, session.trace_octets(number))
                text = subject + b"\r\n\r\n.\r\n" + b"From me\r\n" * 9000
                assert digest == hashlib.sha256(text).hexdigest()
                assert running.wait_for("fetched", message=number, lines=-1)["subject"] == shown
        assert running.faults() == []


def test_subjects_are_not_logged_else(appliance):
    deliver(appliance, "many", LETTER)
    with Pop3(appliance.pop3, "many", USERS["many"]) as session:
        session.text(1)
    assert "subject" not in appliance.wait_for("fetched", mailbox="many")
