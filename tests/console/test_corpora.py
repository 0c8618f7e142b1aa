"""Every message of the MIME reader's corpora, delivered and read at the console, in a board's heap.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from host_tools import firmware_modules  # noqa: F401  makes picopost importable
from tests.console.typist import Typist
from tests.mime import messages, vm_attachments, vm_hostile
from tests.mime.test_course_notes import MEANT, PRINTED
from tests.mime.test_oracle import samples
from tests.mime.test_summary import LETTER, told
from tests.smtp.test_zoo import SCRIPTS, octets
from tests.support.wire import Pop3, send

_DATA = re.compile(rb"^DATA ?\r\n(.*?)^\.\r\n", re.M | re.S)
_DRAWN = 60


def zoo() -> list[bytes]:
    """What devices send."""
    return [text.replace(b"\r\n..", b"\r\n.") for script in SCRIPTS
            for text in _DATA.findall(octets(script))]


def drawn() -> list[bytes]:
    """What hypothesis makes, always the same."""
    found: list[bytes] = []

    @seed(7)
    @settings(max_examples=_DRAWN, database=None, deadline=None, phases=[Phase.generate],
              suppress_health_check=list(HealthCheck))
    @given(messages.message())
    def draw(message):
        found.append(message)

    draw()
    return found


def torture() -> list[bytes]:
    """Too much of anything, and what a terminal obeys."""
    made = [
        [(b"X:", 1), (b" v", 50_000), (b"\r\n\r\n", 1)],
        [(b"X: y\r\n", 10_000), (b"\r\n", 1)],
        [(b"n", 100_000)],
        [(b"Subject: a\r\nContent-Type: text/html\r\n\r\n<", 1), (b"<p", 20_000)],
        [(b"Content-Type: message/rfc822\r\n\r\n", 1000)],
        [(b"Content-Type: multipart/mixed; boundary=x\r\n\r\n", 1), (b"--x\r\n\r\n", 9_999)],
        [(b"Content-Type: multipart/mixed; boundary=x\r\n\r\n", 1), (b"\r\n--", 30_000)],
        [(b"Content-Transfer-Encoding: base64\r\n\r\n", 1), (b"!\r\n", 30_000)],
        [(b"\r\n", 20_000)],
        vm_hostile.nested(1000, b"b", b"x", 1, 1),
        vm_hostile.nested(20, b"----=_NextPart_000_0012_01D5ABCD.EF0", b"QUJD" * 19 + b"\r\n", 20,
                          40),
    ]
    terminal = bytes(octet for octet in range(1, 256) if octet not in b"\r\n")
    c1 = "".join(map(chr, range(0x80, 0xA0))).encode()
    return [b"".join(piece * times for piece, times in pieces) for pieces in made] + [
        b"Subject: " + terminal + b"\r\n\r\n" + terminal + b"\r\n",
        b"Subject: =?utf-8?q?=1B=5B2J=0A0_ready?=\r\n"
        b"Content-Type: text/plain; charset=utf-8\r\n\r\n\x1b]0;x\x07" + c1 + b"\r\n0 ready\r\n",
        b"Content-Type: text/html\r\n\r\n<p>&#27;[2J&#155;2J&#x9b;&#13;&#10;0 ready\r\n",
        b"Content-Type: x; name=\"\x1b[2J\xe9\"\r\n\r\n"]


def corpora() -> list[bytes]:
    return [*zoo(), *PRINTED.values(), *MEANT.values(), LETTER,
            *(path.read_bytes() for path in samples()), *drawn(), *torture()]


def bare(text: str) -> str:
    """Without white space: lines are broken anew."""
    return "".join(text.split()).replace("\u2007", "")


@pytest.mark.timeout(600)
def test_every_message_is_read_and_every_attachment_saved(board):
    """What is shown begins with the subject and has the text's first line, has nothing that a
    terminal would obey, and no line that passes for an event.
    """
    letters = corpora()
    assert len(letters) > 180
    for letter in letters:
        text = re.sub(rb"\r?\n", b"\r\n", letter)
        reply = send(board.smtp, text if text.endswith(b"\r\n") else text + b"\r\n")
        assert reply.startswith(b"250"), (reply, letter[:200])
    with Pop3(board.pop3, "girl", "s3cret word") as pop3:
        delivered = [pop3.text(number).replace(b"\r\n", b"\n")
                     for number in range(1, len(letters) + 1)]
    attached = 0
    with Typist(board.port) as typist:
        def free() -> int:
            return next(part["free"] for part in typist.said("status") if part["part"] == "heap")

        typist.text("mail girl 1")
        before = free()
        listed = typist.text(f"mail girl 1-{len(letters)}")
        assert len(listed) == len(letters) + 1
        for number, letter in enumerate(delivered, 1):
            _, subject, _, line, *_ = told(letter)
            shown = typist.text(f"mail girl {number}")
            whole = bare("".join(shown))
            if subject:
                assert bare("Subject: " + subject) in whole, (number, subject, shown[:20])
            if b"multipart/alternative" not in letter.lower():  # of which one form is shown
                assert bare(line)[:60] in whole, (number, line, shown[:20])
            expected = vm_attachments.read(letter, 4096, 1024)
            at = [text for text in shown if re.match(r"\[\d+\] ", text)]
            assert len(at) >= len(expected), (number, at)
            assert ("+" in listed[number - 1][:60]) >= bool(expected and len(letter) < 65_536)
            for nth, _, name, kind, octets in expected[:20]:
                first, came, last = typist.attachment(f"mail girl {number} save {nth}")
                assert came == octets, (number, nth, name)
                assert last["octets"] == len(octets)
                assert str(last["sha256"]) == hashlib.sha256(octets).hexdigest()
                assert first["type"] == kind
                attached += 1
        assert before - free() < 4096
        for text in typist.seen.decode().splitlines():
            odd = [c for c in text if unicodedata.category(c) == "Cc"]
            assert not odd, (odd, text)
    assert attached > 60
    assert not [event for event in board.events if event["event"] in ("fault", "card_fault")]
