"""Attachments streamed out, against CPython's email, under CPython and in the VM."""

import email
import email.policy
import io

import pytest
from hypothesis import HealthCheck, given, settings

from host_tools import firmware_modules  # noqa: F401  makes picopost importable
from tests.mime.messages import message
from tests.mime.test_oracle import SAME_BOUNDARY, samples
from tests.mime.test_summary import LETTER, told
from tests.mime.vm_attachments import read

from picopost.mime import attachments  # isort: skip


def attached(part):
    """[(content type, octets)] of what CPython finds attached to a message; the octets are None for
    a message/delivery-status and the like, which it takes apart."""
    kind = part.get_content_type()
    if part.is_multipart() and (part.get_content_maintype() == "multipart"
                                or kind == "message/rfc822"):
        return sum((attached(child) for child in part.get_payload()), [])
    if part.get_content_maintype() == "multipart" or not (
            part.get_filename() or part.get_content_disposition() == "attachment"
            or kind not in ("text/plain", "text/html")):
        return []
    return [(kind, None if part.is_multipart() else part.get_payload(decode=True))]


def test_all_of_a_letter(vm):
    expected = [(1, "2", "Zähler.pdf", "application/pdf", b"ABCDE"),
                (2, "3", "log.txt", "text/plain", b"a log"), (3, "4", "", "image/png", b"A")]
    for room in (128, 4096):
        assert read(LETTER, 512, room) == expected
        assert vm.eval(f"read({LETTER!r}, 512, {room})") == expected


def test_who_does_not_read_one_gets_the_next():
    found = attachments.Attachments(io.BytesIO(LETTER), bytearray(512))
    assert found.readinto(bytearray(128)) == 0
    assert found.next() and found.next() and found.name == "log.txt"
    assert found.readinto(bytearray(128)) == found.octets == 5
    assert found.readinto(bytearray(128)) == 0
    assert found.next() and not found.next() and not found.next()
    assert found.readinto(bytearray(128)) == 0


def test_a_file_longer_than_any_buffer():
    content = bytes(range(256)) * 400
    letter = email.message.EmailMessage(policy=email.policy.SMTP)
    letter.set_content("see there")
    letter.add_attachment(content, "image", "jpeg", filename="../../etc/passwd")
    (_, *rest), = read(letter.as_bytes(), 512, 128)
    # What is unwise in a name is for who saves it.
    assert rest == ["2", "../../etc/passwd", "image/jpeg", content]


def test_to_look_for_the_next_one_is_done_in_steps():
    """A letter of any size is passed over one buffer at a time."""
    class File(io.BytesIO):
        reads = 0

        def readinto(self, target):
            self.reads += 1
            return super().readinto(target)

    file = File(b"\n" + b"text\n" * 1000)
    found = attachments.Attachments(file, bytearray(512))
    steps = 1
    while found.step() is None:
        steps += 1
    assert steps == file.reads + 1 > 10


@pytest.mark.parametrize("path", samples(), ids=lambda path: path.name)
def test_cpython_s_samples(vm, path):
    octets = path.read_bytes()
    found = read(octets, 512, 128)
    assert vm.eval(f"read({octets!r}, 512, 128)") == found
    assert [(name, kind, len(data)) for _, _, name, kind, data in found][:16] == told(octets)[4]
    if path.name in SAME_BOUNDARY:
        return
    theirs = attached(email.message_from_bytes(octets, policy=email.policy.compat32))
    assert [kind for *_, kind, _ in found] == [kind for kind, _ in theirs]
    for (*_, data), (_, their_data) in zip(found, theirs, strict=True):
        assert their_data is None or data == their_data


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(message())
def test_any_message_any_buffer(sample):
    found = read(sample, 4096, 4096)
    assert read(sample, 512, 128) == found
    assert [(name, kind, len(data)) for _, _, name, kind, data in found][:16] == told(sample)[4]
