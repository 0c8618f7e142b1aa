"""The messages that the dialogues of dialogues/*.txt are about. Runs in CPython and in the VM."""

BODY_LINE = 70


def message(number, octets):
    """The lines of message `number`: a header, then x's, `octets` in all with each CRLF."""
    lines = [b"Subject: message %d" % number, b""]
    left = octets - sum(len(line) + 2 for line in lines)
    while left:
        length = min(left - 2, BODY_LINE)
        lines.append(b"x" * length)
        left -= length + 2
    return lines
