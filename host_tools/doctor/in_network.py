"""What this computer finds of an appliance in its network: names, services, TLS."""

from __future__ import annotations

import poplib
import select
import smtplib
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass

from cryptography import x509

from host_tools import events, tls_identity
from host_tools.doctor import complaints
from host_tools.doctor.finding import NOTE, OK, PROBLEM, Finding
from host_tools.errors import UserError

_PATIENCE = 15  # s for an answer: TLS waits 8 s for its room there
_GREETING = 4  # s for one: with `early_talkers` it comes after 2
_NAME_PATIENCE = 6  # s for a name: longer than a resolver waits for mDNS (RFC 6762 5.2)
HELO = "doctor"  # what we call ourselves
# As the appliance comes.
PORTS = {"smtp": 25, "pop3": 110, "smtps": 465, "submission": 587, "pop3s": 995}


def reach(given: str | None) -> tuple[str, int]:
    """(host, by how much its ports are higher there) of an option `--reach HOST[:OFFSET]`; ("", 0)
    without one. Raises UserError.
    """
    host, _, offset = (given or "").partition(":")
    highest = 65535 - max(PORTS.values())
    if offset and not (offset.isdecimal() and int(offset) <= highest):
        raise UserError(f"--reach {given}: want HOST or HOST:OFFSET")
    return host, int(offset or 0)


@dataclass
class Service:
    """One that was asked. `why` says why it does not serve, "" where it does."""

    name: str
    port: int
    why: str = ""
    no_room: bool = False  # for a session in TLS
    starttls: bool = False
    starttls_fails: str = ""
    login_in_clear: bool = False
    silent: bool = False  # until TLS begins
    certificate: bytes = b""  # DER

    @property
    def in_tls(self) -> bool:
        """From the first octet."""
        return self.name in events.IN_TLS or self.silent

    @property
    def advice(self) -> str:
        """What to do about `why`."""
        if self.no_room:
            return _WHY_NO_ROOM
        if self.why.startswith(("it says", "TLS fails")) and "your network" not in self.why:
            return _WHY_OTHER
        return _WHY_SILENT


def ask(name: str, host: str, port: int) -> Service:
    """Greet it, ask what it can, begin TLS where it is offered, say good-bye."""
    found = Service(name, port)
    context = tls_identity.unchecked()  # the certificate is looked at below
    try:
        # What another port than those is for a name does not tell.
        found.silent = name not in PORTS and not greets(host, port)
        (_ask_pop3 if name.startswith("pop3") else _ask_smtp)(found, host, context)
    except ssl.SSLEOFError as error:
        found.why = _said(error)
    except ssl.SSLError as error:
        # The alert of a server that has no room for it (firmware/picopost/net/identity.py).
        found.no_room = error.reason == "TLSV1_ALERT_INTERNAL_ERROR"
        found.why = "no room for a session in TLS" if found.no_room else (
            f"TLS fails: {error.reason or error}")
    except ConnectionRefusedError:
        found.why = "nobody listens there"
    except TimeoutError:
        found.why = "no answer"
    except (OSError, EOFError, OverflowError, smtplib.SMTPException, poplib.error_proto) as error:
        found.why = _said(error)
    return found


def greets(host: str, port: int) -> bool:
    """Whether who listens there speaks first: it is not in TLS. Raises OSError."""
    with socket.create_connection((host, port), _PATIENCE) as connection:
        return bool(select.select([connection], [], [], _GREETING)[0])


_HANGS_UP = (smtplib.SMTPServerDisconnected, ConnectionError, EOFError, ssl.SSLEOFError)


def _said(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPServerDisconnected) and "timed out" in str(error):
        return "no answer"
    if isinstance(error, _HANGS_UP) or str(error) == "-ERR EOF":  # poplib's own words
        return "it hangs up"
    if isinstance(error, smtplib.SMTPResponseException):
        words = error.smtp_error
        return f"it says {error.smtp_code} " + (
            words.decode(errors="replace") if isinstance(words, bytes) else str(words))
    if isinstance(error, poplib.error_proto) and error.args:
        words = error.args[0]
        return "it says " + (words.decode(errors="replace") if isinstance(words, bytes)
                             else str(words))
    return str(error) or "it hangs up"


def _ask_smtp(found: Service, host: str, context: ssl.SSLContext) -> None:
    if found.in_tls:
        server = smtplib.SMTP_SSL(host, found.port, HELO, timeout=_PATIENCE, context=context)
    else:
        server = smtplib.SMTP(host, found.port, HELO, timeout=_PATIENCE)
    try:
        server.ehlo()
        found.login_in_clear = not found.in_tls and server.has_extn("auth")
        found.starttls = server.has_extn("starttls")
        _begin_tls(found, server, server.starttls, context)
    finally:
        server.close()


def _ask_pop3(found: Service, host: str, context: ssl.SSLContext) -> None:
    if found.in_tls:
        server = poplib.POP3_SSL(host, found.port, timeout=_PATIENCE, context=context)
    else:
        server = poplib.POP3(host, found.port, timeout=_PATIENCE)
    try:
        capabilities = server.capa()
        found.login_in_clear = not found.in_tls and not {"USER", "SASL"}.isdisjoint(capabilities)
        found.starttls = "STLS" in capabilities
        _begin_tls(found, server, server.stls, context)
    finally:
        server.close()


def _begin_tls(found: Service, server: smtplib.SMTP | poplib.POP3,
               begin: Callable[..., object], context: ssl.SSLContext) -> None:
    """Where it is offered; note the certificate, and leave in order if that can be."""
    if found.starttls:
        try:
            begin(context=context)
        except (OSError, smtplib.SMTPException, poplib.error_proto) as error:
            # RFC 3207 4, RFC 3206 4.
            found.no_room = getattr(error, "smtp_code", 0) == 454 or "SYS/TEMP" in str(error)
            found.starttls_fails = _said(error)
    if isinstance(server.sock, ssl.SSLSocket):
        found.certificate = server.sock.getpeercert(binary_form=True)
    if found.no_room or not found.starttls_fails:
        server.quit()


def judge(host: str, found: list[Service], fingerprint: str | None) -> list[Finding]:
    """What is to be said of the services at `host` that were asked. `fingerprint`: the one that the
    board says its certificate has (SHA-256 in hex digits), "" where it says that it has none, None
    where nobody could ask it.
    """
    findings = []
    if len(found) > 1 and found[0].why and len({each.why for each in found}) == 1:
        ports = ", ".join(str(each.port) for each in found)
        return [Finding("services", PROBLEM, f"{host}, at each of its ports ({ports}): "
                        f"{found[0].why}", found[0].advice)]
    for each in found:
        where = f"{each.name} at {host} port {each.port}"
        if not each.why:
            tls = "in TLS" if each.in_tls else "STARTTLS" if each.starttls else "without TLS"
            findings.append(Finding("services", OK, f"{where} answers, {tls}"))
        elif each.in_tls and fingerprint == "":
            findings.append(Finding("services", NOTE, f"{where}: {each.why}",
                                    "it has no TLS; what is to be done about that stands there"))
        else:
            findings.append(Finding("services", PROBLEM, f"{where}: {each.why}", each.advice))
        if each.starttls_fails:
            findings.append(Finding("TLS", PROBLEM, f"{where}: STARTTLS fails: "
                                    f"{each.starttls_fails}",
                                    _WHY_NO_ROOM if each.no_room else
                                    "plain sessions go on; see `make logs` while you try again"))
    if any(each.login_in_clear for each in found):  # its log may have forgotten that
        findings += complaints.judge([{"event": "logins"}])
    return findings + _judge_certificates(found, fingerprint)


_WHY_NO_ROOM = ("a session in TLS takes 23 KB of the board's heap: is a mail program in the midst "
                "of one? If none is, an image with the firmware in it (README) leaves more")
_WHY_SILENT = ("is this computer in the board's network? A listener serves private networks only "
               "(its setting `networks`); a firewall or guest network may be in between")


_WHY_OTHER = ("is that its address and port, and not another machine's? If it is: try again, with "
              "fewer programs at once; see `make logs` meanwhile")


def _judge_certificates(found: list[Service], fingerprint: str | None) -> list[Finding]:
    seen = {each.certificate for each in found if each.certificate}
    if not seen:
        return []
    if len(seen) > 1:
        return [Finding("TLS", PROBLEM, "its services show different certificates",
                        "is one of its ports another machine's? Look at what forwards them")]
    certificate = seen.pop()
    text = tls_identity.fingerprint(certificate)
    if fingerprint and tls_identity.in_pairs(fingerprint) != text:
        return [Finding("TLS", PROBLEM, f"the certificate that is shown here, SHA-256 {text}, is "
                        "not the board's",
                        "somebody is in between, or that address is another machine's: do not "
                        "type a password there")]
    return [Finding("TLS", OK, f"certificate SHA-256 {text}"
                    + (", as the board says" if fingerprint else ""))]


def names_in(found: list[Service]) -> list[str]:
    """The host names that the services' certificate is for."""
    for each in found:
        if each.certificate:
            try:
                parsed = x509.load_der_x509_certificate(each.certificate)
                names = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName)
                return names.value.get_values_for_type(x509.DNSName)
            except (ValueError, x509.ExtensionNotFound):  # it is none of ours
                return []
    return []


def resolved(name: str) -> list[str]:
    """The IPv4 addresses that this computer finds for a name, [] where it finds none in time."""
    answer: list[str] = []

    def work() -> None:
        try:
            for info in socket.getaddrinfo(name, None, socket.AF_INET, socket.SOCK_STREAM):
                answer.append(info[4][0])
        except OSError:
            pass

    # A resolver has no deadline that could be set.
    asking = threading.Thread(target=work, daemon=True)
    asking.start()
    asking.join(_NAME_PATIENCE)
    return sorted(set(answer))


def judge_names(hostname: str, address: str, certified: list[str]) -> list[Finding]:
    """Whether this computer finds the board, at `address`, by its name."""
    findings = []
    local = hostname if "." in hostname else hostname + ".local"  # as the firmware has it
    answers = resolved(local)
    if address in answers:
        findings.append(Finding("names", OK, f"{local} is {address}"))
    elif answers:
        findings.append(Finding("names", PROBLEM, f"{local} is {', '.join(answers)} here, and the "
                                f"board is at {address}",
                                "two have that name: give the board another hostname "
                                "(`make deploy`)"))
    else:
        of_it = ("the network's name server has to know it" if "." in hostname else
                 "Linux needs avahi-daemon and libnss-mdns for names in .local; they do not cross "
                 "from one network to another")
        findings.append(Finding("names", NOTE, f"this computer does not find {local}",
                                f"type the address, {address}, and let the router always give it "
                                f"that one. {of_it[0].upper()}{of_it[1:]}"))
    if certified and local not in certified and hostname not in certified:
        findings.append(Finding("names", NOTE, f"the certificate is for {', '.join(certified)}, "
                                f"not for {hostname}", "`make deploy` makes one for that name"))
    return findings
