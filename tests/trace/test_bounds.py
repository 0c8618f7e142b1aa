"""Whatever a header holds, it is told in bounded time, and nothing is raised."""

import io
import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host_tools.trace import drawing, header, hops, table
from host_tools.trace.report import Report, as_json, report
from tests.mime.test_course_notes import MEANT, PRINTED
from tests.mime.test_oracle import samples
from tests.trace.messages import HONEST, one_hop
from tests.trace.test_received import DATE, FORMS


def told(message: bytes) -> Report:
    """The report, shown in all ways."""
    found = report(message)
    table.show(found, io.StringIO())
    assert drawing.svg(found).endswith("</svg>\n")
    json.dumps(as_json(found))
    return found


def test_samples_of_cpython():
    found = {path.name: told(path.read_bytes()) for path in samples()}
    assert len(found) > 40 and sum(len(each.path.hops) for each in found.values()) > 12
    # A clock that was set to Greenwich's time but to California's zone, and two broken headers.
    suspected = {name: {each.code for each in found[name].suspicions
                        if each.severity == "suspicion"} for name in found}
    assert suspected["msg_25.txt"] == {"time-runs-back", "repeated-field"}
    assert {name for name in suspected if "broken-header" in suspected[name]} == {
        "msg_19.txt", "msg_35.txt"}
    assert suspected["msg_16.txt"] == suspected["msg_01.txt"] == set()


_PIECES = [b"Received:", b" from ", b" by ", b" with ", b" id ", b" for ", b" via ", b" tls ", b"(",
           b")", b"[", b"]", b"<", b">", b";", b'"', b"\\", b"\n", b"\n ", b"\r\n", b"\n\n", b"@",
           b"=?utf-8?b?", b"?=", b"helo=", b"127.0.0.1", b"999.1.2.3", b"::1", b"IPv6:", b"unknown",
           b"a.example.com", b"localhost", b"ESMTPS", b"Microsoft SMTP", b"From:", b"Date:",
           b"To:", b"Mon, 31 Feb 9999 24:61:61 +9999", b"Fri, 31 Dec 9999 23:59:60 -2359",
           b"Thu, 1 Jan 1970 00:00:00 -0000", b"Mon, 2 Mar 2026 10:00:06 +0100", b"\0", b"\xff"]
_ANY = st.lists(st.one_of(st.sampled_from(_PIECES), st.binary(max_size=12)),
                max_size=60).map(b"".join)


@settings(max_examples=300, deadline=None)
@given(_ANY)
def test_anything(message):
    told(message)
    told(b"Received: " + message)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([HONEST, *MEANT.values(), *PRINTED.values(),
                        *((f"Received: {line}{DATE}\n\n").encode() for line, _ in FORMS.values())]),
       st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 40), st.sampled_from(_PIECES)),
                min_size=1, max_size=6))
def test_damaged_messages(message, changes):
    for at, length, piece in changes:
        at %= len(message)
        message = message[:at] + piece + message[at + length:]
    told(message)


@pytest.mark.parametrize("when", [
    "Fri, 31 Dec 9999 23:59:60 -2359", "Mon, 1 Jan 1900 00:00:00 +0000",
    "Thu, 1 Jan 1970 00:00:00 -0000", "Sat, 14 Aug 9998 9:00 -9900"])
def test_dates_at_the_ends_of_time(when):
    told(one_hop(f"from a by b with SMTP; {when}", f"Date: {when}\n"))


@pytest.mark.parametrize("message", [
    b"Received: " + b"(" * 300_000, b"Received: from " + b"a" * 300_000 + b" by b\n\n",
    b"Received: from x (" + b"[" * 1500 + b")\n\n", b"Received: " + b"helo=" * 300 + b"\n\n",
    b"a: b\n" * 60_000, b"Received: from a by b; x\n" * 20_000, b"x\n" * 150_000,
    b"Received: from x by y (TLS" + b"1_" * 700 + b")\n\n", b"From: " + b"<" * 200_000],
    ids=["comments", "name", "literals", "helo", "fields", "hops", "lines", "tls", "angles"])
def test_large_and_hostile_headers(message):
    begin = time.monotonic()
    found = told(message)
    # Less than a second each; a machine that is busy with others takes longer.
    assert time.monotonic() - begin < 20
    assert len(found.path.hops) <= hops.MAX_HOPS and len(found.header.fields) <= 2000


def test_hops_beyond_the_most_are_counted():
    found = told(b"Received: from a by b; Mon, 2 Mar 2026 10:00:06 +0100\n" * 150 + b"\n")
    assert len(found.path.hops) == hops.MAX_HOPS and found.path.left_out == 22
    assert as_json(found)["lines"] == 150
    assert "too-many-hops" in {each.code for each in found.suspicions}


def test_a_line_too_long_is_said_to_be():
    line = "from a by b (" + "x" * 1600 + ") with SMTP; Mon, 2 Mar 2026 10:00:06 +0100"
    codes = {each.code for each in told(one_hop(line)).suspicions}
    assert {"long-received", "no-time"} <= codes


# --- the header -------------------------------------------------------------------------------

@pytest.mark.parametrize("message, line, fields", [
    (b"A: 1\nB: 2\n\nC: 3\n", None, ["A", "B"]),
    (b"A: 1\r\nB: 2\r\n\r\nC: 3\r\n", None, ["A", "B"]),
    (b"From me Mon\nA: 1\n\n", None, ["A"]),
    (b"A: 1\nB: 2", None, ["A", "B"]),
    (b"A: 1\n", None, ["A"]),
    (b"", None, []),
    (b"\nA: 1\n\n", None, []),
    (b"\r\nA: 1\n\n", None, []),
    (b"A: 1\nno field\nB: 2\n\nC: 3\n", 2, ["A", "B*"]),
    (b"A: 1\r\nno field\r\n more\r\nB: 2\r\n\r\nC: 3\r\n", 2, ["A", "B*"]),
    (b"A: 1\nno field\n\nC: 3\n", 2, ["A"]),
    (b"no field\nB: 2\n\nC: 3\n", 1, ["B*"]),
])
def test_where_a_header_ends(message, line, fields):
    found = header.read(message)
    assert (found.broken.line if found.broken else None) == line
    assert [field.name + "*" * field.behind for field in found.fields] == fields


def test_what_mail_programs_see_counts_before_what_they_do_not():
    found = header.read(b"A: 1\nno field\nA: 2\nB: 3\n\n")
    assert [field.value for field in found.all("a")] == [b"1 no field"]
    assert found.first("B").text == "3" and found.first("c") is None
