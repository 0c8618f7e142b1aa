"""Header values as text: encoded words (RFC 2047), and octets that should not be there."""

from picopost.mime import charsets, transfer
from picopost.mime.percent import percent_decoded

_BLANKS = b" \t\r\n"


def decode(value):
    """`value`, a field's unfolded value (bytes), as a str of one line; never raises.

    White space between two encoded words is none (6.2). Adjacent words of one charset are joined
    before they are decoded, for many programs cut characters in two. A language (RFC 2231 5) is
    passed over. Other octets than ASCII are UTF-8 where all of them are (RFC 6532), else
    windows-1252, which is what devices write that do not encode. A word may decode to anything,
    line ends included: control characters are shown as blanks.
    """
    shown = []
    held = []  # octets of adjacent words in `charset`
    charset = ""
    at = 0  # what is before it is shown or held
    look = 0
    last = value.rfind(b"?=")  # no word ends behind it
    while True:
        begin = value.find(b"=?", look)
        word = _word(value, begin) if begin >= 0 else None
        if word is None and begin >= 0:
            look = begin + 2
            if look <= last:
                continue
            begin = -1
        between = value[at:begin] if begin >= 0 else value[at:]
        if held and (begin < 0 or word[0] != charset or between.strip(_BLANKS)):
            shown.append(charsets.decode(b"".join(held), charset))
            if begin >= 0 and not between.strip(_BLANKS):
                between = b""
            held = []
        elif held:
            between = b""
        if between:
            shown.append(plain(between))
        if begin < 0:
            return charsets.in_a_line("".join(shown))
        charset, octets, at = word
        held.append(octets)
        look = at


def _word(value, begin):
    """(charset, octets, offset behind it) of the encoded word at value[begin]; None: it is none."""
    end = value.find(b"?", begin + 2)
    charset = bytes(value[begin + 2 : end])
    if end < 0 or not charset or value[end + 2 : end + 3] != b"?":
        return None
    for octet in charset:
        if octet <= 32 or octet > 126:
            return None
    text = end + 3
    encoding = value[end + 1 : end + 2].lower()
    # "=?utf-8?Q?=3D?=": its first "?=" is none where text begins with "=".
    end = value.find(b"?=", text)
    if end < 0:
        return None
    octets = bytes(value[text:end])
    if encoding == b"b":
        octets = _base64(octets)
    elif encoding == b"q":
        octets = percent_decoded(octets.replace(b"_", b" "), b"=")
    else:
        return None
    return charset.partition(b"*")[0].decode().lower(), octets, end + 2


def _base64(text):
    decoder = transfer.decoder(b"base64")
    target = memoryview(bytearray(len(text) + transfer.MIN_TARGET))
    source = memoryview(text)
    at = to = 0
    while at < len(text):
        consumed, produced = decoder.decode(source[at:], target[to:])
        at += consumed
        to += produced
    to += decoder.finish(target[to:])
    return bytes(target[:to])


def plain(octets):
    """Octets that are not encoded, as `decode` shows them."""
    return charsets.decode(octets, "utf-8" if charsets.is_utf8(octets) else "windows-1252")
