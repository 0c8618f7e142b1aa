"""Messages for hypothesis to draw: well-formed trees of parts, then damaged."""

from __future__ import annotations

import base64
import quopri

from hypothesis import strategies as st

# Some begin others, and some are like text.
BOUNDARIES = [b"abc", b"abcd", b"abcde", b"a", b"-", b"--", b"=_x", b"a b", b"a'(b)+_,-./:=?",
              b"x" * 70, b"y" * 100]
LINES = st.sampled_from([
    b"", b"", b"text", b"--", b"---", b"-- ", b"--ab", b"--abx", b"--abc x", b" --abc", b"a: b",
    b"-",
    b"From", b".", b"=", b"a=20b", b"\xe9\xff", b"x" * 300, b"--" + b"x" * 69])
TEXT = st.lists(LINES, max_size=5)
FIELDS = st.lists(st.sampled_from([
    [b"Subject: a", b" b"], [b"X: "], [b"X:", b"\ty"], [b"MIME-Version: 1.0"],
    [b"Z: " + b"z" * 400],
    [b"Content-Disposition: inline"]]), max_size=3)


def quoted(boundary: bytes) -> bytes:
    return b'"' + boundary.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


@st.composite
def leaf(draw):
    lines = draw(TEXT)
    fields = sum(draw(FIELDS), [])
    encoding = draw(st.sampled_from([None, b"7bit", b"Base64", b"quoted-printable", b"BINARY"]))
    if encoding == b"Base64":
        lines = base64.encodebytes(draw(st.binary(max_size=120))).split(b"\n")[:-1]
    elif encoding == b"quoted-printable":
        lines = quopri.encodestring(draw(st.binary(max_size=60)).replace(b"\r", b"")).split(b"\n")
    if encoding:
        fields.append(b"Content-Transfer-Encoding: " + encoding)
    kind = draw(st.sampled_from([None, b"text/plain; charset=utf-8", b"Text/HTML", b"image/png",
                                 b"bad", b"multipart/mixed"]))
    if kind:
        fields.append(b"Content-Type: " + kind)
    return [*fields, b"", *lines]


@st.composite
def nested(draw, children, free):
    if draw(st.integers(0, 3)) == 0:
        return [*sum(draw(FIELDS), []), b"Content-Type: message/rfc822", b"", *draw(children)]
    boundary = draw(st.sampled_from(free))
    kind = draw(st.sampled_from([b"mixed", b"alternative", b"digest"]))
    lines = [b"Content-Type: multipart/" + kind + b";", b" boundary=" + quoted(boundary),
             *sum(draw(FIELDS), []), b"", *draw(TEXT)]
    for part in draw(st.lists(children, max_size=3)):
        lines += [b"--" + boundary + draw(st.sampled_from([b"", b"", b" ", b" \t "])), *part]
    return lines + [b"--" + boundary + b"--", *draw(TEXT)]


def part(depth: int = 3, free=BOUNDARIES):
    if not depth:
        return leaf()
    # Whose boundary is whose is no question where no two levels share one.
    share = len(free) // depth
    return st.one_of(leaf(), nested(part(depth - 1, free[share:]), free[:share]))


@st.composite
def message(draw):
    lines = draw(part())
    for _ in range(draw(st.sampled_from([0, 0, 1, 2, 4]))):
        at = draw(st.integers(0, len(lines)))
        if draw(st.booleans()):
            del lines[at:at + draw(st.integers(1, 3))]
        else:
            lines.insert(at, draw(LINES))
    end = draw(st.sampled_from([b"\n", b"\r\n"]))
    return end.join(lines) + draw(st.sampled_from([end, end, b""]))
