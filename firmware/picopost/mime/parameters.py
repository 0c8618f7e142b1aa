"""A value with parameters, as of Content-Type and Content-Disposition (RFC 2045 5.1, RFC 2231)."""

from picopost.mime import charsets, encoded_words, fields
from picopost.mime.percent import percent_decoded

# Of one value, pieces counted: mail programs write three, and cut a long filename in ten.
_MOST = 32


def parse(value):
    """(what is before the first semicolon, as a str in lower case; {name in lower case: text}).

    `value` is a field's unfolded value (bytes); never raises. Comments are passed over. A parameter
    may come in pieces, with a charset and percent signs (RFC 2231 3 and 4), or, against RFC 2047 5,
    as encoded words, which is what half of all programs write. Of one name the first counts, and
    before it what is written by RFC 2231. Control characters are shown as blanks.
    """
    pieces = fields.pieces(value)
    plain = {}
    extended = {}  # name: {number: (percent signs are escapes, octets)}
    for piece in pieces[1 : _MOST + 1]:
        name, sign, octets = piece.partition(b"=")
        name = name.strip().lower()
        if not sign or not name:
            continue
        name = _ascii(name)
        octets = octets.strip()
        octets = fields.unquoted(octets)
        base, star, number = name.partition("*")
        if not star:
            if name not in plain:
                plain[name] = encoded_words.decode(octets)
            continue
        escaped = not number or number.endswith("*")
        number = number.rstrip("*") or "0"
        if number.isdigit() and len(number) < 3 and base:
            found = extended.setdefault(base, {})
            if int(number) not in found:
                found[int(number)] = escaped, octets
    for name, found in extended.items():
        if 0 in found:
            plain[name] = _joined(found)
    return _ascii(pieces[0].strip().lower()), plain


def _joined(found):
    charset = "us-ascii"
    octets = []
    for number in range(len(found)):
        if number not in found:
            break  # what is behind a gap belongs to something else
        escaped, piece = found[number]
        if escaped and not number:
            words = piece.split(b"'", 2)
            if len(words) == 3:
                charset = _ascii(words[0]) or charset
                piece = words[2]
        octets.append(percent_decoded(piece) if escaped else piece)
    joined = b"".join(octets)
    if charset == "us-ascii" and charsets.is_utf8(joined):
        charset = "utf-8"
    return charsets.in_a_line(charsets.decode(joined, charset))


def _ascii(octets):
    return charsets.decode(octets, "us-ascii")
