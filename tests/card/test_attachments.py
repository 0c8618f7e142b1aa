"""`card attachments`: what is attached, listed and saved from cards that the firmware wrote."""

import email.message
import email.policy

import pytest

from host_tools.card.attachments import file_name
from tests.card.conftest import run_card

PDF = bytes(range(256)) * 700 + b"\nFrom home\n"


def letter():
    """With a PDF in base64, a text that is to be unquoted, and a name that is none to use."""
    message = email.message.EmailMessage(policy=email.policy.SMTP)
    message["Subject"] = "scan"
    message.set_content("see there")
    message.add_attachment(PDF, "application", "pdf", filename="Zähler März.pdf")
    message.add_attachment("From home\n>From there\n", filename="../../.bashrc", cte="7bit")
    message.add_attachment(b"", "image", "png")
    return message.as_bytes()


@pytest.fixture
def with_letter(card):
    with card.firmware("girl") as vm:
        card.deliver(vm, "girl", letter())
    return card


def test_list_and_save(with_letter, tmp_path):
    unique_id = with_letter.letters["girl"][-1][0]
    done = run_card("attachments", with_letter.path, "girl")
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.split(None, 4) for line in done.stdout.splitlines()]
    assert lines == [
        [unique_id, "1", str(len(PDF)), "application/pdf", "Zähler März.pdf"],
        [unique_id, "2", "22", "text/plain", "../../.bashrc"],
        [unique_id, "3", "0", "image/png"]]
    folder = tmp_path / "out"
    done = run_card("attachments", with_letter.path, "girl", "--message", unique_id, "--to", folder)
    assert done.returncode == 0
    uid = unique_id.split(".")[1]
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    text = files.pop(f"{uid}-2-bashrc")
    assert text.split() == [b"From", b"home", b">From", b"there"]
    assert files == {f"{uid}-1-Zähler März.pdf": PDF, f"{uid}-3-attachment.png": b""}
    assert str(folder / f"{uid}-3-attachment.png") in done.stdout
    assert [path.name for path in tmp_path.iterdir() if path.name != "card.img"] == ["out"]


def test_what_cannot_be_done_is_said(with_letter, tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    done = run_card("attachments", with_letter.path, "girl", "--to", folder)
    assert done.returncode == 1 and f"{folder}: File exists" in done.stderr
    done = run_card("attachments", with_letter.path, "girl", "--message", "1.2")
    assert done.returncode == 1 and "no message 1.2 in girl" in done.stderr
    done = run_card("attachments", with_letter.path, "nobody")
    assert done.returncode == 1 and "no mailbox nobody" in done.stderr
    with with_letter.firmware() as vm:
        vm.exec("import os\nfor n in os.listdir('/sd/mail/girl/00'):\n"
                "    os.remove('/sd/mail/girl/00/' + n)")
    done = run_card("attachments", with_letter.path, "girl")
    assert done.returncode == 1 and "its segment is missing" in done.stderr


def test_a_damaged_letter_is_told_of(with_letter, tmp_path):
    """What is attached to it is saved, as far as it goes; what is no letter at all is not."""
    image = with_letter.path.read_bytes()
    with_letter.patch(image.index(b"see there"), b"see\nthere")
    done = run_card("attachments", with_letter.path, "girl", "--to", tmp_path / "out")
    assert done.returncode == 1 and done.stderr.startswith("damaged: ")
    assert " octets on the wire, the record says " in done.stderr
    assert len(list((tmp_path / "out").iterdir())) == 3
    unique_id = with_letter.letters["girl"][-1][0].encode()
    begin = image.rindex(b"From ", 0, image.index(b" id " + unique_id))
    with_letter.patch(begin, b"Mail ")
    done = run_card("attachments", with_letter.path, "girl")
    assert (done.returncode, done.stdout) == (1, "")
    assert "does not begin with a From_ line" in done.stderr


def test_what_cannot_be_saved_whole_leaves_nothing(with_letter, tmp_path):
    done = run_card("attachments", with_letter.path, "girl", "--to", tmp_path / "out",
                    largest_file=100_000)
    assert done.returncode == 1 and done.stdout == ""
    assert "-1-Zähler März.pdf: File too large" in done.stderr
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("name, kind, saved", [
    ("scan.pdf", "a/b", "scan.pdf"), ("", "application/pdf", "attachment.pdf"),
    ("C:\\temp\\x.doc", "a/b", "x.doc"), ("/etc/passwd", "a/b", "passwd"),
    ("..", "text/plain", "attachment.txt"), ("a\r\n\x1b[2Jb", "a/b", "a???[2Jb".replace("?", "_")),
    ("CON: <x>|?.txt", "a/b", "CON_ _x___.txt"), ("a/", "a/b", "attachment"),
    ("ä" * 300 + ".jpeg", "a/b", "ä" * 97 + ".jpeg"),
    ("x" * 300, "a/b", "x" * 200)])
def test_names_for_files(name, kind, saved):
    assert file_name(name, kind) == saved
