"""The model over octets: lines, mail data and chunks as a session takes them from the wire, the
replies that have to come, and the letters that have to be in the mailboxes afterwards.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tests.fuzz import model
from tests.fuzz.model import Directory, Model, Rules

_BARE_LF = re.compile(rb"(?<!\r)\n")
_BARE = re.compile(rb"(?<!\r)\n|\r(?!\n)")
_RECEIVED = re.compile(rb"^(?:Received|received|RECEIVED):", re.MULTILINE)
_MAX_RECEIVED = 100  # RFC 5321 6.3
_CLIENT_HELLO = 0x16
_END = b"\r\n.\r\n"


@dataclass
class Letter:
    """One that is in `mailbox` once the reply number `reply` was sent."""

    mailbox: str
    pattern: re.Pattern
    text: bytes
    reply: int

    def matches(self, text: bytes) -> bool:
        match = self.pattern.match(text)
        return bool(match) and (self.text is None or text[match.end():] == self.text)


class Stream:
    """`codes`: [(code, extended, what EHLO offers)] of all replies so far, the greeting too.

    `closed`: the session is over, and what is fed then is `unread`; `tls_due`: the handshake is
    next. `waits_for`: "line", "data" or the octets that are left of a chunk.
    """

    def __init__(self, rules: Rules, directory: Directory, max_size: int, passwords: dict,
                 peer: str, tls: bool):
        self.talk = Model(rules, directory, max_size)
        self._rules = rules
        self._max_size = max_size
        self._passwords = passwords
        self._peer = peer.encode()
        if tls:
            self.talk.tls_started()
        self.codes: list[tuple[int, bool, tuple]] = []
        self.letters: list[Letter] = []
        self.lines = 0
        self.closed = self.tls_due = self.unread = False
        self._pending = b""
        self.in_data = False
        self.chunk_left = 0
        self._in_chunk = self._overlong = False
        self._text = b""  # of the message so far
        self._say(220)

    def _say(self, code: int, extended: bool | None = None) -> None:
        talk = self.talk
        self.codes.append((code, talk.extended if extended is None else extended, talk.offers))

    def feed(self, octets: bytes) -> None:
        """The client sends these octets."""
        self._pending += octets
        while self._step():
            pass
        self.unread = self.closed and bool(self._pending)

    def tls_started(self) -> None:
        """The handshake that was due is done; what came before it is forgotten."""
        self.talk.tls_started()
        self.tls_due = False
        self._pending = b""

    def _step(self) -> bool:
        """Use up some of what is pending; False when that takes more octets."""
        if self.closed or self.tls_due:
            return False
        if self.in_data:
            return self._data()
        if self._in_chunk:
            return self._chunk()
        if self._pending[:1] == bytes((_CLIENT_HELLO,)) and not self._overlong:
            self.closed = True
            self._pending = self._pending[1:]
            return False
        line, newline, rest = self._pending.partition(b"\n")
        if not newline:
            # The beginning of a line that is too long is not kept.
            self._overlong = len(self._pending) >= model.MAX_LINE
            return False
        self._pending = rest
        too_long = self._overlong or len(line) + 1 > model.MAX_LINE
        self._overlong = False
        self.lines += 1
        self._line(line, too_long)
        return True

    def _line(self, line: bytes, too_long: bool) -> None:
        talk = self.talk
        extended = talk.extended
        if too_long:
            code, action = talk.refuse_line(line, True)
        elif self._rules.line_ends == "reject" and not line.endswith(b"\r"):
            code, action = talk.refuse_line(line, False)
        else:
            code, action = talk.line(line.removesuffix(b"\r"))
        if action == model.DATA:
            self._say(354)
            self.in_data = True
            self._text = b""
        elif action == model.CHUNK:
            self._in_chunk = True
            self.chunk_left = talk.chunk_octets
            if talk.state != model.CHUNKS:
                self._text = b""
        elif action == model.STARTTLS:
            self._say(220, extended)
            self.tls_due = True
        elif action == model.AUTH:
            self._replied(talk.authenticated(self._verify(*talk.credentials)))
        elif action == model.QUIT:
            self._say(code)
            self.closed = True
        else:
            self._replied(code)

    def _verify(self, user: bytes, password: bytes) -> str | None:
        if self._rules.auth == "any":
            return ""
        name, at, domain = user.partition(b"@")
        if at and domain.lower() not in self.talk.directory.domains:
            return None
        name = name.lower().decode("latin-1")
        known = self._passwords.get(name)
        return name if known is not None and known.encode() == password else None

    def _replied(self, code: int) -> None:
        """A reply to a command or a message, and the end of a session that failed too often."""
        self._say(code)
        talk = self.talk
        if talk.errors > model.MAX_ERRORS or talk.failures >= model.MAX_LOGIN_FAILURES:
            self._say(421)
            self.closed = True

    def _data(self) -> bool:
        text = b"\r\n" + self._pending
        at = text.find(_END)
        if at < 0:
            return False
        self._text = text[:at + 2].replace(b"\r\n.", b"\r\n")[2:]
        self._pending = text[at + len(_END):]
        self.in_data = False
        self._message_done()
        return True

    def _chunk(self) -> bool:
        talk = self.talk
        piece, self._pending = (self._pending[:self.chunk_left], self._pending[self.chunk_left:])
        self.chunk_left -= len(piece)
        if talk.chunk_refusal is None:
            self._text += piece
        if self.chunk_left:
            return False
        self._in_chunk = False
        if talk.chunk_refusal is not None:
            self._replied(talk.chunk_refused())
        elif talk.chunk_last:
            self._message_done()
        elif (refusal := self._refusal()) is not None:
            self._replied(talk.data_done(refusal))
        else:
            self._replied(talk.chunk_done())
        return True

    def _refusal(self) -> int | None:
        """Why the text so far is not taken."""
        text = _BARE_LF.sub(b"\r\n", self._text)
        if len(text) > self._max_size:
            return 552
        if len(_RECEIVED.findall((b"\r\n" + text).partition(b"\r\n\r\n")[0])) >= _MAX_RECEIVED:
            return 554
        return None

    def _message_done(self) -> None:
        talk = self.talk
        refusal = self._refusal()
        if refusal is None and self._rules.line_ends == "reject" and _BARE.search(self._text):
            refusal = 550
        if refusal is None:
            self._delivered()
        self._replied(talk.data_done(refusal or 250))

    def _delivered(self) -> None:
        talk = self.talk
        text = _BARE_LF.sub(b"\r\n", self._text)
        if text and not text.endswith(b"\n"):
            text += b"\r\n"
        trace = b"Return-Path: <%s>\r\nReceived: from %s ([%s])\r\n\tby xyz.com with %s id " % (
            talk.reverse_path, talk.helo, self._peer, talk.protocol)
        only = talk.recipients[0][1] if talk.accepted == 1 else None
        end = b"\r\n\tfor <%s>" % only if only is not None else b""
        pattern = re.compile(re.escape(trace) + rb"[0-9a-f]{8}\.[0-9a-f]{8}" + re.escape(end)
                             + rb";\r\n\t[ -~]+\r\n")
        for mailbox, _ in talk.recipients:
            self.letters.append(Letter(mailbox, pattern, text, len(self.codes)))
        if talk.sender and any(notify and b"SUCCESS" in notify
                               for _, _, notify, _ in talk.notices):
            report = re.compile(rb"Return-Path: <>\r\n(?s:.*)\nTo: <" + re.escape(talk.reverse_path)
                                + rb">(?s:.*)\nContent-Type: multipart/report;(?s:.*)--\r\n\Z")
            self.letters.append(Letter(talk.sender, report, None, len(self.codes)))
