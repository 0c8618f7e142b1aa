"""What an SMTP client may expect: for each line the code of the reply, what is done, and the state
afterwards. From RFC 5321 and its extensions, and from what DESIGN.md says is our policy.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass

from tests.fuzz import addresses
from tests.fuzz.addresses import Path, Refused

MAX_LINE = 1024  # with its CRLF
MAX_RECIPIENTS, MAX_MAILBOXES, MAX_NOTICES = 100, 8, 2048
MAX_JUNK, MAX_ERRORS, MAX_LOGIN_FAILURES, MAX_OVERSHOOT = 100, 20, 3, 1000
MAX_USER = 128

# What is done beside the reply.
NOTHING, DATA, QUIT, CHUNK, AUTH, STARTTLS = range(6)

# Where a session stands.
CONNECTED, READY, MAIL, RCPT, CHUNKS = "connected", "ready", "mail", "rcpt", "chunks"

# Verb: where it is in place (None: anywhere), before TLS too where TLS is required, moves no mail.
_VERBS = {
    b"HELO": (None, False, True), b"EHLO": (None, True, True), b"RSET": (None, False, True),
    b"NOOP": (None, True, True), b"VRFY": (None, False, True), b"EXPN": (None, False, True),
    b"HELP": (None, False, True), b"QUIT": (None, True, False), b"BDAT": (None, True, False),
    b"STARTTLS": ((CONNECTED, READY), True, False), b"AUTH": ((READY,), False, False),
    b"MAIL": ((READY,), False, False), b"RCPT": ((MAIL, RCPT), False, False),
    b"DATA": ((MAIL, RCPT), False, False),
}
HTTP = (b"GET", b"POST", b"HEAD", b"PUT", b"OPTIONS", b"CONNECT", b"DELETE", b"PATCH", b"PRI")
_BASE64 = re.compile(rb"(?:[A-Za-z\d+/]{4})*(?:[A-Za-z\d+/]{2}==|[A-Za-z\d+/]{3}=)?")
_NOT_IN_HELO = re.compile(rb"[^A-Za-z\d._:\[\]-]")


@dataclass(frozen=True)
class Rules:
    """A policy, with the names of the settings `listeners` and `clients`."""

    require_tls: bool = False
    require_auth: bool = False
    auth: bool | str = True
    starttls: bool = True
    line_ends: str = "normalize"

    def settings(self) -> dict:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


class Directory:
    """Who is here: accounts by name at `domains`, aliases to several of them, some of them full."""

    def __init__(self, accounts: tuple[str, ...], domains: tuple[bytes, ...],
                 aliases: dict[str, tuple[str, ...]] | None = None, full: tuple[str, ...] = (),
                 delimiter: bytes = b""):
        self.accounts = accounts
        self.domains = domains
        self.aliases = aliases or {}
        self.full = full
        self.delimiter = delimiter

    def resolve(self, path: Path) -> tuple[str, ...]:
        if path.domain and path.domain not in self.domains:
            return ()
        name = path.local.lower()
        if name == b"postmaster":
            return self._named(name) or self.accounts[:1]
        return self._named(name) or (self.delimiter and self._named(name.split(self.delimiter)[0])
                                     or ())

    def _named(self, name: bytes) -> tuple[str, ...]:
        text = name.decode("latin-1")
        return (text,) if text in self.accounts else self.aliases.get(text, ())

    def owner(self, path: Path) -> str | None:
        name = path.local.lower().decode("latin-1")
        return name if path.domain in self.domains and name in self.accounts else None


class Model:
    """The dialogue. `line` says what has to come; the session that acts on it tells the outcome
    by `data_done` and its like, as the firmware's session tells the firmware's dialogue."""

    def __init__(self, rules: Rules, directory: Directory, max_size: int):
        self.rules = rules
        self.directory = directory
        self.max_size = max_size
        self.errors = self.failures = self.junk = self.overshoot = 0
        self._begin_anew(False)

    def _begin_anew(self, tls: bool) -> None:
        self.tls = tls
        self.helo = b""
        self.extended = False
        self.account: str | None = None
        self.exchange: list | None = None  # [mechanism, user or None, password or None]
        self._clear(CONNECTED)

    def _clear(self, state: str) -> None:
        self.state = state
        self.accepted = 0
        self.reverse_path = b""
        self.recipients: list[tuple[str, bytes]] = []
        self.declared_size = 0
        self.utf8 = False
        self.sender: str | None = None
        self.envelope_id: bytes | None = None
        self.notices: list[tuple[bytes, bytes, set | None, tuple]] = []

    @property
    def protocol(self) -> bytes:
        extended = self.extended or self.tls or self.account
        return ((b"UTF8SMTP" if self.utf8 else b"ESMTP" if extended else b"SMTP")
                + (b"S" if self.tls else b"") + (b"A" if self.account else b""))

    @property
    def offers(self) -> tuple[bool, bool]:
        """Whether EHLO's answer has to name (AUTH, STARTTLS)."""
        return (bool(self.rules.auth) and (self.tls or not self.rules.require_tls),
                self.rules.starttls and not self.tls)

    def visible(self) -> tuple:
        """What can be seen of the firmware's dialogue too; vm_dialogue.py has the same order."""
        return (self.extended, self.helo, self.tls, self.account, self.errors, self.failures,
                self.reverse_path, tuple(self.recipients), self.declared_size, self.utf8,
                self.sender, self.envelope_id, len(self.notices), self.state == CHUNKS,
                self.exchange is not None, self.protocol)

    # --- a line, and what the session does about it ------------------------------------------

    def line(self, line: bytes) -> tuple[int | None, int]:
        """(code of the reply, or None where the outcome will be one; action)."""
        if self.exchange is not None:
            return self._respond(line)
        words = line.split(None, 1)
        verb = words[0].upper() if words else b""
        if verb not in _VERBS:
            if words and words[0] in HTTP:
                return 421, QUIT
            return self.reply(500), NOTHING
        states, plain, junk = _VERBS[verb]
        argument = words[1].strip() if len(words) > 1 else b""
        code, action = self._out_of_place(states, plain), NOTHING
        if code is None:
            code, action = getattr(self, "_" + verb.decode().lower())(argument)
        if code is None:
            return None, action
        if junk:
            self.junk += 1
            if self.junk > MAX_JUNK:
                self.errors += 1
        return self.reply(code), action

    def refuse_line(self, line: bytes, too_long: bool) -> tuple[int, int]:
        """As `line`, for one of more than MAX_LINE octets, or one that ends wrongly: RFC 5321
        4.5.3.1.9, RFC 4954 4. What may have been a BDAT is the end."""
        self.exchange = None
        words = line[:16].split(None, 1)
        chunk = words[0].upper() == b"BDAT" if words else too_long
        return self.reply(500), QUIT if chunk else NOTHING

    def chunk_refused(self) -> int:
        """The octets of a refused chunk are gone, and the transaction with them."""
        if self.state in (MAIL, RCPT, CHUNKS):
            self._clear(READY)
        return self.reply(self.chunk_refusal)

    def reply(self, code: int) -> int:
        """A reply with this code is sent."""
        if code >= 500:
            self.errors += 1
        return code

    def _out_of_place(self, states, plain: bool) -> int | None:
        if self.rules.require_tls and not self.tls and not plain:
            return 530
        return 503 if states is not None and self.state not in states else None

    def data_done(self, code: int) -> int:
        """The message is over."""
        self._clear(READY)
        if code < 300:
            self.junk = self.errors = 0
        return self.reply(code)

    def chunk_done(self) -> int:
        self.state = CHUNKS
        return 250

    def tls_started(self) -> None:
        self._begin_anew(True)

    def authenticated(self, account: str | None) -> int:
        """The session looked at the credentials: whose they are, or None for nobody's."""
        self.exchange = None
        if account is None:
            self.failures += 1
            return self.reply(535)
        self.account = account
        return 235

    @property
    def credentials(self) -> tuple[bytes, bytes]:
        return self.exchange[1], self.exchange[2]

    # --- the verbs ---------------------------------------------------------------------------

    def _greet(self, argument: bytes, extended: bool) -> tuple[int, int]:
        self.helo = _NOT_IN_HELO.sub(b"?", argument[:255]) or b"unknown"
        self.extended = extended
        self._clear(READY)
        return 250, NOTHING

    def _helo(self, argument):
        return self._greet(argument, False)

    def _ehlo(self, argument):
        return self._greet(argument, True)

    def _mail(self, argument):
        if self.rules.require_auth and self.account is None:
            return 530, NOTHING
        try:
            path, given = addresses.parse(argument, b"FROM")
            size, utf8, envelope_id = addresses.mail_parameters(given, self.max_size,
                                                                bool(self.rules.auth))
        except Refused as refused:
            return refused.args[0], NOTHING
        if not utf8 and not path.is_ascii:
            return 550, NOTHING
        self._clear(MAIL)
        self.reverse_path = path.text
        self.declared_size, self.utf8, self.envelope_id = size, utf8, envelope_id
        self.sender = self.directory.owner(path) if path.text else None
        return 250, NOTHING

    def _rcpt(self, argument):
        try:
            path, given = addresses.parse(argument, b"TO")
            notify, original = addresses.rcpt_parameters(given, self.utf8)
        except Refused as refused:
            return refused.args[0], NOTHING
        if not self.utf8 and not path.is_ascii:
            return 553, NOTHING
        mailboxes = self.directory.resolve(path)
        if not mailboxes:
            return 550, NOTHING
        known = {name for name, _ in self.recipients}
        new = [name for name in mailboxes if name not in known]
        if self.accepted == MAX_RECIPIENTS or len(known) + len(new) > MAX_MAILBOXES:
            return self._too_many()
        if any(name in self.directory.full for name in new):
            return 452, NOTHING
        if self.sender and (notify is not None or original):
            kept = sum(len(text) + len(orcpt) for text, orcpt, _, _ in self.notices)
            if kept + len(path.text) + len(original) > MAX_NOTICES:
                return self._too_many()
            self.notices.append((path.text, original, notify, mailboxes))
        self.recipients += [(name, path.text) for name in new]
        self.accepted += 1
        self.state = RCPT
        return 250, NOTHING

    def _too_many(self):
        self.overshoot += 1
        if self.overshoot > MAX_OVERSHOOT:
            self.errors += 1
        return 452, NOTHING

    def _data(self, argument):
        if argument:
            return 501, NOTHING
        return (554, NOTHING) if self.state == MAIL else (None, DATA)

    def _bdat(self, argument):
        match = re.fullmatch(rb"(\d{1,9})(\s+LAST)?", argument, re.IGNORECASE)
        if not match:
            return 501, QUIT
        self.chunk_octets, self.chunk_last = int(match[1]), bool(match[2])
        self.chunk_refusal = self._out_of_place((MAIL, RCPT, CHUNKS), False)
        if self.chunk_refusal is None and self.state == MAIL:
            self.chunk_refusal = 554
        return None, CHUNK

    def _rset(self, argument):
        if argument:
            return 501, NOTHING
        self._clear(CONNECTED if self.state == CONNECTED else READY)
        return 250, NOTHING

    def _noop(self, _argument):
        return 250, NOTHING

    def _vrfy(self, argument):
        return (252 if argument else 501), NOTHING

    def _expn(self, _argument):
        return 502, NOTHING

    def _help(self, _argument):
        return 214, NOTHING

    def _quit(self, _argument):
        return 221, QUIT

    def _starttls(self, argument):
        if argument:
            return 501, NOTHING
        if self.tls:
            return 503, NOTHING
        return (None, STARTTLS) if self.rules.starttls else (502, NOTHING)

    # --- AUTH (RFC 4954; PLAIN of RFC 4616, and LOGIN) ---------------------------------------

    def _auth(self, argument):
        if not self.rules.auth:
            return 502, NOTHING
        if self.account is not None:
            return 503, NOTHING
        words = argument.split()
        if len(words) not in (1, 2):
            return 501, NOTHING
        if words[0].upper() not in (b"PLAIN", b"LOGIN"):
            return 504, NOTHING
        self.exchange = [words[0].upper(), None, None]
        if len(words) == 1:
            return 334, NOTHING
        return self._take(b"" if words[1] == b"=" else words[1])

    def _respond(self, line):
        if line == b"*":
            self.exchange = None
            return self.reply(501), NOTHING
        code, action = self._take(line.strip())
        return code and self.reply(code), action

    def _take(self, response: bytes) -> tuple[int | None, int]:
        """One response; an exchange that went wrong is over. The reply is not counted yet."""
        exchange = self.exchange
        if not _BASE64.fullmatch(response):
            self.exchange = None
            return 501, NOTHING
        octets = base64.b64decode(response)
        if exchange[0] == b"PLAIN":
            parts = octets.split(b"\0")
            if len(parts) != 3 or not parts[1] or not parts[2] or len(parts[1]) > MAX_USER:
                self.exchange = None
                return 501, NOTHING
            # Nobody may act for somebody else: such a login is refused like a wrong password.
            exchange[1:] = parts[1] if parts[0] in (b"", parts[1]) else b"", parts[2]
            return None, AUTH
        if exchange[1] is None:
            if len(octets) > MAX_USER:
                self.exchange = None
                return 501, NOTHING
            exchange[1] = octets
            return 334, NOTHING
        exchange[2] = octets
        return None, AUTH
