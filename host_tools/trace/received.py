"""One Received field (RFC 5321 4.4, RFC 5322 3.6.7), as servers write it.

Its clauses are `from`, `by`, `via`, `with`, `id`, `for`, and `tls` (RFC 8314 4.3); in what order
they put names, addresses and comments into them, servers do not agree:

    from HELO (REVERSE [ADDRESS])                  Postfix, sendmail, Gmail; "unknown" for none
    from HELO ([ADDRESS]), from HELO (ADDRESS)     Microsoft's, picopost
    from REVERSE ([ADDRESS] helo=HELO), from [ADDRESS] (helo=HELO), from REVERSE ([ADDRESS])
                                                   Exim: without the one, none; with one, both
    from REVERSE (HELO HELO) (ADDRESS), (qmail 77 invoked from network) qmail
    from NAME [ADDRESS]                            fetchmail
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from host_tools import firmware_modules  # noqa: F401  makes picopost importable
from host_tools.trace.networks import address_of, kind

from picopost.mime import dates, encoded_words  # isort: skip

_PROTOCOL_WORDS = 4
_CLAUSES = ("from", "by", "via", "with", "id", "for", "tls")
# The mail transmission types of RFC 3848 and RFC 6531 4.3 that IANA lists, those of LMTP, and the
# ones like them that are not registered ("SMTPS", Exim's old "asmtp").
_TYPE = re.compile(r"(?:UTF8)?(A?)(?:E?SMTP|LMTP)(S?)(A?)")
_HELO = re.compile(r"\b(?:helo|ehlo)[ =]+([^\s()]+)", re.IGNORECASE)
_LITERAL = re.compile(r"\[([^\[\]\s]{1,64})\]")
_ENVELOPE = re.compile(r"envelope-(?:from|sender)[ =]+<?([^\s<>()]*)>?", re.IGNORECASE)
# "version=TLS1_2", "using TLSv1.3", "TLS1.2:ECDHE...", "Cipher TLS-1.0:..."
_TLS = re.compile(r"\b((?:TLS|SSL)[v-]?\d(?:[._]\d)?)\b(?::([\w-]{4,}))?", re.IGNORECASE)
_CIPHER = re.compile(r"\bcipher[= ]+([\w-]+)", re.IGNORECASE)
_AUTHENTICATED = re.compile(r"\bauthenticated\b", re.IGNORECASE)
# Where no semicolon stands before the date.
_DATE_AT_END = re.compile(r"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? +)?\d{1,2} [A-Z][a-z]{2} \d{4} "
                          r"\d\d?:\d\d.{0,60}$")


@dataclass
class Received:
    """What a server wrote when it took the message. None: it did not say.

    helo, reverse, address  of who gave it: the name it said it has, the name that belongs to its
                            address, the address. `nameless`: the server found no name, `unverified`
                            one that does not lead back to the address
    by, by_address, software  the server
    protocol, tls           `with`; True, False, or None where it is not to be told
    date, when              as it stands there; as picopost.mime.dates.parse has it
    """

    raw: str
    helo: str | None = None
    reverse: str | None = None
    address: str | None = None
    nameless: bool = False
    unverified: bool = False
    by: str | None = None
    by_address: str | None = None
    software: str | None = None
    protocol: str | None = None
    via: str | None = None
    id: str | None = None
    recipient: str | None = None
    envelope_from: str | None = None
    tls: bool | None = None
    tls_version: str | None = None
    cipher: str | None = None
    authenticated: bool = False
    note: str | None = None  # who gave it on the server itself, or a comment before all clauses
    date: str = ""
    when: tuple | None = None

    @property
    def is_smtp(self) -> bool:
        """Whether it came by SMTP or its variants, LMTP (RFC 2033) included."""
        return bool(re.search("[SL]MTP", (self.protocol or "").upper()))

    @property
    def is_local(self) -> bool:
        """Whether a program on the server itself gave it, not a host."""
        return (self.protocol or "").lower() in ("local", "pipe", "bsmtp", "spool")


@dataclass
class _Clause:
    words: list[str] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)

    @property
    def first(self) -> str | None:
        return self.words[0].rstrip(".,") or None if self.words else None


def parse(value: bytes) -> Received:
    """Read a field's unfolded value; never raises, and passes over what it does not know."""
    text = encoded_words.plain(value).strip()
    tokens, date = _tokens(text)
    found = Received(raw=text, date=date, when=dates.parse(date.encode()))
    clauses = _clauses(tokens)
    _server(clauses["by"], found)
    _protocol(clauses["with"], clauses["tls"].comments, found)
    _client(clauses["from"], found)
    found.via = " ".join(clauses["via"].words) or None
    found.id = clauses["id"].first
    recipient = clauses["for"].first
    found.recipient = recipient.strip("<>") if recipient else None
    found.note = found.note or next(iter(clauses[""].comments), None)
    comments = [comment for clause in clauses.values() for comment in clause.comments]
    _tls(comments, clauses["tls"].first, found)
    for comment in comments:
        if envelope := _ENVELOPE.search(comment):
            found.envelope_from = envelope[1]
        found.authenticated |= bool(_AUTHENTICATED.search(comment))
    return found


# --- its grammar ------------------------------------------------------------------------------

def _tokens(text: str) -> tuple[list[tuple[bool, str]], str]:
    """[(is a comment, text)] before the last semicolon, and the date behind it."""
    tokens: list[tuple[bool, str]] = []
    piece: list[str] = []
    ends = None  # (tokens before the last semicolon, its offset)
    depth = 0
    quoted = escaped = False

    def end(comment: bool) -> None:
        if piece:
            tokens.append((comment, "".join(piece).strip()))
            piece.clear()

    for at, character in enumerate(text):
        if escaped:
            escaped = False
        elif character == "\\" and (quoted or depth):
            escaped = True
            continue
        elif depth:
            depth += (character == "(") - (character == ")")
            if not depth:
                end(True)
                continue
        elif character == '"':
            quoted = not quoted
        elif quoted:
            pass
        elif character == "(":
            end(False)
            depth = 1
            continue
        elif character == ";" or character.isspace():
            end(False)
            if character == ";":
                ends = len(tokens), at
            continue
        piece.append(character)
    end(bool(depth))
    if ends is None:
        # A comment without its end may have swallowed it.
        tail = text.rpartition(";")[2] if ";" in text else ""
        if not dates.parse(tail.encode()):
            match = _DATE_AT_END.search(text)
            tail = match[0] if match else ""
        return tokens, tail.strip()
    return tokens[:ends[0]], text[ends[1] + 1:].strip()


def _clauses(tokens: list[tuple[bool, str]]) -> dict[str, _Clause]:
    """The clauses by their names, "" what stands before the first; of two alike the first."""
    clauses = {name: _Clause() for name in ("", *_CLAUSES)}
    seen = {""}
    clause = clauses[""]
    for is_comment, text in tokens:
        name = text.lower()
        if is_comment:
            clause.comments.append(text)
        elif name in _CLAUSES:
            clause = _Clause() if name in seen else clauses[name]
            seen.add(name)
        else:
            clause.words.append(text)
    return clauses


# --- its clauses ------------------------------------------------------------------------------

def _client(clause: _Clause, found: Received) -> None:
    name = clause.first
    if name and "@" in name:  # a user, or a list, on the server itself (CommuniGate)
        found.note, name = name.strip("<>"), None
    helo = reverse = address = None
    for comment in clause.comments:
        if (match := _HELO.search(comment)) and not helo:
            helo = match[1].strip('"').rstrip(".]") if "[" not in match[1] else match[1]
        if not address:
            address, reverse = _address_in(comment)
        found.unverified |= "may be forged" in comment
    literal = next(filter(None, map(address_of, clause.words[:2])), None)
    is_exim = bool(address) and (found.software or "").startswith("Exim")
    if (helo or is_exim) and name and not address_of(name):
        reverse = reverse or name  # Exim and qmail
    helo = helo or name
    if reverse and reverse.lower() == "unknown":
        found.nameless, reverse = True, None
    found.helo, found.reverse, found.address = helo, reverse, address or literal


def _address_in(comment: str) -> tuple[str | None, str | None]:
    """The address in a comment and the name before it."""
    for match in _LITERAL.finditer(comment):
        if address := address_of(match[1]):
            before = comment[:match.start()].replace("(", " ").split()
            # What identd said of the user stands before an "@" (RFC 1413).
            name = before[-1].rpartition("@")[2].rstrip(".") if before else ""
            return address, name if name and "=" not in name else None
    for word in comment.split():
        if address := address_of(word.rpartition("@")[2]):
            return address, None
    return None, None


def _server(clause: _Clause, found: Received) -> None:
    found.by = clause.first
    for comment in clause.comments:
        address, _ = _address_in(comment)
        if address and kind(address) != "impossible":  # else it is a program's version
            found.by_address = found.by_address or address
        elif not _ENVELOPE.search(comment):
            found.software = found.software or comment
    if found.by and (address := address_of(found.by)):
        found.by_address = found.by_address or address


def _protocol(clause: _Clause, behind: list[str], found: Received) -> None:
    if not clause.words:
        return
    words = clause.words[:_PROTOCOL_WORDS]
    if words[0].lower() != "microsoft":  # "Microsoft SMTP Server", but "IBM ESMTP SMTP Gateway:"
        words = [word for word in words if _TYPE.fullmatch(word.upper())][:1] or words
    found.protocol = " ".join(words).partition("/")[0]
    for comment in clause.comments + behind:
        if not (_TLS.search(comment) or _ENVELOPE.search(comment)):
            found.software = found.software or comment
    if match := _TYPE.fullmatch(found.protocol.upper()):
        found.tls = bool(match[2]) or "/TLS" in clause.words[0].upper()
        found.authenticated = bool(match[1] or match[3])
    elif found.protocol.upper() in ("HTTP", "HTTPS"):
        found.tls = found.protocol.upper() == "HTTPS"


def _tls(comments: list[str], clause: str | None, found: Received) -> None:
    if clause:
        found.tls, found.cipher = True, clause
    for comment in comments:
        version, cipher = _TLS.search(comment), _CIPHER.search(comment)
        if version and not _HELO.search(comment):
            found.tls = True
            found.tls_version = found.tls_version or _version(version[1])
            found.cipher = found.cipher or version[2]
        if cipher and found.tls:
            found.cipher = found.cipher or cipher[1]


def _version(text: str) -> str:
    """"TLS 1.2" of "TLSv1.2", "TLS1_2", "TLS-1.2"."""
    return f"{text[:3].upper()} {text[3:].lstrip('vV-').replace('_', '.')}"
