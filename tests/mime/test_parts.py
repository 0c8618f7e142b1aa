"""Events of the parser: numbers, ranges, bounds, under CPython and in the VM."""

import pytest

from tests.mime.vm_tree import tree

from picopost import limits  # isort: skip

NESTED = b"""From mbox
Subject: outer
 folded
Content-Type: multipart/mixed; boundary=abc

preamble
--abc

one
--abc
Content-Type: multipart/alternative; boundary=abcd

--abcd
Content-Type: text/html

<p>
--abcd--
epilogue
--abc
Content-Type: message/rfc822

Subject: inner

body
two lines
--abc
Content-Type: message/rfc822

Content-Type: multipart/digest; boundary=q

--q

Subject: in a digest

z
--q
--q
Content-Type: text/plain

--q--
--abc--
end
"""


def summary(message, *how):
    return [(part["header"], part["path"], part["message"], part["type"], part["leaf"],
             message[part["start"][1]:part["end"]] if part["leaf"] else None, part["lines"])
            for part in tree(message, *how)]


@pytest.mark.parametrize("end", [b"\n", b"\r\n"], ids=["lf", "crlf"])
def test_paths_are_imap_s_section_numbers(end):
    """RFC 3501 6.4.5; lines are what stands in the ranges."""
    message = NESTED.replace(b"\n", end)
    assert summary(message) == [
        ("", "", True, b"multipart/mixed", False, None, 37),
        ("1", "1", False, b"text/plain", True, b"one", 0),
        ("2", "2", False, b"multipart/alternative", False, None, 5),
        ("2.1", "2.1", False, b"text/html", True, b"<p>", 0),
        ("3", "3", False, b"message/rfc822", False, None, 3),
        ("3", "3.1", True, b"text/plain", True, b"body" + end + b"two lines", 1),
        ("4", "4", False, b"message/rfc822", False, None, 11),
        ("4", "4", True, b"multipart/digest", False, None, 9),
        ("4.1", "4.1", False, b"message/rfc822", False, None, 2),
        ("4.1", "4.1.1", True, b"text/plain", True, b"z", 0),
        ("4.2", "4.2", False, b"text/plain", True, b"", 0),
    ]
    for part in tree(message):
        start, stop = part["start"][1], part["end"]
        assert part["lines"] == message.count(b"\n", start, stop), part
        if part["leaf"]:
            assert part["data"] == message[start:stop]
    assert [part["fields"] for part in tree(message)][0] == [
        (b"Subject", b"outer folded", False),
        (b"Content-Type", b"multipart/mixed; boundary=abc", False)]
    assert tree(message)[0]["preamble"] == b"preamble"


@pytest.mark.parametrize("kind, paths", [
    (b"text/plain", [("", "1")]), (b"message/rfc822", [("", "1"), ("1", "1.1")])])
def test_a_message_without_parts_has_part_1(kind, paths):
    found = tree(b"Content-Type: " + kind + b"\n\nSubject: x\n\nbody\n")
    assert [(part["header"], part["path"]) for part in found] == paths


def test_the_vm_tells_the_same_at_any_cut(vm):
    for message in (NESTED, NESTED.replace(b"\n", b"\r\n"), HOSTILE, b"", b"\r", b"a"):
        told = tree(message)
        for chunk, buffer in ((1, 512), (7, 512), (512, 512), (512, 4096), (4096, 4096)):
            assert tree(message, chunk, buffer) == told
            assert vm.eval(f"tree({message!r}, {chunk}, {buffer})") == told


# Lines that nearly are delimiters, fields or ends of headers.
HOSTILE = b"""Content-Type: multipart/mixed; (comment;
 boundary=no) boundary="a\\"b\\\\c (x)"\x20\x20
 continued: by its blank
X : obsolete
:nameless
: and
 its continuation
From field

--a"b\\c (x)\x20
X-Y:z

--a"b\\c (x)x
--a"b\\c (x)-
 --a"b\\c (x)
-- a
--a"b\\c (x)\t
no header
--a"b\\c (x)--\x20\x20
--a"b\\c (x)
"""


def test_near_misses():
    outer, first, second = tree(HOSTILE)
    assert [field[0] for field in outer["fields"]] == [b"Content-Type", b"X"]
    assert first["fields"] == [(b"X-Y", b"z", False)]
    assert first["data"] == b'--a"b\\c (x)x\n--a"b\\c (x)-\n --a"b\\c (x)\n-- a'
    assert (second["fields"], second["data"]) == ([], b"no header")


def test_alike_boundaries_belong_to_the_innermost_multipart():
    head = b"Content-Type: multipart/mixed; boundary=x\n\n"
    parts = tree(head + b"--x\n" + head + b"--x\n\n1\n--x--\n--x\n\n2\n--x--\n")
    assert [part["path"] for part in parts] == ["", "1", "1.1", "2"]


@pytest.mark.parametrize("parameters", [
    b"", b"; boundary=", b'; boundary=""', b"; boundary*=us-ascii'en'",
    b'; boundary="' + b"x" * 101,
    b"; boundary=" + b"x" * 1000, b"; Boundary", b"; x=boundary=y"], ids=repr)
def test_a_boundary_that_cannot_be_used_gives_a_leaf(parameters):
    [part] = tree(b"Content-Type: multipart/mixed" + parameters + b"\n\n--\n\nx\n--xxx--\n")
    assert (part["leaf"], part["type"], part["path"]) == (True, b"multipart/mixed", "")
    assert part["data"] == b"--\n\nx\n--xxx--\n"


@pytest.mark.parametrize("parameters", [
    b"boundary=a%20b", b'boundary="a%20b"', b"boundary*=us-ascii'en'a%2520b", b"BOUNDARY = a%20b ;",
    b"boundary*0*=''a%25;boundary*1=20;boundary*2*=b", b'x="boundary=no;"; boundary=a%20b'],
    ids=repr)
def test_forms_of_a_boundary(parameters):
    parts = tree(b"Content-Type: multipart/mixed;\n " + parameters + b"\n\n--a%20b\n\nx\n--a%20b--")
    assert [part["data"] for part in parts] == [b"", b"x"]


def test_a_multipart_without_its_delimiters_is_text():
    [part] = tree(b"Content-Type: multipart/mixed; boundary=x\n\ntext\n--y\nmore\n")
    assert (part["leaf"], part["preamble"]) == (False, b"text\n--y\nmore\n")


def test_an_encoded_message_is_a_leaf():
    [part] = tree(b"Content-Type: message/rfc822\nContent-Transfer-Encoding: base64 (x)\n\nQQ==\n")
    assert (part["leaf"], part["encoding"], part["data"]) == (True, b"base64", b"QQ==\n")


def test_only_blanks_within_the_look_follow_a_delimiter():
    for blanks, count in ((limits.MIME_LOOK - 4, 2), (limits.MIME_LOOK - 3, 1)):
        message = b"Content-Type: multipart/mixed; boundary=x\n\n--x" + b" " * blanks + b"\n\na\n"
        assert len(tree(message)) == count
        assert tree(message, 1, 512) == tree(message)


@pytest.mark.parametrize("rest", [252, 253, 254, 255, 600])
@pytest.mark.parametrize("begin", [b"--a:", b"--", b"--x", b"--x "])
def test_lines_as_long_as_the_look_are_read_alike_at_any_cut(begin, rest):
    """Nothing may depend on whether the octet behind the look has come yet."""
    for before in (b"X: y\n", b"Content-Type: multipart/mixed; boundary=x\n\n--x\nX: y\n",
                   b"Content-Type: multipart/mixed; boundary=x\n\n--x\n\nbody\n"):
        for fill in (b"b", b" "):
            for after in (b"", b"\nZ: z\n\nbody\n"):
                message = before + begin + fill * rest + after
                for chunk in (1, 2, 7, 255, 256, 257):
                    assert tree(message, chunk, 512) == tree(message), (message, chunk)


def test_nothing_is_read_behind_the_end():
    """The buffer has octets of what went before there."""
    head = b"Content-Type: multipart/mixed; boundary=x\n\n"
    for old, last in ((b"\r\n", b"\r"), (b"--x\n", b"-"), (b"--x\n", b"--"), (b"--x\n", b"--x"),
                      (b"From a\n", b"From"), (b"A: b\n", b"A"), (b" \n", b"\n")):
        for before in (b"", head + b"--x\n", head + b"--x\n\nbody\n"):
            for count in range(1, 8):
                message = before + old * count + last
                for chunk in (1, 2, 3, 5, 7):
                    assert tree(message, chunk, 512) == tree(message), (message, chunk)


def test_a_value_is_bounded_and_long_names_are_none():
    for extra in (0, 1, 10**6):
        value = b"v" * (limits.MIME_VALUE - 1) + b"w" * extra
        [part] = tree(b"X:" + value[:700] + b"\r\n " + value[700:] + b"\r\nY: y\r\n\r\nbody")
        kept = value[:700] + b" " + value[700:limits.MIME_VALUE - 1]
        assert part["fields"] == [(b"X", kept, bool(extra)), (b"Y", b"y", False)]
    [part] = tree(b"n" * 255 + b": x\n" + b"n" * 256 + b": x\n\nz")
    assert [len(name) for name, _, _ in part["fields"]] == [255]
    assert part["data"].startswith(b"nnn")


@pytest.mark.parametrize("extra", [-1, 0, 1, 2])
def test_what_is_nested_too_deeply_is_a_leaf(extra):
    depth = limits.MIME_NESTING + extra
    message = b""
    for level in range(depth):
        message += b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (level, level)
    parts = tree(message + b"\ninnermost")
    assert len(parts) == min(depth, limits.MIME_NESTING) + 1
    assert parts[-1]["data"].endswith(b"\ninnermost" if extra > 0 else b"innermost")
    message = b"Content-Type: message/rfc822\n\n" * depth + b"\ninnermost"
    assert len(tree(message)) == min(depth, limits.MIME_NESTING) + 1


def test_parts_are_bounded():
    count = limits.MIME_PARTS
    message = b"Content-Type: multipart/mixed; boundary=x\n\n" + b"--x\n\n" * (count + 5)
    parts = tree(message)
    assert len(parts) == count
    assert parts[-1]["path"] == str(count - 1)
