"""`python -m host_tools run` at the command line: what it prints, and how it ends."""

import json
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys

import pytest

from tests.e2e.conftest import BOARDS
from tests.support.appliance import ROOT, Appliance
from tests.support.ports import free_port_offset
from tests.support.wire import Pop3, send

RUN = [sys.executable, "-m", "host_tools", "run"]


def refused(*options: str) -> str:
    """The one line on stderr of a start that has to fail with status 1."""
    done = subprocess.run([*RUN, *options], cwd=ROOT, text=True, capture_output=True, timeout=60)
    assert done.returncode == 1 and done.stdout == ""
    [line] = done.stderr.splitlines()
    return line


@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("port", [25, 110])
def test_port_in_use(tmp_path, board, port):
    offset = free_port_offset()
    with socket.create_server(("127.0.0.1", offset + port)) as other:
        line = refused("--board", board, "--card", str(tmp_path / "card.img"),
                       "--port-offset", str(offset))
        assert str(offset + port) in line and "--port-offset" in line
        other.setblocking(False)
        with pytest.raises(BlockingIOError):
            other.accept()  # nobody was sent to the stranger


@pytest.mark.parametrize("options, words", [
    (["--board", "toaster"], ["toaster", "pico_w5500"]),
    (["--user", "girl"], ["NAME:PASSWORD"]),
    (["--user", "../etc:x"], ["../etc"]),
    (["--user", "girl:"], ["password"]),
    (["--user", "girl:a", "--user", "girl:b"], ["girl", "twice"]),
    ([option for n in range(17) for option in ("--user", f"u{n}:x")], ["more than 16"]),
    (["--set", "hostname=xyz.com"], ["hostname=xyz.com", "JSON"]),
    (["--heap", "lots"], ["lots", "96wK"]),
    (["--card", "/proc/none/card.img"], ["/proc/none/card.img"]),
])
def test_bad_options_are_one_line(tmp_path, options, words):
    if "--card" not in options:
        options = [*options, "--card", str(tmp_path / "card.img")]
    line = refused(*options, "--port-offset", str(free_port_offset()))
    assert all(word in line for word in words), line


@pytest.mark.parametrize("setting, words", [
    ('hostnam="x"', ["hostnam", "hostname"]),
    ("hostname=7", ["hostname must be"]),
    ("max_message_size=1", ["max_message_size must be", "65536"]),
    ('catch_all="nobody"', ["catch_all", "account", "nobody"]),
    ('default_mailbox="nobody"', ["default_mailbox", "account", "nobody"]),
    ('silence_alarm="nobody"', ["silence_alarm", "account", "nobody"]),
    ('passports=1', ["passports", "true or false"]),
    ('aliases={"root":["nobody"]}', ["aliases: root", "account", "nobody"]),
    ('aliases={"root":[]}', ["aliases must be"]),
    ('listeners={"25":{"require_aut":true}}', ["listeners must be", "require_auth"]),
    ('listeners={"110":{}}', ["listeners and pop3_listeners", "port"]),
    ('pop3_listeners={"110":{"require_auth":true}}', ["pop3_listeners must be", "starttls"]),
    ('pop3_listeners={"0110":{}}', ["pop3_listeners must be"]),
    ('require_tls="yes"', ["require_tls must be"]),
    ('clients={"192.168.1.300":{}}', ["clients must be"]),
    ('clients={"192.168.1.0/24":{"auth":"none"}}', ["clients must be", '"any"']),
    ('recipient_delimiter="ab"', ["recipient_delimiter must be"]),
])
def test_bad_settings_are_named(tmp_path, setting, words):
    done = subprocess.run([*RUN, "--card", str(tmp_path / "card.img"), "--set", setting,
                           "--port-offset", str(free_port_offset())],
                          cwd=ROOT, text=True, capture_output=True, timeout=60)
    assert done.returncode == 1
    assert all(word in done.stderr for word in words), done.stderr


def printed_by_run(card, use=lambda introduction: None, options=()) -> tuple[list[str], str]:
    """What `run` prints for a person until it serves, and after `use` has done what it does."""
    process = subprocess.Popen(
        [*RUN, "--card", str(card), "--port-offset", str(free_port_offset()), *options],
        cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        introduction = []
        for line in process.stdout:
            introduction.append(line)
            if line.startswith("Ctrl-C"):
                break
        use(introduction)
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, errors
    return introduction, rest


def test_what_it_prints_can_be_pasted(tmp_path):
    """The two commands of the introduction, run by a shell as they stand."""
    if not shutil.which("curl"):
        pytest.skip("install Debian's package curl")

    def paste(introduction):
        commands = [line.strip() for line in introduction if "curl" in line]
        assert len(commands) == 2, introduction
        for command in commands:
            done = subprocess.run(["sh", "-c", command], text=True, capture_output=True,
                                  timeout=60)
            assert done.returncode == 0, done.stderr
        assert done.stdout.endswith("Subject: hello\n\nIt works.\n")
        assert shlex.split(commands[1])[-1].startswith("me:")

    _, rest = printed_by_run(tmp_path / "card.img", paste)
    assert re.search(r"^\d\d:\d\d:\d\d  accepted .*mailbox=me  octets=\d+", rest, re.M), rest
    assert re.search(r"^\d\d:\d\d:\d\d  fetched .*mailbox=me", rest, re.M), rest


def test_the_password_of_a_first_start_is_shown_once(tmp_path):
    card = tmp_path / "card.img"
    first = "".join(printed_by_run(card)[0])
    password = re.search(r"user  me   password  (\S+)", first)[1]
    assert f"password={password}" in first and f"--user me:{password}" in first
    introduction, rest = printed_by_run(card)
    again = "".join(introduction)
    assert password not in again + rest and "first_start" not in again
    assert again.rstrip().splitlines()[-2].endswith(" --user me")  # curl asks
    hint = re.search(r"python -m host_tools (user passwd me .*)\)", again)[1]
    done = subprocess.run([*RUN[:-1], *shlex.split(hint)], cwd=ROOT, text=True, input="new one\n",
                          capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    with Appliance(card, users={}) as appliance:
        Pop3(appliance.pop3, "me", "new one").quit()


def test_a_password_that_a_card_has_changed_is_not_shown(tmp_path):
    card = tmp_path / "card.img"
    printed_by_run(card)
    subprocess.run([*RUN[:-1], "user", "passwd", "girl", "--card", str(card)], cwd=ROOT, text=True,
                   input="changed\n", check=True, timeout=60, capture_output=True)
    introduction, _ = printed_by_run(card, options=["--user", "girl:pw", "--user", "boy:pa55"])
    users = [line.split()[1:3] for line in introduction if line.startswith("  user")]
    assert users == [["girl", "(another"], ["boy", "password"]]


@pytest.mark.parametrize("board", BOARDS)
def test_first_start(tmp_path, board):
    """No account: the firmware makes one, and its password is nowhere but in that one event."""
    card = tmp_path / "card.img"
    with Appliance(card, board, users={}) as appliance:
        made = appliance.events[0]
        assert made["event"] == "first_start" and made["user"] == "me"
        reader = Pop3(appliance.pop3, "me", made["password"])
        reader.quit()
        with pytest.raises(AssertionError):
            Pop3(appliance.pop3, "me", made["password"].upper())
        appliance.wait_for("refused")
    assert made["password"] not in str(appliance.events[1:])
    kept = (tmp_path / "card.flash" / "accounts.txt").read_text()
    assert kept.startswith("me:400:") and made["password"] not in kept
    with Appliance(card, board, users={}) as appliance:
        assert appliance.events[0] is appliance.ready
        Pop3(appliance.pop3, "me", made["password"]).quit()
    assert "password=" not in str(appliance.events) and made["password"] not in str(
        appliance.events)
    assert (tmp_path / "card.flash" / "accounts.txt").read_text() == kept


def test_no_password_is_shown_in_vain(tmp_path):
    """Settings that do not fit the account are refused before there is one."""
    done = subprocess.run([*RUN, "--card", str(tmp_path / "card.img"), "--set",
                           'catch_all="nobody"', "--port-offset", str(free_port_offset())],
                          cwd=ROOT, text=True, capture_output=True, timeout=60)
    assert done.returncode == 1 and "first_start" not in done.stdout + done.stderr
    assert not (tmp_path / "card.flash" / "accounts.txt").exists()


def test_json_events(tmp_path):
    """The first line is `ready` with the outside ports; the numbers are numbers."""
    with Appliance(tmp_path / "card.img", users={"girl": "s3cret word", "007": "x"}) as appliance:
        assert appliance.events[0] is appliance.ready
        assert appliance.ready["board"] == "pico_w"
        assert appliance.ready["ports"] == {"smtp": appliance.offset + 25,
                                            "smtps": appliance.offset + 465,
                                            "submission": appliance.offset + 587,
                                            "pop3": appliance.offset + 110,
                                            "pop3s": appliance.offset + 995}
        send(appliance.smtp, b"Subject: x\r\n", sender=b"", to=(b"007@xyz.com",))
        event = appliance.wait_for("accepted")
        assert event["mailbox"] == "007" and isinstance(event["octets"], int)
        assert event["sender"] == "" and event["peer"] == "127.0.0.1"
        assert send(appliance.smtp, b"", to=(b'"a b"@xyz.com',)).startswith(b"550")
        event = appliance.wait_for("refused")
        assert event["why"] == ('hung up after RCPT TO:<"a b"@xyz.com> was refused: '
                                "No such mailbox here")
        assert "default_mailbox" in event["advice"]
        assert json.dumps(event)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stop_and_start_again(tmp_path, number):
    """Mail and unique-ids outlive a restart."""
    card = tmp_path / "card.img"
    with Appliance(card, "pico_w5500") as appliance:
        for size in (10, 10_000):
            send(appliance.smtp, b"x" * 60 + b"\r\n" + b"y" * size + b"\r\n")
        reader = Pop3(appliance.pop3, "girl", appliance.users["girl"])
        before = [(reader.text(n), uid) for n, uid in reader.uids().items()]
        reader.quit()
        appliance.process.send_signal(number)
        assert appliance.process.wait(60) == 0
    with Appliance(card, "pico_w") as appliance:
        reader = Pop3(appliance.pop3, "girl", appliance.users["girl"])
        assert [(reader.text(n), uid) for n, uid in reader.uids().items()] == before
        reader.quit()
        send(appliance.smtp, b"z\r\n")
        reader = Pop3(appliance.pop3, "girl", appliance.users["girl"])
        assert len(set(reader.uids().values())) == 3
        reader.quit()


def test_passwords_are_not_printed(tmp_path):
    with Appliance(tmp_path / "card.img") as appliance:
        Pop3(appliance.pop3, "girl", "s3cret word").quit()
        with pytest.raises(AssertionError):
            Pop3(appliance.pop3, "girl", "another secret")
        appliance.wait_for("refused", service="pop3")
    assert "secret" not in str(appliance.events) and "s3cret" not in str(appliance.events)
    assert "s3cret" not in (tmp_path / "card.flash" / "accounts.txt").read_text()
