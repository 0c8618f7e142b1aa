"""Real mail programs that fetch: how their users tell them where from, and what they bring.

Each program in PROGRAMS is run for an Errand, and keeps what it fetches in the errand's home as it
would for its user. One that speaks TLS is told which certificate to trust, and refuses any other.
"""

from __future__ import annotations

import poplib
import re
import shutil
import ssl
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.e2e import clients, letters, secure_clients
from tests.e2e.secure_clients import STARTTLS, TLS, Way

WAYS = {
    "plain": Way(110),
    "plain_PLAIN": Way(110, "", "PLAIN"),
    "plain_LOGIN": Way(110, "", "LOGIN"),
    "starttls": Way(110, STARTTLS),
    "starttls_PLAIN": Way(110, STARTTLS, "PLAIN"),
    "starttls_LOGIN": Way(110, STARTTLS, "LOGIN"),
    "tls": Way(995, TLS),
    "tls_PLAIN": Way(995, TLS, "PLAIN"),
    "tls_LOGIN": Way(995, TLS, "LOGIN"),
}


@dataclass
class Errand(secure_clients.Errand):
    """Fetch the mail of `user`; `way.auth` "" stands for USER and PASS.

    `through`: the port of a proxy on 127.0.0.1, or 0.
    """

    through: int = 0

    @property
    def board_port(self) -> int:
        """Outside, of the appliance itself."""
        return self.appliance.ports[self.way.port]

    @property
    def port(self) -> int:
        return self.through or self.board_port


@dataclass(frozen=True)
class Fetched:
    """What a run brought: the messages as the program gives them, and what it said."""

    messages: list[bytes]
    said: bytes


@dataclass(frozen=True)
class Program:
    """How a program is run.

    `fetch(errand, keep, status)` is one run, which leaves the messages on the server or deletes
    them; AssertionError unless it ends with `status`; None: as it likes. `ways`: those that it
    can. `exact`: it gives what came, octet for octet; others write LF and lines of their own.
    `remembers`: it knows by their unique-ids what it has, and `idle` is its status when nothing
    is new. `denied`, `distrusts`: (status, complaint) for a wrong password and for another
    certificate, by kind of TLS; the complaint is a regular expression. Of a connection that
    breaks: `partial`: it delivers what came of the message; `resumes`: what it had got before
    that in the same session it does not fetch again, when it is to `keep`, or to `delete`;
    `reconnects`: it goes on at once in a new session.
    """

    fetch: Callable[[Errand, bool, int | None], Fetched]
    ways: tuple[str, ...]
    denied: tuple[int, bytes]
    distrusts: dict[str, tuple[int, bytes]]
    exact: bool = False
    remembers: bool = False
    idle: int = 0
    partial: bool = False
    resumes: tuple[str, ...] = ()
    reconnects: bool = False


def _mda(home: Path) -> tuple[Path, Path]:
    """(program, folder): it writes each message that it is given into a file of its own."""
    fetched = home / "fetched"
    shutil.rmtree(fetched, ignore_errors=True)
    fetched.mkdir()
    program = home / "deliver"
    program.write_text(f"#!/bin/sh\nexec cat > \"$(mktemp '{fetched}/XXXXXXXX')\"\n")
    program.chmod(0o700)
    return program, fetched


# --- poplib ---------------------------------------------------------------------------------

def greeted(errand: Errand) -> poplib.POP3:
    """A connection, in TLS where it is to be; the certificate is compared as strictly as Python
    can.
    """
    context = ssl.create_default_context(cadata=errand.certificate)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    if errand.way.tls == TLS:
        return poplib.POP3_SSL(clients.HOST, errand.port, context=context,
                               timeout=clients.PATIENCE)
    client = poplib.POP3(clients.HOST, errand.port, timeout=clients.PATIENCE)
    if errand.way.tls:
        try:
            client.stls(context)
        except BaseException:
            with suppress(OSError):  # it has lost its socket when the handshake failed
                client.close()
            raise
    return client


def fetch_with_poplib(errand: Errand, keep: bool, status: int | None = 0) -> Fetched:
    """Status 1 stands for any of the errors that poplib raises. It has no AUTH."""
    messages: list[bytes] = []
    said, ended = b"", 0
    try:
        with closing(greeted(errand)) as client:
            client.user(errand.user)
            client.pass_(errand.password)
            for number in range(1, client.stat()[0] + 1):
                messages.append(clients.retrieve(client, number))
                if not keep:
                    client.dele(number)
            client.quit()
    except (poplib.error_proto, OSError) as error:
        said, ended = str(error).encode(), 1
    assert status in (None, ended), said
    return Fetched(messages, said)


# --- curl -----------------------------------------------------------------------------------

def fetch_with_curl(errand: Errand, keep: bool, status: int | None = 0) -> Fetched:
    """A list first, then all messages in one session and, at its end, their DELEs.

    It compares the certificate's name too, which is the appliance's host name. Where there is SASL
    it never says USER.
    """
    name, way = errand.appliance.hostname, errand.way
    options = ["--user", f"{errand.user}:{errand.password}", "--login-options", f"AUTH={way.auth}",
               "--silent", "--show-error", "--max-time", str(clients.PATIENCE)]
    if way.tls:
        options += ["--ssl-reqd", "--cacert", errand.trusted()]
    url = f"{'pop3s' if way.tls == TLS else 'pop3'}://{name}:{errand.board_port}/"

    def run(urls: list[str], port: int, status: int | None):
        to = ["--connect-to", f"{name}:{errand.board_port}:{clients.HOST}:{port}"]
        command = [*clients.curl(), "--fail-early"]
        for number, part in enumerate(urls):
            command += [*(["--next"] if number else []), *options, *to, *part]
        return clients.outcome(command, errand.home, status=status)

    # What a proxy cuts is to be a message, so it does not get the list.
    listing = run([[url]], errand.board_port, None if errand.through else status)
    numbers = [line.split()[0].decode() for line in listing.stdout.splitlines()]
    if not numbers:
        return Fetched([], listing.stderr)
    for number in numbers:
        (errand.home / number).unlink(missing_ok=True)
    wanted = [[url + number, "--output", number] for number in numbers]
    if not keep:
        wanted += [[url, "--head", "--request", f"DELE {number}"] for number in numbers]
    done = run(wanted, errand.port, status)
    messages = [path.read_bytes() for number in numbers if (path := errand.home / number).exists()]
    # Of what was cut there is a part, which its status says; a script throws it away.
    return Fetched(messages[:-1] if done.returncode else messages, done.stderr)


# --- fetchmail ------------------------------------------------------------------------------

def fetch_with_fetchmail(errand: Errand, keep: bool, status: int | None = 0) -> Fetched:
    """It has USER and PASS only where there is no more than PLAIN and LOGIN.

    It compares the certificate with those it trusts, and its name with the one it is told.
    """
    deliver, fetched = _mda(errand.home)
    tls = {"": "sslproto ''", STARTTLS: "sslproto 'TLS1.2+'", TLS: "ssl sslproto 'TLS1.2+'"}
    security = tls[errand.way.tls]
    if errand.way.tls:
        security += (f" sslcertck sslcertfile '{errand.trusted()}'"
                     f" sslcommonname '{errand.appliance.hostname}'")
    config = clients.secret_file(errand.home / "fetchmailrc", (
        f"poll {clients.HOST} service {errand.port} protocol pop3 uidl no dns timeout 20\n"
        f"  user '{errand.user}' password '{errand.password}' {security}\n"
        f"  mda '{deliver}' no rewrite {'keep' if keep else 'fetchall no keep'}\n"))
    done = clients.outcome(
        [clients.need("fetchmail", "fetchmail"), "-f", str(config), "--nodetach", "--nosyslog",
         "--pidfile", str(errand.home / "fetchmail.pid"),
         "--idfile", str(errand.home / "fetchids")], errand.home, status=status)
    return Fetched([path.read_bytes() for path in fetched.iterdir()], done.stdout + done.stderr)


# --- mpop -----------------------------------------------------------------------------------

def _fetch_with_mpop(errand: Errand, keep: bool, status: int | None, delivery: str) -> bytes:
    """After STLS it trusts a file, in TLS from the first octet a fingerprint."""
    way = errand.way
    settings = {"host": clients.HOST, "port": errand.port, "user": errand.user,
                "password": errand.password, "auth": way.auth.lower() or "user",
                "tls": "on" if way.tls else "off", "keep": "on" if keep else "off",
                "uidls_file": errand.home / "uidls", "received_header": "off",
                "delivery": delivery, "timeout": 20}
    if way.tls:
        settings["tls_starttls"] = "on" if way.tls == STARTTLS else "off"
    if way.tls == STARTTLS:
        settings["tls_trust_file"] = errand.trusted()
    elif way.tls:
        settings["tls_fingerprint"] = errand.fingerprint
    config = clients.secret_file(errand.home / "mpoprc", "account default\n" + "".join(
        f"{key} {value}\n" for key, value in settings.items()))
    done = clients.outcome([clients.need("mpop", "mpop"), "-C", str(config), "--quiet"],
                           errand.home, status=status)
    return done.stdout + done.stderr


def _emptied_maildir(path: Path) -> Path:
    shutil.rmtree(path, ignore_errors=True)
    for folder in ("tmp", "new", "cur"):
        (path / folder).mkdir(parents=True)
    return path


def fetch_with_mpop(errand: Errand, keep: bool, status: int | None = 0) -> Fetched:
    """Into a Maildir."""
    inbox = _emptied_maildir(errand.home / "maildir")
    said = _fetch_with_mpop(errand, keep, status, f"maildir {inbox}")
    return Fetched(letters.maildir_messages(inbox), said)


def fetch_with_mpop_to_mbox(errand: Errand, keep: bool, status: int | None = 0) -> Fetched:
    inbox = errand.home / "inbox"
    inbox.write_bytes(b"")
    said = _fetch_with_mpop(errand, keep, status, f"mbox {inbox}")
    return Fetched(letters.mboxrd_messages(inbox), said)


# --- getmail --------------------------------------------------------------------------------

def fetch_with_getmail(errand: Errand, keep: bool, status: int | None = 0) -> Fetched:
    """It has neither STLS nor AUTH PLAIN. As root it writes to no Maildir, but runs a program."""
    deliver, fetched = _mda(errand.home)
    tls = errand.way.tls == TLS
    security = (f"ca_certs = {errand.trusted()}\nssl_cert_hostname = {errand.appliance.hostname}\n"
                if tls else "")
    clients.secret_file(errand.home / "getmailrc", (
        f"[retriever]\ntype = SimplePOP3{'SSL' if tls else ''}Retriever\n"
        f"server = {clients.HOST}\nport = {errand.port}\nusername = {errand.user}\n"
        f"password = {errand.password}\ntimeout = 20\n{security}"
        f"[destination]\ntype = MDA_external\npath = {deliver}\nallow_root_commands = true\n"
        f"[options]\ndelete = {not keep}\nread_all = {not keep}\n"
        "delivered_to = false\nreceived = false\n"))
    done = clients.outcome([clients.need("getmail", "getmail6"), "--getmaildir",
                            str(errand.home), "--rcfile", "getmailrc"], errand.home, status=status)
    return Fetched([path.read_bytes() for path in fetched.iterdir()], done.stdout + done.stderr)


# --- mutt -----------------------------------------------------------------------------------

def fetch_with_mutt(errand: Errand, keep: bool, status: int | None = 0) -> Fetched:
    """Opens the mailbox as a folder, copies all messages, and deletes them or not.

    It ends with 0 whatever happened and shows what it has to say on its screen, so its status is
    not looked at. Told nothing it logs in by SASL.
    """
    way = errand.way
    inbox = errand.home / "inbox"
    inbox.unlink(missing_ok=True)
    settings = (f"set pop_authenticators={way.auth.lower() or 'user'} "
                f"ssl_starttls={'yes' if way.tls == STARTTLS else 'no'} "
                f"ssl_force_tls={'yes' if way.tls else 'no'}\n")
    if way.tls:
        settings += f"set certificate_file={errand.trusted()}\n"
    said = clients.copy_with_mutt(
        f"{'pops' if way.tls == TLS else 'pop'}://{errand.user}:{errand.password}@"
        f"{clients.HOST}:{errand.port}/", inbox, errand.home, settings, delete=not keep)
    return Fetched(letters.mboxcl2_messages(inbox) if inbox.exists() else [], said)


# --- s-nail ---------------------------------------------------------------------------------

def fetch_with_s_nail(errand: Errand, keep: bool, status: int | None = 0) -> Fetched:
    """Opens the mailbox as a folder, copies all messages to a Maildir, and deletes them or not.

    Of SASL it has nothing that we have. It trusts a fingerprint, as for sending. In a Maildir too
    it quotes "From " behind an empty line, and adds one at the end.
    """
    way = errand.way
    inbox = _emptied_maildir(errand.home / "maildir")
    variables = {"folder": errand.home, "pop3-auth": "plain"}
    if way.tls:
        variables |= {"tls-verify": "strict", "tls-fingerprint-digest": "SHA256",
                      "tls-fingerprint": errand.fingerprint}
    command = [clients.need("s-nail", "s-nail"), "-:/", "-#", "-Sv15-compat", "-Spop3-bulk-load",
               *(f"-S{name}={value}" for name, value in variables.items())]
    if way.tls == STARTTLS:
        command.append("-Spop3-use-starttls")
    url = (f"{'pop3s' if way.tls == TLS else 'pop3'}://{errand.user}:{errand.password}@"
           f"{clients.HOST}:{errand.port}")
    script = f"folder {url}\ncopy * maildir://{inbox}\n{'' if keep else 'delete *' + chr(10)}quit\n"
    done = clients.outcome(command, errand.home, script.encode(), status)
    messages = letters.maildir_messages(inbox)
    return Fetched([re.sub(rb"(?<=\n\n)>(?=From )", b"", message.removesuffix(b"\n"))
                    for message in messages], done.stdout + done.stderr)


_SELF_SIGNED = b"self-signed certificate"
_WRONG = b"wrong user name or password"
_USER_ONLY = ("plain", "starttls", "tls")
_PLAIN_TOO = ("plain", "plain_PLAIN", "starttls", "starttls_PLAIN", "tls", "tls_PLAIN")


def _both(status: int, complaint: bytes) -> dict[str, tuple[int, bytes]]:
    return {STARTTLS: (status, complaint), TLS: (status, complaint)}


PROGRAMS = {
    "poplib": Program(fetch_with_poplib, _USER_ONLY, (1, _WRONG), _both(1, _SELF_SIGNED),
                      exact=True),
    "curl": Program(fetch_with_curl, tuple(way for way in WAYS if WAYS[way].auth),
                    (67, b"Login denied"), _both(60, _SELF_SIGNED), exact=True),
    # It writes down what it has when a message is complete, but with "fetchall" does not look.
    "fetchmail": Program(fetch_with_fetchmail, _USER_ONLY, (3, b"Authorization failure"),
                         _both(2, _SELF_SIGNED), remembers=True, idle=1, partial=True,
                         resumes=("keep",)),
    "mpop": Program(fetch_with_mpop, ("plain_LOGIN", *_PLAIN_TOO),
                    (77, b"authentication failed"),
                    {STARTTLS: (69, b"TLS certificate verification failed"),
                     TLS: (69, b"fingerprint")}, remembers=True, resumes=("keep", "delete")),
    "mpop_mbox": Program(fetch_with_mpop_to_mbox, ("plain",), (77, _WRONG), {}, remembers=True,
                         partial=True, resumes=("keep", "delete")),
    # It writes down what it has when the session has ended well.
    "getmail": Program(fetch_with_getmail, ("plain", "tls"), (127, _WRONG),
                       {TLS: (127, _SELF_SIGNED)}, remembers=True),
    "mutt": Program(fetch_with_mutt, _PLAIN_TOO, (0, b"(Login|SASL authentication) failed"),
                    _both(0, b"SSL Certificate check"), reconnects=True),
    "s_nail": Program(fetch_with_s_nail, _USER_ONLY, (0, _WRONG),
                      _both(0, b"TLS fingerprint mismatch"), partial=True),
}
