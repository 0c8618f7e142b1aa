"""How the devices of firmware/docs speak, with what a page says was typed into them."""

from __future__ import annotations

import smtplib
import socket
import ssl
import warnings
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace

from tests.docs import pages
from tests.e2e.letters import attachment
from tests.support.appliance import Appliance
from tests.support.wire import Pop3

_HOST = "127.0.0.1"
_PATIENCE = 60
# The first column of a page's table of ways.
NO_TLS, STARTTLS, TLS = "no TLS", "STARTTLS", "TLS at once"
ALICE = "alice@picopost.local"


def any_certificate() -> ssl.SSLContext:
    """What most devices do, and Python's smtplib where it is given no context."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def known_certificates() -> ssl.SSLContext:
    """Who accepts what a public authority has signed, and nothing else."""
    return ssl.create_default_context()


def old_tls() -> ssl.SSLContext:
    """A device from before TLS 1.2."""
    context = any_certificate()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    return context


@dataclass(frozen=True)
class Way:
    """A row of a page's table of ways: port of the board, TLS, and (user, password) or None."""

    port: int
    tls: str = NO_TLS
    login: tuple[str, str] | None = None


@dataclass(frozen=True)
class Device:
    """What a device is told, and its habits.

        auth          the SASL mechanism that it knows
        opportunistic it uses STARTTLS where it is offered, asked to or not
        esmtp         False: HELO is all that it says, until it needs more
        shouts        it says MAIL; smtplib, which TrueNAS has, says mail
        impatient     how many seconds it waits for an answer
    """

    helo: str
    sender: str
    letter: bytes
    recipient: str = ALICE
    auth: str = "LOGIN"
    opportunistic: bool = False
    esmtp: bool = True
    tls: ssl.SSLContext | None = None
    shouts: bool = True
    impatient: float = _PATIENCE

    def connected(self, appliance: Appliance, way: Way) -> smtplib.SMTP:
        """A session, ready for MAIL. smtplib.SMTPException or OSError where it does not come so
        far.
        """
        port = appliance.ports[way.port]
        context = self.tls or any_certificate()
        more = {"local_hostname": self.helo, "timeout": self.impatient}
        if way.tls == TLS:
            client = smtplib.SMTP_SSL(_HOST, port, context=context, **more)
        else:
            client = smtplib.SMTP(_HOST, port, **more)
        with ExitStack() as stack:
            stack.callback(client.close)
            if self.shouts:
                say = client.putcmd
                # What has nothing behind it may be a password's answer.
                client.putcmd = lambda verb, rest="": say(verb.upper() if rest else verb, rest)
            if self.esmtp or way.tls != NO_TLS or way.login:
                client.ehlo(self.helo)
            else:
                client.helo(self.helo)
            offered = self.opportunistic and client.has_extn("starttls")
            if way.tls == STARTTLS or offered:
                client.starttls(context=context)
                client.ehlo(self.helo)
            if way.login:
                client.user, client.password = way.login
                client.auth(self.auth, getattr(client, "auth_" + self.auth.lower()))
            stack.pop_all()
        return client

    def send(self, appliance: Appliance, way: Way) -> None:
        """Its letter. smtplib.SMTPException or OSError where it is not taken."""
        with self.connected(appliance, way) as client:
            client.sendmail(self.sender, [self.recipient], self.letter)

    def told(self, **others) -> Device:
        """The same device with other things typed into it."""
        return replace(self, **others)


def _letter(subject: str, text: str, name: str = "", octets: int = 0) -> bytes:
    """A multipart letter with a file of noise, or a short text."""
    head = f"From: device\r\nTo: {ALICE}\r\nSubject: {subject}\r\n"
    if not name:
        return (head + f"\r\n{text}\r\n").encode()
    kind = "image/jpeg" if name.endswith(".jpg") else "application/pdf"
    return (head + "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n"
            f"--x\r\n\r\n{text}\r\n--x\r\nContent-Type: {kind}; name=\"{name}\"\r\n"
            "Content-Transfer-Encoding: base64\r\n\r\n").encode() + attachment(1, octets) + (
                b"--x--\r\n")


DEVICES = {
    "printer": Device("MFP1A2B3C", "", _letter("Scan", "See the attachment.", "scan.pdf", 300_000),
                      opportunistic=True),
    "nas": Device("nas", "", _letter("nas: test", "This is a test."), auth="PLAIN",
                  shouts=False),
    "camera": Device("IPCAM", "", _letter("Motion", "Garden", "alarm.jpg", 100_000)),
    # A bare address, as an APC's card has it: zoo/ups_apc.txt.
    "ups": Device("192.168.1.20", "", _letter("UPS: test", "Code: 0x0109"), esmtp=False),
}


# --- what a page says to type ---------------------------------------------------------------

def typed(page: pages.Page) -> Device:
    """The page's device with sender and recipient of its first table."""
    head, *rows = page.sections[1].tables[0]
    assert head == ["", "called on the device", "type this"]
    values = {kind: value for kind, _, value in rows}
    assert values["server"] == "192.168.1.10"
    return DEVICES[page.name].told(sender=values["sender"], recipient=values["recipient"])


def ways(page: pages.Page) -> list[Way]:
    """The rows of the page's second table."""
    head, *rows = page.sections[1].tables[1]
    assert head[:4] == ["", "port", "called on the device", "user, password"]
    found = []
    for tls, port, _, login, *_ in rows:
        assert tls in (NO_TLS, STARTTLS, TLS), tls
        user, comma, password = login.partition(", ")
        assert comma or login == "none", login
        found.append(Way(int(port), tls, (user, password) if comma else None))
    return found


def secret(way: Way, appliance: Appliance) -> Way:
    """The way with alice's password where the page has PASSWORD."""
    if way.login is None:
        return way
    return replace(way, login=(way.login[0], pages.here(way.login[1], appliance)))


def crowd(device: Device, appliance: Appliance, way: Way, idle: int) -> None:
    """Send while `idle` other sessions of the same address are open."""
    with ExitStack() as stack:
        for _ in range(idle):
            other = stack.enter_context(socket.create_connection(
                (_HOST, appliance.ports[way.port]), _PATIENCE))
            assert other.recv(1000).startswith(b"220 ")
            stack.callback(_quit, other)
        device.send(appliance, way)


def tls_unasked(appliance: Appliance, port: int) -> None:
    """TLS from the first octet, and patience until the other side ends it."""
    hello = ssl.MemoryBIO()
    with suppress(ssl.SSLWantReadError):
        any_certificate().wrap_bio(ssl.MemoryBIO(), hello).do_handshake()
    with socket.create_connection((_HOST, appliance.ports[port]), _PATIENCE) as connection:
        connection.sendall(hello.read())
        while connection.recv(1000):
            pass


def _quit(connection: socket.socket) -> None:
    connection.sendall(b"QUIT\r\n")
    while connection.recv(1000):
        pass


# --- settings that are no cure of a fault ---------------------------------------------------

def _keeps_the_newest(appliance: Appliance) -> None:
    device = DEVICES["camera"].told(sender=ALICE)
    with device.connected(appliance, Way(25)) as client:
        for number in range(205):
            client.sendmail(ALICE, [ALICE], b"Subject: alarm %d\r\n\r\n" % number)
    letters = Pop3(appliance.pop3, "alice", appliance.users["alice"]).take_all()
    assert [letter.split(b"alarm ")[1].strip() for letter in letters] == [
        b"%d" % number for number in range(5, 205)]


# By page, section and name of the block: what has to be so with these settings.
SETTINGS = {("camera", "On the device", "json"): _keeps_the_newest}
