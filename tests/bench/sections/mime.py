"""The MIME reader: decoding, looking for boundaries, and whole messages."""

from __future__ import annotations

import base64
import random
import statistics
import time
from email import policy
from email.parser import BytesFeedParser
from pathlib import Path

from tests.bench.context import Context
from tests.bench.report import Chart, Section, Table, Target, figure
from tests.support.vm import Vm

_WORK = Path(__file__).parents[1] / "mime_work.py"
_MB = 1 << 20
_NEEDLE = b"\n--=_NextPart_000_0012_01D5ABCD"
_BLOCK = 4096

_TEXT = """\
The reader in the MicroPython VM in a Pico W's heap, with a buffer of 4 KB. Decoding is compared
with `binascii.a2b_base64` called on blocks of whole lines, looking for boundaries with
`bytearray.find` on blocks that come into a buffer by a copy, as the reader's do; whole messages,
read from a file and decoded, with CPython's `email.parser.BytesFeedParser` and
`get_payload(decode=True)`. Medians of runs that take turns. Hostile messages in two sizes each:
what a KB costs must not grow."""


def attachments(octets: int) -> bytes:
    """A message of about so many octets: a text and five attachments in base64."""
    noise = random.Random(1)
    pieces = [b"From: printer@abc.com\r\nSubject: scan\r\nMIME-Version: 1.0\r\nContent-Type: "
              b"multipart/mixed; boundary=\"%s\"\r\n\r\n" % _NEEDLE[3:]]
    pieces.append(b"%s\r\nContent-Type: text/plain\r\n\r\n%s" % (_NEEDLE[1:], b"A line.\r\n" * 99))
    for number in range(5):
        text = base64.encodebytes(noise.randbytes(octets // 5 * 56 // 78)).replace(b"\n", b"\r\n")
        pieces.append(b"\r\n%s\r\nContent-Type: application/pdf; name=%d.pdf\r\n"
                      b"Content-Transfer-Encoding: base64\r\n\r\n%s" % (_NEEDLE[1:], number, text))
    pieces.append(b"\r\n%s--\r\n" % _NEEDLE[1:])
    return b"".join(pieces)


# Name: the message with `n` of what there is too much of.
HOSTILE = {
    "one header line": lambda n: b"X: " + b"v" * n + b"\r\n\r\n",
    "header fields": lambda n: b"X: y\r\n" * (n // 6) + b"\r\n",
    "nested parts": lambda n: b"Content-Type: multipart/mixed; boundary=x\n\n--x\n" * (n // 47),
    "nested messages": lambda n: b"Content-Type: message/rfc822\n\n" * (n // 30),
    "empty parts": lambda n: (b"Content-Type: multipart/mixed; boundary=x\n\n"
                              + b"--x\n\n" * (n // 5)),
    "near misses": lambda n: b"Content-Type: multipart/mixed; boundary=x\n\n" + b"\n--y" * (n // 4),
    "padding": lambda n: b"Content-Transfer-Encoding: base64\n\n" + b"QQ==" * (n // 4),
    "soft breaks": lambda n: (b"Content-Transfer-Encoding: quoted-printable\n\n"
                              + b"=\n" * (n // 2)),
}


def _by_email(path: Path) -> tuple[float, int]:
    begin = time.perf_counter()
    parser = BytesFeedParser(policy=policy.default)
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            parser.feed(block)
    octets = sum(len(part.get_payload(decode=True)) for part in parser.close().walk()
                 if not part.is_multipart())
    return time.perf_counter() - begin, octets


def mime(context: Context) -> Section:
    """Run it."""
    folder = context.place()
    folder.mkdir()
    noise = random.Random(2)
    text = base64.encodebytes(noise.randbytes(57 * 416)).replace(b"\n", b"\r\n")  # 8 x 4,056
    prose = b"".join(b"%s\r\n" % bytes(noise.choices(b"abcdefghij ,-", k=76)) for _ in range(416))
    times = 20 if context.quick else 100
    size = (5 if context.quick else 25) * _MB
    path = folder / "attachments.eml"
    path.write_bytes(attachments(size))
    runs: dict[str, list] = {"base64": [], "scanning": [], "whole": [], "email": []}
    costs: dict[str, list[float]] = {}
    with Vm() as vm:
        vm.exec(_WORK.read_text())
        for _ in range(context.rounds + 1):  # the first one loads what is needed
            runs["base64"].append(vm.eval(f"base64({text!r}, {times})"))
            runs["scanning"].append(vm.eval(f"scanning({prose!r}, {times}, {_NEEDLE!r})"))
            runs["whole"].append(vm.eval(f"whole({str(path)!r})"))
            runs["email"].append(_by_email(path))
        for name, message in HOSTILE.items():
            for octets in (_MB // 4, _MB):
                path.write_bytes(message(octets))
                costs.setdefault(name, []).append(min(
                    vm.eval(f"whole({str(path)!r})")[0] for _ in range(3)) / (octets / 1024))
    assert runs["whole"][0][1] == runs["email"][0][1], "they decoded different numbers of octets"
    runs = {name: results[1:] for name, results in runs.items()}
    return section(runs, costs, len(text) * times, len(prose) * times, size)


def section(runs: dict[str, list], costs: dict[str, list[float]], text: int, prose: int,
            size: int) -> Section:
    """The tables, targets and the plot of these seconds."""
    result = Section("MIME", _TEXT)
    table = Table("Reading", ["", "bare", "the reader", "reader / bare"])
    shares = {}
    for name, octets, title in (("base64", text, "base64, MB/s"),
                                ("scanning", prose, "looking for boundaries, MB/s")):
        bare, ours = (statistics.median(pair[which] for pair in runs[name]) for which in (0, 1))
        shares[name] = bare / ours
        table.rows.append([title, figure(octets / bare / 1e6), figure(octets / ours / 1e6),
                           figure(shares[name])])
    ours, theirs = (statistics.median(seconds for seconds, _ in runs[name])
                    for name in ("whole", "email"))
    shares["whole"] = theirs / ours
    table.rows.append([f"message of {size // _MB} MB, MB/s (bare: CPython's email)",
                       figure(size / theirs / 1e6), figure(size / ours / 1e6),
                       figure(shares["whole"])])
    result.tables.append(table)
    for name, wanted, what in (
            ("base64", 0.6, "base64: at least 0.6 of binascii on blocks of 4 KB"),
            ("scanning", 0.5, "boundaries: at least 0.5 of find"),
            ("whole", 1.0, "a message with attachments: faster than CPython's email")):
        result.targets.append(Target(what, figure(shares[name]), shares[name] >= wanted))
    hostile = Table("Too much of something, microseconds a KB", ["", "256 KB", "1 MB", "ratio"])
    for name, (small, large) in costs.items():
        hostile.rows.append([name, figure(small * 1e6), figure(large * 1e6), figure(large / small)])
    result.tables.append(hostile)
    worst = max(large / small for small, large in costs.values())
    result.targets.append(Target("hostile messages: four times the size, not twice the time a KB",
                                 f"at most {figure(worst)} times as much a KB", worst < 2))
    result.charts.append(Chart("mime-hostile", "MIME: too much of something", "microseconds a KB",
                               [256, 1024], {name: [value * 1e6 for value in values]
                                             for name, values in costs.items()},
                               x_title="KB of message"))
    result.data = {"runs": runs, "hostile": costs}
    return result
