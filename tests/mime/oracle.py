"""What CPython's email package makes of a message, and what ours does, in the same shape."""

from __future__ import annotations

import binascii
import email
import email.policy
import re

from host_tools import firmware_modules  # noqa: F401  makes picopost importable
from tests.mime.vm_tree import tree

from picopost.mime import transfer  # isort: skip


def decoded(encoding: bytes, data: bytes, piece: int = 4096, room: int = 1024) -> bytes:
    """`data` without its transfer encoding, which comes in pieces."""
    decoder = transfer.decoder(encoding)
    target = memoryview(bytearray(room))
    out = b""
    for begin in range(0, len(data), piece):
        source = memoryview(data)[begin:begin + piece]
        while len(source):
            consumed, produced = decoder.decode(source, target)
            assert consumed or produced
            out += target[:produced]
            source = source[consumed:]
    return out + target[:decoder.finish(target)]


def ours(message: bytes, chunk: int = 4096):
    """(content type, parts or (raw body, decoded body)) of the message, parts alike."""
    parts = tree(message, chunk)
    # A multipart in which no part came is text, its preamble.
    shaped = []
    for index, part in enumerate(parts):
        deeper = index + 1 < len(parts) and parts[index + 1]["depth"] > part["depth"]
        body = []
        if not deeper:
            data = part["data"] if part["leaf"] else part["preamble"]
            body = data, decoded(part["encoding"], data)
        node = part["type"].decode("ascii", "replace"), body
        del shaped[part["depth"]:]
        if shaped:
            shaped[-1][1].append(node)
        shaped.append(node)
        root = shaped[0]
    return root


def theirs(message: bytes, parsed=None):
    """The same by email.message_from_bytes."""
    if parsed is None:
        parsed = email.message_from_bytes(message, policy=email.policy.compat32)
    encoding = str(parsed.get("Content-Transfer-Encoding", "")).strip().lower()
    if parsed.get_content_maintype() == "message" and (
            parsed.get_content_type() != "message/rfc822"
            or encoding not in ("", "7bit", "8bit", "binary")):
        # CPython reads every message/* as a message, and an encoded one too. Only message/rfc822
        # is one (RFC 2046 5.2.2, 5.2.3, RFC 3464 2.1), and encoded it is to be decoded first.
        body = None
    elif parsed.is_multipart():
        body = [theirs(b"", part) for part in parsed.get_payload()]
    else:
        raw = (parsed._payload or "").encode("ascii", "surrogateescape")
        if encoding == "quoted-printable":
            # RFC 2045 6.7 rule 3, which binascii.a2b_qp does not follow: blanks at the ends of
            # lines are dropped.
            body = raw, binascii.a2b_qp(re.sub(rb"[ \t]+(?=\r?\n|$)", b"", raw))
        else:
            body = raw, parsed.get_payload(decode=True) or b""
    # CPython leaves what stands behind a type in it.
    return parsed.get_content_type().split()[0], body


def difference(message, one, other, at="") -> str:
    """Where `ours` and `theirs` of the message differ first; "": nowhere."""
    if one[0] != other[0]:
        return f"{at}: type {one[0]} {other[0]}"
    if other[1] is None:
        return ""
    if isinstance(one[1], list) != isinstance(other[1], list):
        return f"{at}: {one[0]} {one[1]!r:.200} {other[1]!r:.200}"
    if isinstance(one[1], tuple):
        (raw, data), (their_raw, their_data) = one[1], other[1]
        if one[0].startswith("multipart/"):
            # CPython leaves such a text the line end that belongs to the delimiter behind it.
            raw, their_raw = raw.rstrip(b"\r\n"), their_raw.rstrip(b"\r\n")
            their_data = data
        if raw != their_raw and message.endswith(raw) and re.fullmatch(
                re.escape(their_raw) + rb"\r?\n", raw):
            # It takes the last line end from a last part that no delimiter follows.
            return ""
        if raw == their_raw and (
                # What follows padding is decoded too; where characters are missing CPython gives
                # the body as it is.
                data.startswith(their_data) or their_data == b"".join(raw.splitlines())):
            return ""
        return f"{at}: {one[1]!r:.300} {other[1]!r:.300}"
    for number, (a, b) in enumerate(zip(one[1], other[1], strict=False), 1):
        found = difference(message, a, b, f"{at}.{number}")
        if found:
            return found
    if len(one[1]) != len(other[1]):
        return f"{at}: {len(one[1])} parts, {len(other[1])}"
    return ""
