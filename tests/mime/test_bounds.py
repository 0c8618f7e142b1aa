"""Memory for what is too much, in a board's heap."""

import pytest

HEAP = 12 * 1024
LINE = b"QUJD" * 19 + b"\r\n"


def test_a_large_message_takes_no_more_heap_than_a_small_one(vm):
    vm.eval("pass_through(nested(1, b'x', %r, 1, 1))" % LINE)  # what is loaded is loaded
    peaks = []
    for times, sample in ((1, 5), (1300, 2000)):
        counts, depth, octets, peak = vm.eval(
            "pass_through(nested(20, b'----=_NextPart_000_0012_01D5ABCD.EF0', %r, 180, %d), %d)"
            % (LINE * 5, times, sample))
        assert (counts[1], depth) == (200, 20)
        assert octets == 180 * times * 285
        peaks.append(peak)
    assert max(peaks) < HEAP
    assert abs(peaks[1] - peaks[0]) < 600, peaks


@pytest.mark.parametrize("pieces, expected", [
    ("[(b'X:', 1), (b' v', 500_000), (b'\\r\\n\\r\\n', 1)]", {"fields": 1}),
    ("[(b'X: y\\r\\n', 10_000), (b'\\r\\n', 1)]", {"fields": 10_000}),
    ("[(b'n', 1_000_000)]", {"fields": 0}),
    ("[(b' ', 1_000_000)]", {"fields": 0}),
    ("[(b'Content-Type: message/rfc822\\n\\n', 1000)]", {"parts": 25}),
    ("[(b'Content-Type: multipart/mixed; boundary=x\\n\\n', 1), (b'--x\\n\\n', 9_999)]",
     {"parts": 10_000}),
    ("[(b'Content-Type: multipart/mixed; boundary=x\\n\\n', 1), (b'--x\\n', 100_000)]",
     {"parts": 2}),
    ("[(b'Content-Type: multipart/mixed; boundary=x\\n\\n', 1), (b'\\n--', 300_000)]",
     {"parts": 1}),
    ("nested(20, b'', b'\\n--', 1, 100_000)", {"parts": 21}),
    ("nested(1000, b'b', b'x', 1, 1)", {"parts": 25}),
], ids=range(10))
def test_too_much_of_anything_is_read_in_bounded_heap(vm, pieces, expected):
    counts, _, _, peak = vm.eval(f"pass_through({pieces}, 500)")
    assert peak < HEAP
    for name, number in expected.items():
        assert counts[{"parts": 1, "fields": 2}[name]] == number, counts


@pytest.mark.parametrize("make", [
    "charsets.decode(octets, 'utf-8')",
    "encoded_words.decode(octets)",
    "encoded_words.decode(b'=?utf-8?q?' + octets + b'?=')",
    "parameters.parse(b'a; b=' + octets)",
    "addresses.parse(octets + b' <a@b>')",
    "idn.shown('xn--' + labels[n])",
    "dates.parse(octets + b' ' + octets + b'1 Jan 2026')",
    "html_text.HtmlText().read(text, True)",
    "html_text.HtmlText().read('&#%d;&%s;<%s %s=%s>' % (0x4E00 + n, text, text, text, text))",
    "summary.read(io.BytesIO(b'Content-Type: text/html; charset=utf-8\\n\\n' + octets), buffer)",
])
def test_characters_leave_nothing_in_the_heap(vm, make):
    """MicroPython keeps a string of one character for ever where `chr`, an index or a loop over a
    str makes it: a letter or two with 4,000 of them would fill a board's heap."""
    labels = [chr(0x4E00 + n).encode("punycode").decode() for n in range(502)]
    vm.exec(f"""
import gc
from picopost.mime import html_text
buffer = bytearray(512)
labels = {labels}

def make(n):
    code = 0x4E00 + n
    octets = bytes((0xE0 | code >> 12, 0x80 | code >> 6 & 63, 0x80 | code & 63))
    text = octets.decode()
    {make}

def after(first, last):
    for n in range(first, last):
        make(n)
    gc.collect()
    return gc.mem_alloc()
""")
    before = vm.eval("after(0, 2)")  # what is loaded is loaded
    # One that is kept takes 32 octets and a place in a table of names; what the collector takes for
    # a reference by mistake is some 2 KB.
    assert vm.eval("after(2, 502)") - before < 500 * 8
