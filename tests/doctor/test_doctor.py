"""`doctor` as it is typed, beside an emulated board."""

from __future__ import annotations

import json
import poplib
import smtplib
import ssl
import xml.etree.ElementTree as ElementTree

import pytest

from host_tools.doctor.finding import NOTE, OK, PARTS, PROBLEM
from tests.care.boards import Board, tool
from tests.deploy.usb_board import UsbBoard
from tests.support.wire import send

pytestmark = pytest.mark.filterwarnings("ignore:SD")

IN_IMAGE = ("--in-place",)


def findings(*words: str) -> tuple[int, list[dict]]:
    """(exit status, what it finds)."""
    done = tool("doctor", "--json", *words)
    assert not done.stderr
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def of(found: list[dict], part: str, level: str) -> list[str]:
    return [each["text"] for each in found if (each["part"], each["level"]) == (part, level)]


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    folder = tmp_path_factory.mktemp("doctor")
    with UsbBoard(folder, more=IN_IMAGE) as running:
        running.deploy(settings=["passports=true"])
        running.wait_ready()
        yield running


def at(board: UsbBoard) -> tuple[str, ...]:
    return "--usb", str(board.usb), "--reach", f"127.0.0.1:{board.offset}"


def test_a_board_that_is_well(board):
    status, found = findings(*at(board))
    assert status == 0 and not [each for each in found if each["level"] == PROBLEM], found
    for part in ("board", "firmware", "card", "network", "time", "TLS", "accounts", "services"):
        assert of(found, part, OK), part
    assert [PARTS.index(each["part"]) for each in found] == sorted(
        PARTS.index(each["part"]) for each in found)
    [card] = of(found, "card", OK)
    assert "KB/s, all CRCs right" in card
    assert of(found, "TLS", OK)[0].endswith(", as the board says")
    assert all(each["advice"] for each in found if each["level"] == NOTE)
    assert "passwords may cross the network in the clear" in " ".join(of(found, "TLS", NOTE))


def test_what_it_has_learnt_of_a_device(board):
    """And what to change on it."""
    with smtplib.SMTP("127.0.0.1", board.smtp, local_hostname="cam-3") as client:
        with pytest.raises(smtplib.SMTPAuthenticationError):
            client.login("cam", "secret")
    board.wait_for("refused")
    assert send(board.smtp, b"Subject: x\r\n\r\nx\r\n").startswith(b"250")
    _, found = findings(*at(board))
    [camera] = [each for each in found if each["part"] == "devices" and "cam-3" in each["text"]
                and "letter" in each["text"]]
    assert camera["level"] == NOTE and "account's name and password" in camera["advice"]
    assert "no letter so far" in camera["text"] and "last refused: " in camera["text"]
    assert any("1 letter, " in text for text in of(found, "devices", OK)), found
    assert not [each for each in found if "HELO doctor" in each["text"]]


def test_it_goes_on_meanwhile(board):
    before = len(board.events)
    findings(*at(board))
    assert not [event for event in board.events[before:] if event["event"] in ("ready", "stopped")]


def test_a_person_sees_a_table(board):
    done = tool("doctor", *at(board))
    assert done.returncode == 0 and done.stdout.endswith("no problems\n")
    assert "-> the setting `require_tls` forbids it" in done.stdout


def test_autoconfig_is_what_a_mail_program_can_use(board):
    done = tool("doctor", "--autoconfig", *at(board))
    provider = ElementTree.fromstring(done.stdout).find("emailProvider")
    assert provider.findtext("domain") == "xyz.com"
    incoming = provider.find("incomingServer")
    assert incoming.findtext("socketType") == "SSL"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    server = poplib.POP3_SSL(incoming.findtext("hostname"), int(incoming.findtext("port")),
                             context=context, timeout=60)
    server.user(incoming.findtext("username").replace("%EMAILLOCALPART%", "girl"))
    assert server.pass_(board.users["girl"]).startswith(b"+OK")
    server.quit()


def test_from_the_network_alone(board, tmp_path):
    """A board elsewhere: nobody asks what it says itself."""
    status, found = findings("--usb", str(tmp_path), "--reach", f"127.0.0.1:{board.offset}")
    assert status == 0 and len(of(found, "services", OK)) == 5
    assert "no board was found" in of(found, "board", NOTE)[0]


def test_no_board_at_all(tmp_path):
    status, found = findings("--usb", str(tmp_path))
    assert status == 1 and found[0]["level"] == PROBLEM and "--reach" in found[0]["advice"]


def test_a_name_that_there_is_not(tmp_path):
    """One finding, not five."""
    status, found = findings("--usb", str(tmp_path), "--reach", "no.such.name.invalid")
    assert status == 1
    assert of(found, "services", PROBLEM) == ["this computer finds no no.such.name.invalid"]


def test_what_it_cannot_be_told(tmp_path):
    for words, said in ((("--reach", "h:x"), "want HOST or HOST:OFFSET"),
                        (("--reach", "h:65000"), "want HOST or HOST:OFFSET"),
                        (("--port", str(tmp_path / "none")), "there is no port")):
        done = tool("doctor", *words)
        assert done.returncode == 1 and said in done.stderr + done.stdout


def test_a_bare_board(tmp_path):
    (tmp_path / "usb").mkdir()
    (tmp_path / "usb" / "flash.img").write_bytes(b"\xff" * (300 << 10))
    with UsbBoard(tmp_path) as bare:
        bare.wait_for("console", text="MicroPython on an emulated board")
        status, found = findings("--usb", str(bare.usb))
    assert status == 1 and "at its prompt" in of(found, "board", OK)[0]
    [finding] = [each for each in found if each["level"] == PROBLEM]
    assert (finding["text"], finding["advice"]) == ("picopost is not on it", "`make deploy`")


def test_a_board_that_waits_for_an_image(tmp_path):
    with Board(tmp_path) as new:
        new.waits()
        status, found = findings(*new.at)
    assert status == 1 and found[0]["advice"] == "`make flash`", found


def test_a_board_in_safe_mode(tmp_path):
    with UsbBoard(tmp_path, more=IN_IMAGE) as board:
        board.deploy()
        board.wait_ready()
        with board.prompt() as prompt:
            prompt.put("settings.json", b'{"hostname": "a b"}', "settings.new")
        board.wait_for("safe_mode")
        status, found = findings("--usb", str(board.usb))
        assert status == 1
        assert any("settings.json: hostname must be a host name" in text
                   for text in of(found, "firmware", PROBLEM)), found
        with board.prompt() as prompt:
            prompt.put("settings.json", b"no json", "settings.new")
        board.wait_for("safe_mode")
        status, found = findings("--usb", str(board.usb))
        assert status == 1 and "settings.json is not JSON" in " ".join(
            of(found, "firmware", PROBLEM))
        board.kill()  # stopped it would end with the words of its safe mode
