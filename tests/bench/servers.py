"""The servers that are compared, each in a folder of its own, on 127.0.0.1.

A server is a context manager with `name`, `smtp` and `pop3` (ports or None), `pid` (the process
whose family it is) and `stored(expected)`, which counts what it keeps and waits for what is under
way. Unavailable, with the reason as its text, says that a server cannot run here.
"""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from host_tools import accounts
from tests.bench.processes import family
from tests.support.appliance import ROOT
from tests.support.ports import free_port_offset
from tests.support.running import Running
from tests.support.wire import Pop3

FILE_CARD = Path(__file__).with_name("file_card.py")
_RIVALS = Path(__file__).with_name("rivals")
_PATIENCE = 60.0  # s
_NOBODY = 65534  # whose mailboxes the rivals' are
MAX_SIZE = 200 << 20
DOMAIN = "xyz.com"
USER, PASSWORD = "girl", "pw"


class Unavailable(Exception):
    """This server is not here; the text says why."""


def free_port() -> int:
    return free_port_offset((0,))


def wait_for_port(port: int, alive) -> None:
    """Until somebody listens there. Raises AssertionError when `alive()` ends before."""
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        assert alive(), f"the server for port {port} ended"
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.02)
    raise AssertionError(f"nobody listens at port {port}")


class Mbox:
    """Counts the messages of an mbox file that grows."""

    def __init__(self, path: Path):
        self.path = path
        self._at = 0
        self._tail = b"\n"
        self._count = 0

    def count(self) -> int:
        """How many From_ lines are in it by now."""
        if self.path.exists():
            with open(self.path, "rb") as file:
                file.seek(self._at)
                while chunk := file.read(1 << 20):
                    self._at += len(chunk)
                    text = self._tail + chunk
                    self._count += text.count(b"\nFrom ")
                    self._tail = text[-5:]
        return self._count


class Picopost:
    """The firmware in the VM with a Pico W's heap, its card a file and its sockets the VM's.

    With `chips` the whole board instead: W5500 and SD card down to their registers.
    """

    pop3 = None

    def __init__(self, folder: Path, *, durable: bool = True, chips: bool = False,
                 users: tuple[str, ...] = (USER,), main: Path = FILE_CARD,
                 settings: dict | None = None, name: str | None = None):
        folder.mkdir(parents=True)
        self.name = name or ("picopost, emulated chips" if chips else
                             "picopost" if durable else "picopost, no fsync")
        self.folder = folder
        self._durable, self._chips, self._users, self._main = durable, chips, users, main
        self._settings = {"sessions_per_address": 16, "max_message_size": MAX_SIZE,
                          **(settings or {})}

    def __enter__(self) -> Picopost:
        self.running = Running(self.folder, self._settings,
                               "pico_w5500" if self._chips else "pico_w",
                               None if self._chips else self._main)
        flash = self.folder / "flash"
        if not self._chips:
            (flash / "card_image").write_text(str(self.folder / "card.img"))
            if not self._durable:
                (flash / "no_fsync").touch()
        (flash / "accounts.txt").write_text(
            "".join(accounts.line(user, PASSWORD) + "\n" for user in self._users))
        self.smtp, self.pop3 = self.running.smtp, self.running.pop3
        self.running.__enter__()
        self.running.wait_for("ready")
        return self

    def __exit__(self, *error) -> None:
        self.running.__exit__(*error)
        while not self.running._events.empty():
            event = self.running._events.get()
            assert event["event"] not in ("fault", "card_fault", "console", "card_full"), event

    @property
    def pid(self) -> int:
        return self.running.board._process.pid

    def export(self, user: str, path: Path) -> Path:
        """The user's mail as one mbox file, read from the card while the firmware runs."""
        subprocess.run([sys.executable, "-m", "host_tools", "card", "export",
                        str(self.folder / "card.img"), user, "--to", str(path)],
                       check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
        return path

    def stored(self, expected: int) -> int:
        count = 0
        for user in self._users:
            reader = Pop3(self.pop3, user, PASSWORD)
            count += int(reader.command(b"STAT").split()[1])
            reader.quit()
        return count


class Process:
    """A server that is one process and its children; it ends with SIGTERM."""

    smtp = pop3 = None
    _process: subprocess.Popen

    @property
    def pid(self) -> int:
        return self._process.pid

    def _start(self, *command: str, **more) -> None:
        self._log = open(self.folder / "log", "wb")
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self._log,
                                         stderr=self._log, start_new_session=True, **more)
        try:
            for port in (self.smtp, self.pop3):
                if port:
                    wait_for_port(port, lambda: self._process.poll() is None)
        except AssertionError as error:
            self.__exit__()
            raise Unavailable(f"{error}: "
                              f"{(self.folder / 'log').read_text()[-500:]}") from error

    def __exit__(self, *_) -> None:
        members = family(self.pid)
        os.kill(self.pid, signal.SIGTERM)
        deadline = time.monotonic() + _PATIENCE
        while left := [pid for pid in members if self._lives(pid)]:
            if time.monotonic() > deadline:
                for pid in left:
                    os.kill(pid, signal.SIGKILL)
                raise AssertionError(f"{self.name} had to be killed")
            time.sleep(0.01)
        self._log.close()

    def _lives(self, pid: int) -> bool:
        if pid == self._process.pid:
            return self._process.poll() is None
        return Path(f"/proc/{pid}").exists()


class Aiosmtpd(Process):
    """aiosmtpd on CPython, each message appended to an mbox and synced."""

    name = "aiosmtpd"

    def __init__(self, folder: Path):
        import importlib.util

        if importlib.util.find_spec("aiosmtpd") is None:
            raise Unavailable("not installed: tests/requirements-bench.txt")
        folder.mkdir(parents=True)
        self.folder = folder
        self.smtp = free_port()
        self._mbox = Mbox(folder / "mbox")

    def __enter__(self) -> Aiosmtpd:
        self._start(sys.executable, str(_RIVALS / "aiosmtpd_mbox.py"), str(self.smtp),
                    str(self._mbox.path))
        return self

    def stored(self, expected: int) -> int:
        return self._mbox.count()


class Sink(Process):
    """Postfix's smtp-sink, which keeps nothing: how fast the clients are at most."""

    name = "(nothing kept)"

    def __init__(self, folder: Path):
        self._program = _program("smtp-sink", "postfix")
        folder.mkdir(parents=True)
        self.folder = folder
        self.smtp = free_port()

    def __enter__(self) -> Sink:
        user = ("-u", "nobody") if os.geteuid() == 0 else ()
        self._start(self._program, *user, f"127.0.0.1:{self.smtp}", "64")
        return self

    def stored(self, expected: int) -> int:
        return expected


class Postfix(Process):
    """Postfix; a 250 means that its queue has the message, synced. virtual(8) brings it into an
    mbox afterwards; `stored` waits for that."""

    name = "Postfix"

    def __init__(self, folder: Path):
        self._program = _program("postfix", "postfix")
        if os.geteuid() != 0:
            raise Unavailable("wants root")
        folder.mkdir(parents=True)
        self.folder = folder
        self.smtp = free_port()
        self._mbox = Mbox(folder / "mail" / USER)

    def __enter__(self) -> Postfix:
        config, data, mail = (self.folder / name for name in ("config", "data", "mail"))
        for path in (config, data, mail, self.folder / "queue"):
            path.mkdir()
        shutil.chown(data, "postfix")
        os.chown(mail, _NOBODY, _NOBODY)
        (config / "main.cf").write_text(_filled("postfix_main.cf", FOLDER=self.folder,
                                                NOBODY=_NOBODY, DOMAIN=DOMAIN, USER=USER))
        (config / "master.cf").write_text(_filled("postfix_master.cf", PORT=self.smtp))
        self._start(self._program, "-c", str(config), "start-fg")
        return self

    @property
    def pid(self) -> int:
        """Of its master: the script that starts it does not pass signals on."""
        path = self.folder / "queue" / "pid" / "master.pid"
        return int(path.read_text()) if path.exists() else self._process.pid

    def stored(self, expected: int) -> int:
        deadline = time.monotonic() + _PATIENCE
        while (count := self._mbox.count()) < expected and time.monotonic() < deadline:
            time.sleep(0.005)
        return count


class Dovecot(Process):
    """dovecot-pop3d over mbox files: {user: path} to be read, which are copied."""

    name = "Dovecot"

    def __init__(self, folder: Path, boxes: dict[str, Path]):
        self._program = _program("dovecot", "dovecot-pop3d")
        folder.mkdir(parents=True)
        self.folder = folder
        self._boxes = boxes
        self.pop3 = free_port()

    def __enter__(self) -> Dovecot:
        root = os.geteuid() == 0
        uid, gid = (_NOBODY, _NOBODY) if root else (os.geteuid(), os.getegid())
        for user, box in self._boxes.items():
            home = self.folder / "mail" / user
            home.mkdir(parents=True)
            shutil.copyfile(box, home / "inbox")
            for path in (home, home / "inbox"):
                os.chown(path, uid, gid)
        name = pwd.getpwuid(uid).pw_name
        path = self.folder / "dovecot.conf"
        path.write_text(_filled(
            "dovecot.conf", FOLDER=self.folder, PASSWORD=PASSWORD, PORT=self.pop3, UID=uid, GID=gid,
            INTERNAL="dovecot" if root else name, LOGIN="dovenull" if root else name,
            GROUP="dovecot" if root else grp.getgrgid(gid).gr_name))
        self._start(self._program, "-F", "-c", str(path))
        return self


def _filled(name: str, **values: object) -> str:
    """A rival's configuration with its @NAMES@ replaced."""
    text = (_RIVALS / name).read_text()
    for key, value in values.items():
        text = text.replace(f"@{key}@", str(value))
    return text


def _program(name: str, package: str) -> str:
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if path is None:
        raise Unavailable(f"not installed: Debian's {package}")
    return path
