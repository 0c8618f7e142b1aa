"""Summaries, beside what CPython's email finds in its own samples, and in the VM."""

import email
import email.policy
import io

import pytest

from host_tools import firmware_modules  # noqa: F401  makes picopost importable
from tests.mime.test_oracle import samples

from picopost.mime import summary  # isort: skip

LETTER = b"""From: =?utf-8?q?Z=C3=A4hler?= <meter@lan>, other@lan
Subject: =?iso-8859-1?q?Stand_vom_27=2E_M=E4rz?=
Date: Fri, 27 Nov 2026 09:55:06 +0100
Content-Type: multipart/mixed; boundary=x

--x
Content-Type: multipart/alternative; boundary=y

--y
Content-Type: text/html; charset=utf-8
Content-Transfer-Encoding: quoted-printable

<html><head><title>no</title></head><p>From <b>HTML=
</b>
--y
Content-Type: text/plain; charset=iso-8859-1
Content-Transfer-Encoding: quoted-printable

=20
  Gr=FC=DFe vom Z=E4hler =20
second line
--y--
--x
Content-Type: application/pdf; name="not this"
Content-Disposition: attachment; filename*=utf-8''Z%C3%A4hler.pdf
Content-Transfer-Encoding: base64

QUJDREU=
--x
Content-Type: text/plain; name=log.txt

a log
--x
Content-Type: image/png
Content-Transfer-Encoding: base64

QQ
--x--
"""

EXPECTED = (("Zähler", "meter@lan"), "Stand vom 27. März", (2026, 11, 27, 9, 55, 6, 60),
            "Grüße vom Zähler", [("Zähler.pdf", "application/pdf", 5), ("log.txt", "text/plain", 5),
                                 ("", "image/png", 1)], 0)


def told(octets, buffer=4096):
    found = summary.read(io.BytesIO(octets), bytearray(buffer))
    return (found.sender, found.subject, found.date, found.text, found.attachments, found.more)


def in_vm(vm, octets):
    vm.exec(f"found = summary.read(io.BytesIO({octets!r}), bytearray(512))")
    return vm.eval("(found.sender, found.subject, found.date, found.text, found.attachments, "
                   "found.more)")


def test_all_of_it(vm):
    for buffer in (512, 4096):
        for letter in (LETTER, LETTER.replace(b"\n", b"\r\n")):
            assert told(letter, buffer) == EXPECTED
    assert in_vm(vm, LETTER) == EXPECTED


@pytest.mark.parametrize("letter, text", [
    (b"\n\n\n one \n two", "one"), (b"\n" + b"x" * 1000, "x" * 200), (b"", ""), (b"\n", ""),
    (b"Content-Type: text/html\n\n<style>a</style>&nbsp;<p>a<br>b", "a"),
    (b"Content-Type: text/plain; charset=utf-8\n\n" + "ä".encode() * 400, "ä" * 200),
    (b"Content-Type: multipart/mixed; boundary=x\n\n--x\n\n\n--x\n\nsecond\n", "second"),
    (b"Content-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: message/rfc822\n\n"
     b"Subject: inner\n\nthe inner's", "the inner's"),
    (b"Content-Disposition: attachment\n\nno", "")])
def test_the_first_line(vm, letter, text):
    assert told(letter)[3] == text
    assert in_vm(vm, letter)[3] == text
    assert told(letter)[1] == ""


def test_a_text_is_looked_for_so_far_and_no_further():
    """Behind a style sheet as long as office programs write them; not behind any."""
    page = b"Content-Type: text/html\n\n<style>" + b"a{b:c}\n" * 8000 + b"%s</style><p>text"
    assert told(page % b"")[3] == "text"
    assert told(page % (b"a{b:c}\n" * 3000))[3] == ""


def test_attachments_are_bounded():
    part = b"--x\nContent-Type: a/b\n\n1\n"
    found = told(b"Content-Type: multipart/mixed; boundary=x\n\n" + part * 20)
    assert (len(found[4]), found[5]) == (16, 4)


def test_what_attachments_call_themselves_is_bounded():
    """Else sixteen long names are 24 KB of a board's heap, in the hands of a stranger."""
    part = b"--x\nContent-Type: %s/x; name=%s\n\nQQ\n" % (b"\xe4" * 600, b"n" * 800)
    letter = b"Content-Type: multipart/mixed; boundary=x\n\n" + part * 16 + b"--x--\n"
    attachments = told(letter)[4]
    assert len(attachments) == 16
    assert attachments[0][0] == "n" * 200
    assert sum(len((name + kind).encode()) for name, kind, _ in attachments) <= 16 * 800


def test_who_and_when_of_cpython_s_samples(vm):
    compared = 0
    for path in samples():
        octets = path.read_bytes()
        found = told(octets)
        assert in_vm(vm, octets) == found, path
        message = email.message_from_bytes(octets, policy=email.policy.default)
        try:
            date, sender, subject = message["date"], message["from"], message["subject"]
        except (IndexError, AttributeError):
            continue  # CPython's own parser raises for some
        if subject is not None and "\ufffd" not in subject:
            assert found[1].split() == str(subject).split(), path
            compared += 1
        if date is not None and date.datetime:
            assert found[2][:6] == date.datetime.timetuple()[:6], path
            compared += 1
        if sender is not None and sender.addresses and sender.addresses[0].domain:
            assert found[0][1] == sender.addresses[0].addr_spec, path
            compared += 1
    assert compared > 60
