"""Real mail programs that log in and speak TLS: how their users tell them to.

Each program in PROGRAMS is told which certificate to trust, and refuses every other one.
"""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from host_tools import tls_identity
from tests.e2e import clients
from tests.e2e.letters import SENDER
from tests.support.appliance import Appliance

STARTTLS, TLS = "STARTTLS", "TLS"  # TLS: from the first octet
_PATIENCE = 60


@dataclass(frozen=True)
class Way:
    """Where a letter is handed in (a port of the board), and how: `tls` is "", STARTTLS or TLS,
    `auth` is "" or a SASL mechanism.
    """

    port: int
    tls: str = ""
    auth: str = ""

    @property
    def protocol(self) -> bytes:
        """What the Received line has to call it (RFC 3848)."""
        return b"ESMTP" + (b"S" if self.tls else b"") + (b"A" if self.auth else b"")


WAYS = {
    "plain": Way(25),
    "plain_login_at_25": Way(25, "", "PLAIN"),
    "plain_PLAIN": Way(587, "", "PLAIN"),
    "plain_LOGIN": Way(587, "", "LOGIN"),
    "starttls": Way(25, STARTTLS),
    "starttls_PLAIN": Way(587, STARTTLS, "PLAIN"),
    "starttls_LOGIN": Way(587, STARTTLS, "LOGIN"),
    "tls_PLAIN": Way(465, TLS, "PLAIN"),
    "tls_LOGIN": Way(465, TLS, "LOGIN"),
}


@dataclass
class Errand:
    """What a program is to do: deliver to `user`'s mailbox on `way`.

    It logs in as `user` with `password`, and trusts `certificate` (DER) and no other; without
    these it gets the right ones.
    """

    appliance: Appliance
    way: Way
    home: Path
    user: str
    password: str = ""
    certificate: bytes = b""

    def __post_init__(self):
        self.password = self.password or self.appliance.users[self.user]
        self.certificate = self.certificate or self.appliance.certificate()

    @property
    def recipient(self) -> str:
        return f"{self.user}@{self.appliance.hostname}"

    @property
    def port(self) -> int:
        """Outside."""
        return self.appliance.ports[self.way.port]

    @property
    def fingerprint(self) -> str:
        return tls_identity.fingerprint(self.certificate)

    def trusted(self) -> str:
        """Path of a file with the certificate in PEM."""
        path = self.home / "trusted.pem"
        path.write_text(ssl.DER_cert_to_PEM_cert(self.certificate))
        return str(path)

    def letter(self, message: bytes) -> str:
        """Path of a file with the message."""
        path = self.home / "letter"
        path.write_bytes(message)
        return str(path)


@dataclass(frozen=True)
class Program:
    """How a program is run for an errand: `invoke(errand, message)` is (command, stdin).

    `denied` and `distrusts` are (exit status, complaint) for a wrong password and for another
    certificate; `alerts`: it tells the server of the latter by a TLS alert.
    """

    invoke: Callable[[Errand, bytes], tuple[list[str], bytes]]
    denied: tuple[int, bytes]
    distrusts: tuple[int, bytes]
    alerts: bool

    def send(self, errand: Errand, message: bytes, status: int = 0) -> bytes:
        """Run it; AssertionError unless it ends with `status`. All that it printed."""
        command, stdin = self.invoke(errand, message)
        done = clients.outcome(command, errand.home, stdin, status)
        return done.stdout + done.stderr


def swaks(errand: Errand, message: bytes) -> tuple[list[str], bytes]:
    """It compares the certificate with those it trusts; versions before 2023 not the name."""
    way = errand.way
    program = clients.need("swaks", "swaks")
    if way.tls and b"=== TLS supported" not in clients.run([program, "--support"], errand.home):
        clients.missing("TLS in swaks", "libnet-ssleay-perl")
    # It takes one line of a dot for the end's.
    command = [program, "--server", clients.HOST, "--port", str(errand.port), "--helo", "abc.com",
               "--from", SENDER, "--to", errand.recipient, "--suppress-data",
               "--data", "@" + errand.letter(message + b".\r\n")]
    if way.tls:
        command += ["--tls-on-connect" if way.tls == TLS else "--tls",
                    "--tls-verify", "--tls-ca-path", errand.trusted()]
    if way.auth:
        command += ["--auth", way.auth, "--auth-user", errand.user,
                    "--auth-password", errand.password]
    return command, b""


def swaks_pipelining(errand: Errand, message: bytes) -> tuple[list[str], bytes]:
    """Swaks, with MAIL, RCPT and DATA in one go (RFC 2920)."""
    command, stdin = swaks(errand, message)
    return [*command, "--pipeline"], stdin


def curl(errand: Errand, message: bytes) -> tuple[list[str], bytes]:
    """It compares the certificate's name too, which is the appliance's host name."""
    way = errand.way
    name = errand.appliance.hostname
    scheme = "smtps" if way.tls == TLS else "smtp"
    command = [*clients.curl(), f"{scheme}://{name}:{errand.port}/abc.com",
               "--mail-from", SENDER, "--mail-rcpt", errand.recipient,
               "--upload-file", errand.letter(message)]
    if way.tls == TLS:
        command += ["--connect-to", f"{name}:{errand.port}:{clients.HOST}:{errand.port}"]
    else:
        command += ["--resolve", f"{name}:{errand.port}:{clients.HOST}"]
    if way.tls:
        command += ["--ssl-reqd", "--cacert", errand.trusted()]
    if way.auth:
        command += ["--user", f"{errand.user}:{errand.password}",
                    "--login-options", f"AUTH={way.auth}"]
    if way.tls == TLS:
        command.append("--sasl-ir")  # credentials in the line of AUTH, with LOGIN too
    return command, b""


def msmtp(errand: Errand, message: bytes) -> tuple[list[str], bytes]:
    """After STARTTLS it trusts a file, in TLS from the first octet a fingerprint."""
    way = errand.way
    settings = {"host": clients.HOST, "port": errand.port, "domain": "abc.com", "from": SENDER,
                "tls": "on" if way.tls else "off"}
    if way.tls:
        settings["tls_starttls"] = "on" if way.tls == STARTTLS else "off"
    if way.tls == STARTTLS:
        settings["tls_trust_file"] = errand.trusted()
    elif way.tls:
        settings["tls_fingerprint"] = errand.fingerprint
    if way.auth:
        settings |= {"auth": way.auth.lower(), "user": errand.user, "password": errand.password}
    config = clients.secret_file(errand.home / "msmtprc", "account default\n" + "".join(
        f"{key} {value}\n" for key, value in settings.items()))
    # It takes letters as the system's own programs write them, with LF.
    return ([clients.need("msmtp", "msmtp"), "-C", str(config), "--", errand.recipient],
            message.replace(b"\r\n", b"\n"))


def s_nail(errand: Errand, text: bytes) -> tuple[list[str], bytes]:
    """Takes the text of a letter and makes the header itself.

    It trusts a fingerprint: of the names in a certificate it knows only those of hosts, and none
    of ours can be resolved here.
    """
    way = errand.way
    variables = {"from": SENDER, "hostname": "abc.com", "ttycharset": "utf-8",
                 "smtp-auth": way.auth.lower() or "none"}
    login = f"{errand.user}:{errand.password}@" if way.auth else ""
    scheme = "smtps" if way.tls == TLS else "smtp"
    variables["mta"] = f"{scheme}://{login}{clients.HOST}:{errand.port}"
    if way.tls:
        variables |= {"tls-verify": "strict", "tls-fingerprint-digest": "SHA256",
                      "tls-fingerprint": errand.fingerprint}
    command = [clients.need("s-nail", "s-nail"), "-:/", "-Sv15-compat", "-r", SENDER,
               "-s", "A letter"]
    command += [f"-S{name}={value}" for name, value in variables.items()]
    if way.tls == STARTTLS:
        command.append("-Ssmtp-use-starttls")
    return [*command, errand.recipient], text.replace(b"\r\n", b"\n")


PROGRAMS = {
    "swaks": Program(swaks, (28, b"535 5.7.8 Wrong user name or password"),
                     (29, b"certificate verify failed"), True),
    "swaks_pipelining": Program(swaks_pipelining, (28, b"535 5.7.8 Wrong user name or password"),
                                (29, b"certificate verify failed"), True),
    "curl": Program(curl, (67, b"Login denied"), (60, b"self-signed certificate"), True),
    "msmtp": Program(msmtp, (77, b"535 5.7.8 Wrong user name or password"),
                     (69, b"TLS certificate verification failed"), False),
    "s_nail": Program(s_nail, (4, b"535 5.7.8 Wrong user name or password"),
                      (4, b"TLS fingerprint mismatch"), False),
}


# --- smtplib --------------------------------------------------------------------------------

def greeted(errand: Errand) -> smtplib.SMTP:
    """A connection to the errand's port, in TLS where it is to be; the certificate is compared
    in every way that Python can, which from 3.13 on is its default.
    """
    context = ssl.create_default_context(cadata=errand.certificate)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    name = {"local_hostname": "abc.com", "timeout": _PATIENCE}
    if errand.way.tls == TLS:
        return smtplib.SMTP_SSL(clients.HOST, errand.port, context=context, **name)
    client = smtplib.SMTP(clients.HOST, errand.port, **name)
    if errand.way.tls:
        try:
            code, text = client.starttls(context=context)
            if code != 220:
                raise smtplib.SMTPResponseException(code, text)
        except BaseException:
            client.close()
            raise
    return client


def log_in(client: smtplib.SMTP, errand: Errand) -> None:
    """By the errand's mechanism, if it has one; smtplib.SMTPException when that fails."""
    if errand.way.auth:
        client.ehlo()
        client.user, client.password = errand.user, errand.password
        client.auth(errand.way.auth, getattr(client, "auth_" + errand.way.auth.lower()))


def deliver(errand: Errand, message: bytes,
            connect: Callable[[Errand], smtplib.SMTP] = greeted) -> None:
    """One letter by smtplib; smtplib.SMTPException or OSError if it was not taken."""
    with connect(errand) as client:
        log_in(client, errand)
        client.sendmail(SENDER, [errand.recipient], message, ["BODY=8BITMIME"])
