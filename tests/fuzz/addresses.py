"""What the model knows of the arguments of MAIL and RCPT: RFC 5321 4.1.2 as regular expressions,
with what DESIGN.md says is taken beside it. Written from there, not from the firmware.

Octets above 127 are taken where they are UTF-8 without controls (RFC 6531 3.3, RFC 3629).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_PATH, MAX_LOCAL_PART = 256, 64  # RFC 5321 4.5.3.1.1 and 4.5.3.1.3
MAX_PARAMETERS = 8
MAX_ENVELOPE_ID, MAX_ORIGINAL, MAX_AUTH = 100, 500, 1024  # RFC 3461 4.4 and 4.2; a command line

_WORD = rb"[\w!#$%&'*+\-/=?^`{|}~\x80-\xff]+"
_DOT_STRING = _WORD + rb"(?:\." + _WORD + rb")*"
_QUOTED = rb'"(?:[^\x00-\x1f\x7f"\\]|\\[^\x00-\x1f\x7f])*"'
_LABEL = rb"[\w\-\x80-\xff]+"
_NUMBER = rb"(?:\d{1,2}|[01]\d\d|2[0-4]\d|25[0-5])"
_LITERAL = (rb"\[(?:" + _NUMBER + rb"(?:\." + _NUMBER
            + rb"){3}|[iI][pP][vV]6:(?=[^:\]]*:[^:\]]*:)[\da-fA-F:.]+)\]")
_MAILBOX = re.compile(
    rb"(?P<local>" + _QUOTED + rb"|" + _DOT_STRING + rb")"
    rb"(?:@(?P<domain>" + _LITERAL + rb"|" + _LABEL + rb"(?:\." + _LABEL + rb")*))?")
_ROUTE = re.compile(rb"@[\w\-.@,\x80-\xff]*:")
_PARAMETER = re.compile(rb"(?P<key>[A-Za-z\d][A-Za-z\d-]*)(?:=(?P<value>[!-<>-~\x80-\xff]+))?")
_XTEXT = re.compile(rb"(?:[!-*,-<>-~]|\+[\dA-F]{2})+")
_HEX = re.compile(rb"\+([\dA-F]{2})")
_UTF8_CONTROL = re.compile("[\x80-\x9f]")


class Refused(Exception):
    """`args[0]`: the code."""


@dataclass(frozen=True)
class Path:
    """As it was sent, without brackets and source route; `local` unquoted, `domain` lower case."""

    text: bytes = b""
    local: bytes = b""
    domain: bytes = b""

    @property
    def is_ascii(self) -> bool:
        return self.text.isascii()


def parse(argument: bytes, keyword: bytes) -> tuple[Path, list[tuple[bytes, bytes | None]]]:
    """Path and parameters behind MAIL (`keyword` FROM) or RCPT (TO). Raises Refused."""
    match = re.match(keyword + rb"\s*[:;]\s*(?=\S)", argument, re.IGNORECASE)
    if not match:
        raise Refused(501)
    text = argument[match.end():].strip()
    if keyword == b"FROM" and text.startswith(b"<>"):
        path, end = Path(), 2
    else:
        path, end = _path(text)
    rest = text[end:]
    if rest and not rest[:1].isspace():
        raise Refused(501)
    _check_utf8(path.text)
    if len(path.text) + 2 > MAX_PATH:
        raise Refused(501)
    return path, _parameters(rest.split())


def _path(text: bytes) -> tuple[Path, int]:
    at = 0
    bracket = text.startswith(b"<")
    if bracket:
        at = 1
        if text[1:2] == b"@":
            route = _ROUTE.match(text, 1)
            if not route:
                raise Refused(501)
            at = route.end()
    match = _MAILBOX.match(text, at)
    if not match or len(match["local"]) > MAX_LOCAL_PART:
        raise Refused(501)
    end = match.end()
    if bracket:
        if text[end:end + 1] != b">":
            raise Refused(501)
        end += 1
    local = match["local"]
    if local.startswith(b'"'):
        local = re.sub(rb"\\(.)", rb"\1", local[1:-1], flags=re.DOTALL)
    return Path(match[0], local, (match["domain"] or b"").lower()), end


def _check_utf8(text: bytes) -> None:
    try:
        if _UTF8_CONTROL.search(text.decode()):
            raise Refused(501)
    except UnicodeDecodeError:
        raise Refused(501) from None


def _parameters(items: list[bytes]) -> list[tuple[bytes, bytes | None]]:
    matches = [_PARAMETER.fullmatch(item) for item in items]
    if len(items) > MAX_PARAMETERS or not all(matches):
        raise Refused(501)
    given = [(match["key"].upper(), match["value"]) for match in matches]
    for _, value in given:
        _check_utf8(value or b"")
    if len(dict(given)) != len(given):
        raise Refused(501)
    return given


def _check_xtext(value: bytes | None, limit: int) -> None:
    if not value or len(value) > limit or not _XTEXT.fullmatch(value):
        raise Refused(501)
    octets = _HEX.sub(lambda match: bytes.fromhex(match[1].decode()), value)
    if any(octet < 0x20 or octet == 0x7F for octet in octets):
        raise Refused(501)


def mail_parameters(given, max_size: int, auth: bool) -> tuple[int, bool, bytes | None]:
    """(SIZE, SMTPUTF8, ENVID). Raises Refused for the first that cannot be."""
    size, utf8, envelope_id = 0, False, None
    for key, value in given:
        if key == b"SIZE":
            if not re.fullmatch(rb"\d{1,20}", value or b""):
                raise Refused(501)
            size = int(value)
            if size > max_size:
                raise Refused(552)
        elif key == b"BODY":
            if (value or b"").upper() not in (b"7BIT", b"8BITMIME"):
                raise Refused(501)
        elif key == b"SMTPUTF8":
            if value is not None:
                raise Refused(501)
            utf8 = True
        elif key == b"RET":
            if (value or b"").upper() not in (b"FULL", b"HDRS"):
                raise Refused(501)
        elif key == b"ENVID":
            _check_xtext(value, MAX_ENVELOPE_ID)
            envelope_id = value
        elif key == b"AUTH" and auth:
            if value != b"<>":
                _check_xtext(value, MAX_AUTH)
        else:
            raise Refused(555)
    return size, utf8, envelope_id


def rcpt_parameters(given, utf8: bool) -> tuple[set[bytes] | None, bytes]:
    """(what NOTIFY asks for or None, ORCPT). Raises Refused for the first that cannot be.

    `utf8`: an ORCPT of type utf-8 may be in UTF-8 (RFC 6533 3).
    """
    notify, original = None, b""
    for key, value in given:
        value = value or b""
        if key == b"NOTIFY":
            notify = set(value.upper().split(b","))
            if notify != {b"NEVER"} and not notify <= {b"SUCCESS", b"FAILURE", b"DELAY"}:
                raise Refused(501)
        elif key == b"ORCPT":
            kind, semicolon, address = value.partition(b";")
            if not kind or not semicolon:
                raise Refused(501)
            wide = utf8 and kind.lower() == b"utf-8" and not address.isascii()
            if not wide or len(address) > MAX_ORIGINAL:
                _check_xtext(address, MAX_ORIGINAL)
            original = value
        else:
            raise Refused(555)
    return notify, original
