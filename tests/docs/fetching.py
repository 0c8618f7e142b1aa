"""Mail programs with the files of firmware/docs/mail_programs.md."""

from __future__ import annotations

import os
import poplib
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tests.docs import devices, pages
from tests.docs.devices import NO_TLS, STARTTLS, TLS
from tests.e2e import clients
from tests.support.appliance import Appliance

PAGE = pages.read()["mail_programs"]
_MBOX = "picopost.mbox"
_CERTIFICATE = "The certificate as a file"


# --- the tables -----------------------------------------------------------------------------

def typed() -> dict[str, str]:
    """What the first table says to type, by kind."""
    head, *rows = PAGE.sections[0].tables[0]
    assert head == ["", "called in the program", "type this"]
    return {kind: value for kind, _, value in rows}


def ways() -> list[tuple[str, int]]:
    """(kind of TLS, port of the board) of each row of the second."""
    head, *rows = PAGE.sections[0].tables[1]
    assert head == ["", "port", "called in the program"]
    return [(tls, int(port)) for tls, port, _ in rows]


def fetch_as_typed(appliance: Appliance, tls: str, port: int) -> list[bytes]:
    """The subjects, as a program of that way."""
    told = {kind: pages.here(value, appliance) for kind, value in typed().items()}
    assert told["kind"] == "POP3" and tls in (NO_TLS, STARTTLS, TLS)
    context = devices.any_certificate()
    where = told["server"], appliance.ports[port]
    client = (poplib.POP3_SSL(*where, context=context, timeout=clients.PATIENCE) if tls == TLS
              else poplib.POP3(*where, timeout=clients.PATIENCE))
    with closing(client):
        if tls == STARTTLS:
            client.stls(context)
        client.user(told["user"])
        client.pass_(told["password"])
        lines = [line for number in range(client.stat()[0]) for line in client.retr(number + 1)[1]]
        client.quit()
    return [line for line in lines if line.startswith(b"Subject: ")]


# --- the programs ---------------------------------------------------------------------------

class Home:
    """alice's folder, with the certificate fetched as the page says. getmail does not deliver
    as root: then all of it is nobody's.
    """

    def __init__(self, folder: Path, appliance: Appliance):
        self.folder = folder
        self.appliance = appliance
        self._more = {}
        if os.geteuid() == 0:
            self._more = {"user": 65534, "group": 65534, "extra_groups": ()}

    def here(self, text: str) -> str:
        return pages.here(text.replace("/home/alice", str(self.folder)), self.appliance)

    def place(self, section: str, name: str, text: str = "") -> Path:
        """A file of the page, and the mailbox beside it."""
        path = self.folder / name.removeprefix("~/")
        path.parent.mkdir(exist_ok=True)
        clients.secret_file(path, self.here(text or PAGE.section(section)[name]))
        (self.folder / _MBOX).touch()
        return path

    def run(self, command: list[str]) -> bytes:
        """What it prints; AssertionError unless it ends with 0."""
        if self._more:
            for path in (self.folder, *self.folder.rglob("*")):
                shutil.chown(path, 65534, 65534)
        done = subprocess.run(command, cwd=self.folder, env=clients.environment(self.folder),
                              stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=clients.PATIENCE, **self._more)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout


@contextmanager
def _home(appliance: Appliance, certificate: bool = True) -> Iterator[Home]:
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder), appliance)
        if certificate:
            fetch_certificate(home)
        yield home


def fetch_certificate(home: Home) -> None:
    """The page's commands, the second of which shows the fingerprint that the first one is told
    to be compared with.
    """
    clients.need("openssl", "openssl")
    shown = home.run(["sh", "-e", "-c", home.here(PAGE.section(_CERTIFICATE)["sh"])])
    assert pages.here("FINGERPRINT", home.appliance).encode() in shown


def _fetched(home: Home) -> bytes:
    return (home.folder / _MBOX).read_bytes()


def certificate(appliance: Appliance) -> bytes:
    """The page's fetchmail accepts it, which looks for the name too."""
    return fetchmail(appliance)


def mpop(appliance: Appliance) -> bytes:
    with _home(appliance, certificate=False) as home:
        home.place("mpop", "~/.mpoprc")
        home.run([clients.need("mpop", "mpop")])
        return _fetched(home)


def fetchmail(appliance: Appliance) -> bytes:
    """In procmail's place a program that appends to a file."""
    with _home(appliance) as home:
        text = PAGE.section("fetchmail")["~/.fetchmailrc"].replace(
            "/usr/bin/procmail", "cat >> /home/alice/" + _MBOX)
        home.place("fetchmail", "~/.fetchmailrc", text)
        home.run([clients.need("fetchmail", "fetchmail"), "--nodetach", "--nosyslog"])
        return _fetched(home)


def getmail(appliance: Appliance) -> bytes:
    with _home(appliance) as home:
        home.place("getmail", "~/.getmail/getmailrc")
        home.run([clients.need("getmail", "getmail6")])
        return _fetched(home)


def mutt(appliance: Appliance) -> bytes:
    """The page's key. It asks whether to make its folder where there is none."""
    with _home(appliance) as home:
        (home.folder / "Mail").mkdir()
        config = home.place("mutt", "~/.muttrc")
        clients.run_in_terminal(
            [clients.need("mutt", "mutt"), "-n", "-F", str(config), "-e",
             'push "G<quit>y"'], home.folder)
        return _fetched(home)


# By section and name of the block: what brings alice's letters with it, as it stores them.
FILES: dict[tuple[str, str], Callable[[Appliance], bytes]] = {
    (_CERTIFICATE, "sh"): certificate,
    ("mpop", "~/.mpoprc"): mpop,
    ("fetchmail", "~/.fetchmailrc"): fetchmail,
    ("getmail", "~/.getmail/getmailrc"): getmail,
    ("mutt", "~/.muttrc"): mutt,
}
