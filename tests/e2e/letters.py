"""Letters for mail programs to carry, and what is left of them in the programs' mailbox files."""

from __future__ import annotations

import base64
import mailbox
import random
import re
from collections.abc import Iterable
from pathlib import Path

SENDER = "camera@abc.com"
# Every letter begins with this header field; what stands before it was added on the way.
MARKER = "X-Marker"

_TRACE = re.compile(
    rb"Return-Path: <[^>\r\n]*>\r\n"
    rb"Received: from [^\r\n]+\r\n"
    rb"\tby [^\r\n ]+ with (?P<protocol>[A-Z0-9]+) id [0-9a-f]{8}\.[0-9a-f]{8}"
    rb"(\r\n\tfor <[^>\r\n]+>)?;\r\n"
    rb"\t[^\r\n]+ \+0000\r\n")


def letter(mark: str, body: bytes, *fields: str) -> bytes:
    """A whole message with CRLF line ends; `body` and `fields` come as they are to be sent.

    It has every field that a well-meaning program would add, so none has a reason to.
    """
    header = [f"{MARKER}: {mark}", f"From: Camera <{SENDER}>", "To: Inbox <inbox@xyz.com>",
              f"Subject: {mark}", "Date: Thu, 21 May 2026 05:33:29 +0000",
              f"Message-ID: <{mark}@abc.com>", *fields]
    return "\r\n".join(header).encode() + b"\r\n\r\n" + body


def attachment(seed: int, octets: int) -> bytes:
    """`octets` of noise, always the same, in base64 lines with CRLF."""
    noise = base64.encodebytes(random.Random(seed).randbytes(octets))
    return noise.replace(b"\n", b"\r\n")


def _multipart() -> bytes:
    return (b"--=_part\r\nContent-Type: text/plain\r\n\r\nSee the picture.\r\n\r\n"
            b"--=_part\r\nContent-Type: image/jpeg\r\nContent-Transfer-Encoding: base64\r\n"
            b"Content-Disposition: attachment; filename=\"hall.jpg\"\r\n\r\n"
            + attachment(1, 225_000) + b"--=_part--\r\n")


# What SMTP, POP3 or mbox could take for their own, and lines that are long for a device.
_AWKWARD = [
    ".", "..", "...", ".hidden", "..more", " .", "",
    "From the first column", ">From quoted once", ">>From quoted twice", "From ", ">From ",
    ">From", "From:", "Fromage", "from below", "",
    "", ".", "", "From after a blank line",
    "x" * 900, "." * 900, "From " + "y" * 895, ">From " + "z" * 894,
    ".", "From ", ".", "", "the end", "", "."]

LETTERS: dict[str, bytes] = {
    "small": letter("small", b"It works.\r\n"),
    "eight_bit": letter("eight_bit", "Déjà vu: 20 °C im Büro, 你好\r\n".encode() * 40,
                        "MIME-Version: 1.0", "Content-Type: text/plain; charset=utf-8",
                        "Content-Transfer-Encoding: 8bit"),
    "awkward": letter("awkward", "".join(line + "\r\n" for line in _AWKWARD).encode()),
    "large": letter("large", _multipart(), "MIME-Version: 1.0",
                    'Content-Type: multipart/mixed; boundary="=_part"'),
}


def without_trace(message: bytes, protocols: tuple[bytes, ...] = (b"SMTP", b"ESMTP")) -> bytes:
    """A fetched message without our own lines; CRLF line ends.

    They have to be there, and to say that it came by one of `protocols` (RFC 3848, RFC 6531).
    """
    match = _TRACE.match(message)
    assert match, message[:400]
    assert match["protocol"] in protocols, match[0]
    return message[match.end():]


def by_mark(messages: Iterable[bytes]) -> dict[str, bytes]:
    """{mark: message} with CRLF line ends, from the marker on; no mark may come twice."""
    found: dict[str, bytes] = {}
    for message in messages:
        message = re.sub(rb"\r?\n", b"\r\n", message)
        _, field, rest = message.partition(MARKER.encode() + b": ")
        assert field, message[:400]
        mark = rest[:rest.index(b"\r\n")].decode()
        assert mark not in found, f"{mark} came twice"
        found[mark] = field + rest
    return found


def unquoted(message: bytes) -> bytes:
    """The text of an mboxrd message: every line `>+From ` without its first `>`."""
    return re.sub(rb"^>(>*From )", rb"\1", message, flags=re.MULTILINE)


def mboxrd_messages(path: Path) -> list[bytes]:
    """The messages of an mboxrd file as Python's `mailbox` tells them apart, unquoted."""
    box = mailbox.mbox(path, create=False)
    try:
        return [unquoted(box.get_bytes(key)) for key in box.keys()]
    finally:
        box.close()


def maildir_messages(path: Path) -> list[bytes]:
    """The messages of a Maildir."""
    box = mailbox.Maildir(path, create=False)
    return [box.get_bytes(key) for key in box.keys()]


def mboxcl2_messages(path: Path) -> list[bytes]:
    """The messages of an mbox of mutt's, which quotes nothing and counts instead.

    The two header fields that mutt adds, Content-Length and Lines, are taken away.
    """
    messages = []
    rest = path.read_bytes()
    while rest:
        header, _, rest = rest.partition(b"\n\n")
        match = re.fullmatch(rb"From [^\n]+\n(.*)\nContent-Length: (\d+)\nLines: \d+", header,
                             re.DOTALL)
        assert match, header
        octets = int(match[2])
        messages.append(match[1] + b"\n\n" + rest[:octets])
        assert rest[octets:octets + 1] == b"\n", rest[octets - 40:octets + 40]
        rest = rest[octets + 1:]
    return messages
