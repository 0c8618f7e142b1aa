"""Real mail programs, as their users start them but without a person at a terminal.

Each program runs with an empty home directory and an environment of a few variables, so it reads
nobody's configuration and writes nowhere else. All of them talk to 127.0.0.1.
"""

from __future__ import annotations

import fcntl
import os
import poplib
import pty
import re
import select
import shutil
import smtplib
import struct
import subprocess
import termios
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import NoReturn

import pytest

from tests.e2e.letters import SENDER
from tests.support.appliance import Appliance

HOST = "127.0.0.1"
# Seconds that one program may take: generous because it is never spent.
PATIENCE = 60


def need(program: str, package: str) -> str:
    """Path of `program`. Without it the test is skipped, or fails where all have to be there."""
    # Where Debian keeps what is for administrators, and no user has it in PATH.
    path = shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin")
    if path:
        return path
    missing(program, package)


def missing(what: str, package: str) -> NoReturn:
    """Skip the test, or fail it where all programs have to be there."""
    advice = f"install Debian's package {package}"
    if os.environ.get("PICOPOST_REQUIRE_CLIENTS"):
        pytest.fail(f"{what} is missing: {advice}")
    pytest.skip(advice)


def environment(home: Path) -> dict[str, str]:
    """All that a program gets to see of this machine's settings."""
    return {"HOME": str(home), "TMPDIR": str(home), "PATH": os.environ["PATH"],
            "LC_ALL": "C.UTF-8", "TERM": "vt100"}


def run(command: list[str], home: Path, stdin: bytes = b"", status: int = 0) -> bytes:
    """What the program printed; AssertionError unless it ends with `status`."""
    return outcome(command, home, stdin, status).stdout


def outcome(command: list[str], home: Path, stdin: bytes = b"",
            status: int | None = 0) -> subprocess.CompletedProcess:
    """What the program printed and complained of; AssertionError unless it ends with `status`.

    None: it may end as it likes.
    """
    done = subprocess.run(command, cwd=home, env=environment(home), input=stdin,
                          capture_output=True, timeout=PATIENCE)
    assert status in (None, done.returncode), (command, done.returncode, done.stdout[-2000:],
                                               done.stderr[-2000:])
    return done


def run_in_terminal(command: list[str], home: Path, question: bytes = b"",
                    answer: bytes = b"") -> bytes:
    """Run a program that insists on a terminal; AssertionError unless it ends with 0. What it
    showed, with the terminal's codes. When it shows `question` it gets `answer`, once.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 132, 0, 0))
    process = subprocess.Popen(command, cwd=home, env=environment(home), stdin=theirs,
                               stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    shown = b""
    deadline = time.monotonic() + PATIENCE
    try:
        while select.select([ours], [], [], max(0.0, deadline - time.monotonic()))[0]:
            try:
                piece = os.read(ours, 4096)
            except OSError:  # EIO: the other end is closed
                piece = b""
            if not piece:
                status = process.wait(max(1.0, deadline - time.monotonic()))
                assert status == 0, (command, status, shown[-2000:])
                return shown
            shown += piece
            if question and question in shown:
                os.write(ours, answer)
                question = b""
        raise AssertionError(f"{command} did not end; it shows {shown[-2000:]!r}")
    finally:
        os.close(ours)
        if process.poll() is None:
            process.kill()
            process.wait()


def secret_file(path: Path, text: str) -> Path:
    """A configuration file that only its owner can read, as programs with passwords demand."""
    path.touch(mode=0o600)
    path.write_text(text)
    return path


# --- senders: (appliance, home directory, recipient's address, message) ------------------------

def _send_with_swaks(appliance: Appliance, home: Path, recipient: str, message: bytes) -> None:
    program = need("swaks", "swaks")
    letter_file = home / "letter"
    letter_file.write_bytes(message + b".\r\n")  # it takes one such line for the end's
    run([program, "--server", HOST, "--port", str(appliance.smtp), "--helo", "abc.com",
         "--from", SENDER, "--to", recipient, "--data", f"@{letter_file}", "--suppress-data"],
        home)


def _send_with_curl(appliance: Appliance, home: Path, recipient: str, message: bytes) -> None:
    letter_file = home / "letter"
    letter_file.write_bytes(message)
    run([*curl(), f"smtp://{HOST}:{appliance.smtp}/abc.com", "--mail-from", SENDER,
         "--mail-rcpt", recipient, "--upload-file", str(letter_file)], home)


def _send_with_smtplib(appliance: Appliance, home: Path, recipient: str, message: bytes) -> None:
    send(appliance, [recipient], message)


def _send_with_msmtp(appliance: Appliance, home: Path, recipient: str, message: bytes) -> None:
    program = need("msmtp", "msmtp")
    # It takes letters as the system's own programs write them, with LF.
    run([program, f"--host={HOST}", f"--port={appliance.smtp}", "--tls=off", "--auth=off",
         "--domain=abc.com", f"--from={SENDER}", "--", recipient],
        home, message.replace(b"\r\n", b"\n"))


SENDERS: dict[str, Callable[[Appliance, Path, str, bytes], None]] = {
    "swaks": _send_with_swaks,
    "curl": _send_with_curl,
    "smtplib": _send_with_smtplib,
    "msmtp": _send_with_msmtp,
}


def smtp(appliance: Appliance) -> smtplib.SMTP:
    """A connection to the SMTP port, greeted."""
    return smtplib.SMTP(HOST, appliance.smtp, local_hostname="abc.com", timeout=PATIENCE)


def send(appliance: Appliance, recipients: list[str], message: bytes,
         connect: Callable[[Appliance], smtplib.SMTP] = smtp) -> None:
    """One message by smtplib; smtplib.SMTPException or OSError if it was not taken by all."""
    with connect(appliance) as client:
        refused = client.sendmail(SENDER, recipients, message, ["BODY=8BITMIME"])
        assert not refused, refused


# --- fetchers -------------------------------------------------------------------------------

def curl() -> list[str]:
    """The beginning of a curl command."""
    return [need("curl", "curl"), "--disable", "--silent", "--show-error",
            "--max-time", str(PATIENCE)]


def pop3(appliance: Appliance) -> poplib.POP3:
    """A connection to the POP3 port, greeted."""
    return poplib.POP3(HOST, appliance.pop3, timeout=PATIENCE)


def log_in(appliance: Appliance, user: str,
           connect: Callable[[Appliance], poplib.POP3] = pop3) -> poplib.POP3:
    """A POP3 session of `user` in the transaction state; for the caller to quit and close."""
    client = connect(appliance)
    try:
        client.user(user)
        client.pass_(appliance.users[user])
    except BaseException:
        client.close()
        raise
    return client


def retrieve(client: poplib.POP3, number: int) -> bytes:
    """A message as it came, CRLF line ends."""
    return b"".join(line + b"\r\n" for line in client.retr(number)[1])


def fetch_all(appliance: Appliance, user: str) -> list[bytes]:
    """All messages of `user`, in order; they stay."""
    with closing(log_in(appliance, user)) as client:
        messages = [retrieve(client, number + 1) for number in range(client.stat()[0])]
        client.quit()
    return messages


def copy_with_mutt(folder: str, target: Path, home: Path, settings: str = "",
                   delete: bool = False) -> bytes:
    """Open `folder` (a file or POP URL) in mutt and append every message to the mbox `target`.

    `settings` are more lines for its configuration; `delete`: there they are deleted then. What it
    showed. It ends with 0 whatever happened; look at the target. A certificate that it asks about
    is rejected.
    """
    program = need("mutt", "mutt")
    config = secret_file(home / "muttrc", (
        "set confirmcreate=no confirmappend=no copy=no move=no quit=yes sleep_time=0\n"
        "set delete=yes pop_reconnect=yes\n"
        f"set mbox_type=mbox folder={home} realname=Girl from=girl@xyz.com hostname=xyz.com\n"
        + settings))
    # The prompt for the mailbox comes with a proposal in it, for <kill-line> to remove.
    keys = f"<tag-pattern>~A<enter><tag-prefix><copy-message><kill-line>{target}<enter>"
    keys += "<tag-prefix><delete-message><quit>" if delete else "<exit>"
    return run_in_terminal([program, "-n", *([] if delete else ["-R"]), "-F", str(config), "-e",
                            f'push "{keys}"', "-f", folder], home, b"(r)eject", b"r")


# --- the card -------------------------------------------------------------------------------

def copy_from_card(card: Path, folder: str, home: Path) -> list[Path]:
    """Copies in `home` of all segments below `folder` ("::path" of mtools), made by mtools."""
    mdir, mcopy = need("mdir", "mtools"), need("mcopy", "mtools")
    with card.open("rb") as image:
        first_partition = image.read(512)[446:462]  # of a master boot record
    volume = f"{card}@@{int.from_bytes(first_partition[8:12], 'little') * 512}"
    listing = run([mdir, "-/", "-b", "-i", volume, folder], home).decode()
    copies = []
    for name in sorted(re.findall(r"^::.*\.MBX$", listing, re.MULTILINE)):
        copy = home / name.rpartition("/")[2]
        run([mcopy, "-i", volume, name, str(copy)], home)
        copies.append(copy)
    return copies
