"""Mail programs that log in and speak TLS, against the whole appliance on sockets of each kind.

Whatever way a letter takes, it comes back octet for octet; and a client that does not get its
letter delivered, for a wrong password or a certificate that it does not trust, says so, as does
the appliance's log.
"""

from __future__ import annotations

import base64
import email
import email.policy
import json
import re
import smtplib
import ssl
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from email.message import EmailMessage

import pytest

from host_tools import tls_identity
from tests.e2e import clients, letters, secure_clients
from tests.e2e.conftest import KINDS
from tests.e2e.letters import LETTERS
from tests.e2e.secure_clients import PROGRAMS, STARTTLS, TLS, WAYS, Errand, Way
from tests.support.appliance import Appliance
from tests.support.wire import Pop3

_WRONG = "wr0ng-s3cret"
# What a crowd's client tries until it is let in, one try a tenth of a second.
_TRIES = 600
# Each test has a mailbox of its own, or empties it.
USERS = {name: f"pa55-{name}" for name in (*PROGRAMS, "smtplib", "umlaut", "crowd", "everybody",
                                           "reporter")}
SETTINGS = {"aliases": {"büro": "umlaut"}, "catch_all": "everybody"}


@pytest.fixture(scope="module", params=KINDS)
def appliance(request, tmp_path_factory):
    """A running appliance with USERS; when the module's tests are done it has had no fault."""
    card = tmp_path_factory.mktemp(request.param) / "card.img"
    with Appliance(card, request.param, USERS, SETTINGS) as running:
        yield running
        assert running.faults() == []


def collect(appliance: Appliance, user: str) -> list[bytes]:
    """The messages in the mailbox of `user`, which is empty then."""
    with closing(clients.log_in(appliance, user)) as client:
        messages = []
        for number in range(1, client.stat()[0] + 1):
            messages.append(clients.retrieve(client, number))
            client.dele(number)
        client.quit()
    return messages


def refusals(appliance: Appliance, act: Callable[[], None]) -> list[dict]:
    """The events `refused` and `odd` of the session with the one client that `act` runs."""
    before = len(appliance.events)
    act()

    def news(*names: str) -> list[dict]:
        return [event for event in appliance.events[before:]
                if event["event"] in names and event.get("service") not in (None, "pop3")]

    connected = news("connected")
    while not connected:
        appliance.wait_for("connected")
        connected = news("connected")
    while len(news("closed")) < len(connected):
        appliance.wait_for("closed")
    return news("refused", "odd")


# --- letters --------------------------------------------------------------------------------

@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("program", [name for name in PROGRAMS if name != "s_nail"])
def test_letters_come_back_octet_for_octet(appliance, home, program, way):
    errand = Errand(appliance, WAYS[way], home, program)
    try:
        for message in LETTERS.values():
            PROGRAMS[program].send(errand, message)
    finally:  # what a test that failed has left is not for the next
        messages = collect(appliance, program)
    assert [letters.without_trace(message, (WAYS[way].protocol,))
            for message in messages] == list(LETTERS.values())


@pytest.mark.parametrize("way", WAYS)
def test_smtplib_letters_come_back_octet_for_octet(appliance, home, way):
    errand = Errand(appliance, WAYS[way], home, "smtplib")
    try:
        for message in LETTERS.values():
            secure_clients.deliver(errand, message)
    finally:
        messages = collect(appliance, "smtplib")
    assert [letters.without_trace(message, (WAYS[way].protocol,))
            for message in messages] == list(LETTERS.values())


@pytest.mark.parametrize("way", WAYS)
def test_s_nail_texts_come_back(appliance, home, way):
    """It makes header and encoding itself, so what is compared is the text, decoded."""
    errand = Errand(appliance, WAYS[way], home, "s_nail")
    texts = [message.partition(b"\r\n\r\n")[2] for message in LETTERS.values()]
    # Without anything to do beyond the plain protocol it says HELO.
    protocols = (b"SMTP",) if WAYS[way] == Way(25) else (WAYS[way].protocol,)
    try:
        for text in texts:
            PROGRAMS["s_nail"].send(errand, text)
    finally:
        messages = collect(appliance, "s_nail")
    for message, text in zip(messages, texts, strict=True):
        parsed = email.message_from_bytes(letters.without_trace(message, protocols))
        assert parsed["Subject"] == "A letter"
        assert parsed.get_payload(decode=True).replace(b"\r\n", b"\n") == (
            text.replace(b"\r\n", b"\n"))


def test_smtputf8(appliance, home):
    """RFC 6531: addresses and header in UTF-8."""
    errand = Errand(appliance, Way(587, STARTTLS, "PLAIN"), home, "smtplib")
    message = EmailMessage(email.policy.SMTPUTF8)
    message["From"] = "Größe <größe@abc.com>"
    message["To"] = f"Büro <büro@{appliance.hostname}>"
    message["Subject"] = "Wärme im Büro, 你好"
    message.set_content("Es sind 20 °C.\n", cte="8bit")
    with secure_clients.greeted(errand) as client:
        secure_clients.log_in(client, errand)
        assert client.send_message(message) == {}
    fetched, = collect(appliance, "umlaut")
    assert letters.without_trace(fetched, (b"UTF8SMTPSA",)) == message.as_bytes()
    assert "\r\n\tfor <büro@xyz.com>;\r\n".encode() in fetched


# --- reports --------------------------------------------------------------------------------

def check_report(fetched: bytes, reporter: str, recipient: str) -> EmailMessage:
    """A report of a delivery (RFC 3464) without a defect; its fields for the whole message."""
    report = email.message_from_bytes(fetched, policy=email.policy.default)
    assert [part.defects for part in report.walk()] == [[] for _ in report.walk()]
    assert report.get_content_type() == "multipart/report"
    assert report.get_param("report-type") == "delivery-status"
    assert (report["Return-Path"], report["To"]) == ("<>", reporter)
    text, status, head = report.get_payload()
    assert recipient in text.get_content()
    whole, one = status.get_payload()
    assert (one["Action"], one["Status"]) == ("delivered", "2.0.0")
    assert one["Final-Recipient"] == f"rfc822; {recipient}"
    assert head.get_content_type() == "text/rfc822-headers"
    assert head.get_content().startswith("X-Marker: small\r\n")
    return whole


def test_smtplib_gets_the_report_it_asked_for(appliance, home):
    errand = Errand(appliance, Way(465, TLS, "PLAIN"), home, "smtplib")
    reporter = f"reporter@{appliance.hostname}"
    with secure_clients.greeted(errand) as client:
        secure_clients.log_in(client, errand)
        for notify, envelope in (("NEVER", "silent"), ("SUCCESS", "a+2B1")):
            client.sendmail(reporter, [errand.recipient], LETTERS["small"],
                            ["RET=HDRS", f"ENVID={envelope}"], [f"NOTIFY={notify}"])
    assert len(collect(appliance, "smtplib")) == 2
    report, = collect(appliance, "reporter")
    whole = check_report(report, reporter, errand.recipient)
    assert whole["Original-Envelope-Id"] == "a+1"


def test_msmtp_gets_the_report_it_asked_for(appliance, home):
    errand = Errand(appliance, Way(587, STARTTLS, "LOGIN"), home, "msmtp")
    reporter = f"reporter@{appliance.hostname}"
    command, letter = secure_clients.msmtp(errand, LETTERS["small"])
    config = home / "msmtprc"
    config.write_text(re.sub(r"^from .*$", f"from {reporter}\ndsn_notify success\n"
                             "dsn_return headers", config.read_text(), flags=re.MULTILINE))
    clients.run(command, home, letter)
    assert len(collect(appliance, "msmtp")) == 1
    report, = collect(appliance, "reporter")
    check_report(report, reporter, errand.recipient)


# --- what goes wrong ------------------------------------------------------------------------

def check_no_password(appliance: Appliance, user: str, passwords: tuple[str, ...]) -> None:
    """Nothing in the log has one of them, nor as AUTH carries it."""
    log = json.dumps(appliance.events)
    assert appliance.events and f'"{user}"' in log  # so that what is looked for could be there
    for password in passwords:
        for secret in (password.encode(), f"\0{user}\0{password}".encode()):
            assert base64.b64encode(secret).decode() not in log
        assert password not in log


@pytest.mark.parametrize("way", ["plain_PLAIN", "starttls_LOGIN"])
@pytest.mark.parametrize("program", PROGRAMS)
def test_wrong_password(appliance, home, program, way):
    errand = Errand(appliance, WAYS[way], home, program, _WRONG)
    status, complaint = PROGRAMS[program].denied
    said = []
    events = refusals(appliance, lambda: said.append(
        PROGRAMS[program].send(errand, LETTERS["small"], status)))
    assert complaint in said[0]
    assert [event["event"] for event in events] == ["refused"]
    assert f"wrong password for '{program}'" in events[0]["why"]
    assert "name and password" in events[0]["advice"]
    PROGRAMS[program].send(Errand(appliance, WAYS[way], home, program), LETTERS["small"])
    assert len(collect(appliance, program)) == 1
    check_no_password(appliance, program, (_WRONG, appliance.users[program]))


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_unknown_user(appliance, home, mechanism):
    errand = Errand(appliance, Way(465, TLS, mechanism), home, "ghost", _WRONG)

    def try_it() -> None:
        with pytest.raises(smtplib.SMTPAuthenticationError, match="Wrong user name or password"):
            secure_clients.deliver(errand, LETTERS["small"])

    events = refusals(appliance, try_it)
    assert [event["event"] for event in events] == ["refused"]
    assert "no such user 'ghost'" in events[0]["why"]
    assert base64.b64encode(_WRONG.encode()).decode() not in json.dumps(appliance.events)
    assert _WRONG not in json.dumps(appliance.events)


def test_login_is_required(appliance, home):
    for port, tls in ((465, TLS), (587, ""), (587, STARTTLS)):
        with pytest.raises(smtplib.SMTPSenderRefused, match="Authentication required"):
            secure_clients.deliver(Errand(appliance, Way(port, tls), home, "smtplib"),
                                   LETTERS["small"])
    assert collect(appliance, "smtplib") == []


@pytest.fixture(scope="module")
def another_certificate() -> bytes:
    """Of the same names, as an appliance would have that was set up anew."""
    return tls_identity.make("xyz.com", ("127.0.0.1",))[1]


def _is_distrust(appliance: Appliance, why: str) -> bool:
    """Whether the log says it. A client that is gone before it has our whole handshake answers
    the rest of it with RST, and with that a W5500 loses the alert that it sent.
    """
    return "does not accept our certificate" in why or (
        appliance.ready["board"] == "pico_w5500" and "hung up during the TLS handshake" in why)


@pytest.mark.parametrize("way", ["starttls_PLAIN", "tls_PLAIN"])
@pytest.mark.parametrize("program", PROGRAMS)
def test_untrusted_certificate(appliance, home, program, way, another_certificate):
    errand = Errand(appliance, WAYS[way], home, program, certificate=another_certificate)
    status, complaint = PROGRAMS[program].distrusts
    if program == "msmtp" and WAYS[way].tls == TLS:
        complaint = b"fingerprint"
    said = []
    events = refusals(appliance, lambda: said.append(
        PROGRAMS[program].send(errand, LETTERS["small"], status)))
    assert complaint in said[0]
    assert len(events) == 1
    if PROGRAMS[program].alerts:
        assert events[0]["event"] == "refused" and _is_distrust(appliance, events[0]["why"])
    assert collect(appliance, program) == []


@pytest.mark.parametrize("way", ["starttls", "tls_PLAIN"])
def test_untrusted_certificate_in_python(appliance, home, way, another_certificate):
    errand = Errand(appliance, WAYS[way], home, "smtplib", certificate=another_certificate)

    def try_it() -> None:
        with pytest.raises(ssl.SSLCertVerificationError):
            secure_clients.deliver(errand, LETTERS["small"])

    event, = refusals(appliance, try_it)
    assert event["event"] == "refused" and _is_distrust(appliance, event["why"])


def test_certificate_for_another_name(appliance, home):
    """curl is told to find the appliance under a name that its certificate does not have."""
    errand = Errand(appliance, WAYS["tls_PLAIN"], home, "curl")
    command, _ = secure_clients.curl(errand, LETTERS["small"])
    command = [part.replace(appliance.hostname + ":", "other.com:") for part in command]
    done = clients.outcome(command, home, status=60)
    assert b"other.com" in done.stderr
    assert collect(appliance, "curl") == []


@pytest.mark.parametrize("version", ["-tls1", "-tls1_1"])
@pytest.mark.parametrize("port", [25, 465])
def test_old_tls(appliance, home, port, version):
    command = [clients.need("openssl", "openssl"), "s_client", version,
               "-cipher", "DEFAULT@SECLEVEL=0",
               "-connect", f"{clients.HOST}:{appliance.ports[port]}"]
    if port == 25:
        command += ["-starttls", "smtp"]
    said = []
    event, = refusals(appliance, lambda: said.append(clients.outcome(command, home, status=1)))
    assert b"alert protocol version" in said[0].stderr
    assert event["event"] == "refused"
    assert "the peer's TLS is too old, 1.2 is needed" in event["why"]


# --- many at once ---------------------------------------------------------------------------

def test_five_threads_in_tls(appliance, home):
    """Room is for one TLS session, so others wait, or hear 454 and try again. Once there is TLS
    nothing is forgiven.
    """
    sent = {f"{name}-{number}": letters.letter(f"{name}-{number}",
                                               letters.attachment(number, size))
            for name in ("red", "green", "blue", "black", "white")
            for number, size in enumerate((200, 90_000, 3_000, 40_000))}

    def deliver(name: str) -> None:
        for number, way in enumerate((Way(465, TLS, "PLAIN"), Way(587, STARTTLS, "LOGIN"),
                                      Way(25, STARTTLS), Way(465, TLS, "LOGIN"))):
            secure_clients.deliver(Errand(appliance, way, home, "crowd"),
                                   sent[f"{name}-{number}"], _patiently)

    with ThreadPoolExecutor(5) as pool:
        for sender in [pool.submit(deliver, name) for name in ("red", "green", "blue", "black",
                                                               "white")]:
            sender.result()
    assert letters.by_mark(collect(appliance, "crowd")) == sent


def _patiently(errand: Errand) -> smtplib.SMTP:
    for _ in range(_TRIES):
        try:
            return secure_clients.greeted(errand)
        except ssl.SSLCertVerificationError:
            raise
        except (ConnectionError, ssl.SSLError):
            pass  # no listener, or no room for TLS where it begins at once
        except smtplib.SMTPServerDisconnected:
            pass
        except smtplib.SMTPResponseException as error:
            if error.smtp_code not in (421, 454):
                raise
        time.sleep(0.1)
    raise AssertionError(f"not let in at {_TRIES} tries")


_SOURCE_OCTETS = 5000
_SOURCE_MESSAGES = 50


def test_smtp_source_with_five_sessions(appliance, home):
    """Postfix's load generator; each letter goes to an address of its own, which nobody has.

    It gives up when a connection is refused. A W5500 has seven sockets for four ports, and what
    listens at one port when five clients come at once is not enough; so there each session is a
    process, and one that was refused before its first letter is started again, as mail programs
    try again.
    """
    program = clients.need("smtp-source", "postfix")
    crowded = appliance.ready["board"] == "pico_w5500"

    def source(sessions: int) -> None:
        command = [program, "-s", str(sessions), "-m", str(_SOURCE_MESSAGES * sessions // 5),
                   "-l", str(_SOURCE_OCTETS), "-N", "-M", "abc.com", "-f", letters.SENDER,
                   "-t", f"x@{appliance.hostname}", f"inet:{clients.HOST}:{appliance.smtp}"]
        if crowded:
            command.insert(1, "-d")  # one connection for all letters
        for _ in range(_TRIES if crowded else 1):
            done = clients.outcome(command, home, status=None)
            if not done.returncode:
                return
            assert re.search(rb"connect: Connection re|lost connection while reading server "
                             rb"greeting", done.stderr), done.stderr
            time.sleep(0.1)
        raise AssertionError(done.stderr)

    with ThreadPoolExecutor(5) as pool:
        for run in [pool.submit(source, 1) for _ in range(5)] if crowded else [
                pool.submit(source, 5)]:
            run.result()
    messages = [letters.without_trace(message, (b"SMTP",))
                for message in collect(appliance, "everybody")]
    assert len(messages) == _SOURCE_MESSAGES
    heads, texts = zip(*[message.split(b"\r\n\r\n", 1) for message in messages], strict=True)
    assert set(texts) == {_source_text()}
    marks = {re.search(rb"^Message-Id: (.+?)\r?$", head, re.MULTILINE)[1] for head in heads}
    assert len(marks) == _SOURCE_MESSAGES


def test_smtp_source_at_once_where_fewer_ports_share_the_chip(tmp_path, home):
    """Five at the same moment, on a W5500 that serves port 25 and POP3 alone."""
    program = clients.need("smtp-source", "postfix")
    with Appliance(tmp_path / "card.img", "pico_w5500",
                   settings={"listeners": {"25": {}}}) as appliance:
        clients.run([program, "-d", "-s", "5", "-m", "50", "-l", str(_SOURCE_OCTETS), "-M",
                     "abc.com", "-f", letters.SENDER, "-t", "girl@xyz.com",
                     f"inet:{clients.HOST}:{appliance.smtp}"], home)
        messages = Pop3(appliance.pop3, "girl", appliance.users["girl"]).take_all()
    assert {message.split(b"\r\n\r\n", 1)[1] for message in messages} == {_source_text()}
    assert len(messages) == 50


def _source_text() -> bytes:
    """What smtp-source sends: lines of 80 octets with their ends, each with the last digit of
    its number, and what is left over in a last one.
    """
    lines, rest = divmod(_SOURCE_OCTETS, 80)
    return b"".join(b"%d%s\r\n" % (number % 10, b"X" * 77)
                    for number in range(1, lines + 1)) + b"X" * rest + b"\r\n"
