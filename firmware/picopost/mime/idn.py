"""Domain names with other letters than ASCII's, which go as "xn--" and punycode (RFC 3492)."""

from micropython import const

from picopost.mime import utf8

_BASE, _TMIN, _TMAX, _SKEW, _DAMP = const(36), const(1), const(26), const(38), const(700)


def shown(domain):
    """`domain`, a str, with its labels as people read them. What is no punycode stays as it is, and
    what no domain may have (RFC 5891 4.2 and 5.4, RFC 5892 2): a label that is ASCII alone, or has
    controls, blanks, or signs that are not seen or turn the direction of what is around them.
    """
    if "xn--" not in domain.lower():
        return domain
    labels = []
    for label in domain.split("."):
        text = _decode(label[4:].lower()) if label[:4].lower() == "xn--" else None
        labels.append(text or label)
    return ".".join(labels)


def _decode(label):
    """RFC 3492 6.2; None for what it does not allow, what is too long to be a label, or is not to
    be shown.
    """
    if len(label) > 59:
        return None
    basic, delimiter, digits = label.encode().rpartition(b"-")
    if not digits or delimiter and not basic:
        return None
    if basic and not 32 < min(basic) <= max(basic) < 127:
        return None
    output = list(basic)  # numbers of characters
    code, index, bias = 128, 0, 72
    at = 0
    while at < len(digits):
        before = index
        weight = 1
        k = _BASE
        while True:
            if at == len(digits):
                return None
            digit = digits[at]
            at += 1
            if 97 <= digit <= 122:
                digit -= 97
            elif 48 <= digit <= 57:
                digit -= 22
            else:
                return None
            index += digit * weight
            threshold = min(max(k - bias, _TMIN), _TMAX)
            if digit < threshold:
                break
            weight *= _BASE - threshold
            k += _BASE
        count = len(output) + 1
        delta = (index - before) // (2 if before else _DAMP)
        delta += delta // count
        bias = 0
        while delta > (_BASE - _TMIN) * _TMAX // 2:
            delta //= _BASE - _TMIN
            bias += _BASE
        bias += (_BASE - _TMIN + 1) * delta // (delta + _SKEW)
        code += index // count
        index %= count
        if code > 0x10FFFF or 0xD800 <= code < 0xE000 or _is_unseen(code):
            return None
        output.insert(index, code)
        index += 1
    shown = bytearray()
    for code in output:
        utf8.append(shown, code)
    return bytes(shown).decode()


def _is_unseen(code):
    """C1's controls and the signs behind them, of which RFC 5892 allows none up to U+00B7; spaces,
    joiners and bidi controls; U+FEFF, what stands for no character, and tags.
    """
    return (code < 0xB7 or 0x2000 <= code < 0x2070 or code in (0x61C, 0x180E, 0x3000, 0xFEFF)
            or code & 0xFFF0 == 0xFFF0 or code >= 0xE0000)
