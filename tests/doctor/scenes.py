"""Troubles, each made on an emulated board: what its console says of them."""

from __future__ import annotations

import contextlib
import os
import smtplib
import socket
import time
from pathlib import Path

from host_tools import accounts
from host_tools.emulator.card_image import CardImage
from host_tools.firmware_build import ROOT
from tests.net.test_mdns import IMPATIENT, Device, announcement
from tests.notices.servers import Web
from tests.passports.vm import open_vm
from tests.support.running import Running
from tests.support.vm import Vm
from tests.support.wire import send

_VM_MODULES = (ROOT / "tests" / "card", ROOT / "host_tools" / "card")
_IMPATIENT = """
from picopost import appliance, limits
limits.{} = 100
appliance.main()
"""
LETTER = b"Subject: s\r\n\r\nsmall\r\n"
ETHERNET = "pico_w5500"


def starts(folder: Path, event: str, settings: dict | None = None, board: str = "pico_w",
           before=None, after=None, main: str = "") -> list[dict]:
    """Start a board, `before(running)` and `after(running)` its start; its events until `event`."""
    path = folder / "start.py"
    if main:
        path.write_text(main)
    running = Running(folder, settings, board, path if main else None)
    if before:
        before(running)
    with running:
        if after:
            running.wait_for("ready")
            after(running)
        running.wait_for(event)
        if event == "safe_mode":
            running.ended()  # the board would be at its prompt
    return running.passed


def on_flash(name: str, content: bytes):
    """A file on the board's flash before it starts."""
    return lambda running: (running.board.flash / name).write_bytes(content)


def one_letter(running) -> None:
    with contextlib.suppress(OSError):  # as far as somebody is there
        send(running.smtp, LETTER)


@contextlib.contextmanager
def on_card(folder: Path):
    """The VM with the card's image mounted at /sd."""
    with Vm(heap_kib=1000, extra_path=_VM_MODULES) as vm:
        vm.exec(f"import os; from vm_card import *; start({str(folder / 'card.img')!r}, ())")
        yield vm
        vm.exec("stop()")


# --- it does not start

def three_failures(folder):
    return starts(folder, "safe_mode", before=on_flash("fault.txt", b"3\nTraceback: it broke\n"))


def spoilt_accounts(folder):
    return starts(folder, "safe_mode", before=on_flash("accounts.txt", b"girl:x\n"))


def account_that_is_not(folder):
    return starts(folder, "safe_mode", {"default_mailbox": "ghost"})


def spoilt_key(folder):
    return starts(folder, "safe_mode", before=on_flash("tls_cert.der", b"no certificate"))


def wrong_setting(folder):
    return starts(folder, "safe_mode", {"hostname": "a b"})


def flash_that_takes_nothing(folder):
    def spoil(running):
        on_flash("board.json", b"{")(running)
        (running.board.flash / "fault.txt.new").mkdir()
    return starts(folder, "flash_fault", before=spoil)


def unforeseen(folder):
    return starts(folder, "fault", after=one_letter, main="""
from picopost import appliance
from picopost.smtp import session
async def run(self):
    raise RuntimeError("nobody foresaw this")
session.Session.run = run
appliance.main()
""")


# --- the card

def no_card(folder):
    return starts(folder, "no_card", before=lambda running: running.board.sd_card.remove())


def card_without_file_system(folder):
    path = folder / "card.img"
    path.touch()
    os.truncate(path, 64 << 20)
    return starts(folder, "no_card")


def damaged_file_system(folder):
    """The store's journal, under each of the names that it may have, is no journal."""
    starts(folder, "ready")
    with open(folder / "card.img", "r+b") as card:
        head = card.read(16 << 20)
        at = head.index(b"PICOPOSTJNL")
        entry = head[at:at + 32]
        free = at
        for name in (b"PICOPOSTJN2", b"PICOPOSTJN3"):
            while head[free] and head[free] != 0xE5:
                free += 32
            card.seek(free)
            card.write(name + entry[11:])
            free += 32
        at = head.index(b"PJNL")
        while at >= 0:
            card.seek(at)
            card.write(bytes(4))
            at = head.find(b"PJNL", at + 1)
    return starts(folder, "no_card")


def no_memory_card(folder):
    def spoil(running):
        running.board.sd_card.faults.corrupt_response("ACMD41", mask=0x04, sticky=True)
    return starts(folder, "no_card", before=spoil)


def card_that_cannot_be_read(folder):
    return starts(folder, "no_card", before=lambda running: running.board.sd_card.faults
                  .corrupt_read(sticky=True))


def card_pulled(folder):
    return starts(folder, "card_lost", after=lambda running: running.board.sd_card.remove())


def write_protected(folder):
    def protect(running):
        running.board.sd_card.faults.write_protected = True
        one_letter(running)
    return starts(folder, "card_fault", after=protect)


def card_that_fails(folder):
    def spoil(running):
        running.board.sd_card.faults.reject_write(2, sticky=True)
        one_letter(running)
    return starts(folder, "card_fault", after=spoil)


def full_card(folder):
    CardImage.create(folder / "card.img", 4 << 20).close()
    chunk = b"".join(b"%078d\r\n" % number for number in range(4000))

    def fill(running):
        while send(running.smtp, chunk).startswith(b"250"):
            pass
        send(running.smtp, chunk * 8)  # of undeclared size: it begins, and runs into the end
    return starts(folder, "card_full", after=fill)


def card_full_of_other_things(folder, event="no_card", first=""):
    CardImage.create(folder / "card.img", 4 << 20).close()
    with on_card(folder) as vm:
        vm.exec(first or "os.rmdir('/sd/mail')")
        vm.exec("with open('/sd/FILLER.BIN', 'wb') as file:\n"
                " try:\n"
                "  while True: file.write(bytes(4096))\n"
                " except OSError: pass")
    return starts(folder, event)


def mailbox_without_room(folder):
    return card_full_of_other_things(folder, "mailbox_closed", "None")


def torn_write(folder):
    """The power is cut in the midst of a block that a new card gets with its first mailbox."""
    with contextlib.suppress(AssertionError), Running(folder) as running:  # as it ends badly
        running.board.sd_card.faults.power_cut(16, torn=100)
        running.ended()
    return starts(folder, "ready")


# --- the network

def wrong_password(folder):
    return starts(folder, "link_failed",
                  before=lambda running: setattr(running.board.radio, "password_right", False))


def no_access_point(folder):
    return starts(folder, "link_failed",
                  before=lambda running: setattr(running.board.radio, "access_point", False))


def radio_that_is_not_let_in(folder):
    """Until the firmware has had enough of it: a limit, made short here."""
    return starts(folder, "link_failed", main=_IMPATIENT.format("JOIN_TIME"),
                  before=lambda running: setattr(running.board.radio, "ask", lambda *_: 0))


def _no_dhcp(running):
    running.board.lan.udp[67] = lambda message: None


def no_dhcp_and_another_address(folder):
    return starts(folder, "fallback_address", {"fallback_address": {
        "address": "192.168.77.9", "netmask": "255.255.255.0", "gateway": "192.168.77.1",
        "dns": "192.168.77.1"}}, ETHERNET, main=_IMPATIENT.format("DHCP_FALLBACK"),
        before=_no_dhcp)


def name_of_another(folder):
    name = f"post-{os.getpid()}"

    def answer(running):
        with Device() as device:
            for _ in range(20):  # until the board has joined the group nobody hears
                device.say(announcement(name, bytes((192, 168, 77, 5))))
                time.sleep(0.05)
    return starts(folder, "name_taken", {"hostname": name}, ETHERNET, after=answer,
                  main=IMPATIENT.read_text())


def no_cable(folder):
    return starts(folder, "link_failed", board=ETHERNET,
                  before=lambda running: running.board.lan.set_link(False))


def no_dhcp_server(folder):
    return starts(folder, "link_failed", board=ETHERNET, main=_IMPATIENT.format("DHCP_RETRY"),
                  before=_no_dhcp)


def no_chip(folder):
    def spoil(running):
        wiring = running.board.definition["wiznet"]
        running.board.pins.outputs.pop(wiring["cs"])  # the wire is off
    return starts(folder, "link_failed", board=ETHERNET, before=spoil)


def link_lost(folder):
    return starts(folder, "link_down",
                  after=lambda running: setattr(running.board.radio, "access_point", False))


# --- time and TLS

def no_time(folder):
    return starts(folder, "no_time", {"time_server": "127.0.0.77"})


def no_key(folder):
    return starts(folder, "no_tls",
                  before=lambda running: (running.board.flash / "tls_key.der").unlink())


def no_logins(folder):
    return starts(folder, "no_logins", {"require_tls": True},
                  before=lambda running: (running.board.flash / "tls_key.der").unlink())


def logins_in_the_clear(folder):
    return starts(folder, "logins")


def image_without_tls(folder):
    (folder / "none").mkdir()
    (folder / "none" / "ssl.py").write_text("raise ImportError('no module named tls')")
    return starts(folder, "no_tls", main=f"""
import sys
sys.path.insert(0, {str(folder / "none")!r})
from picopost import appliance
appliance.main()
""")


def client_that_cannot_be_let_in(folder):
    def come(running):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", running.smtp)):
            pass
    return starts(folder, "accept_failed", after=come, main="""
from picopost import appliance
from picopost.net import lwip
def connection(*given):
    raise MemoryError("no room")
lwip.Connection = connection
appliance.main()
""")


# --- accounts

def spoilt_accounts_on_the_card(folder):
    CardImage.create(folder / "card.img").close()
    with on_card(folder) as vm:
        vm.exec("with open('/sd/ACCOUNTS.TXT', 'w') as file: file.write('nonsense\\n')")
    return starts(folder, "accounts_refused")


def _accounts_on_the_card(folder, event, broken):
    CardImage.create(folder / "card.img").close()
    line = accounts.line("boy", "pw")
    with on_card(folder) as vm:
        vm.exec(f"with open('/sd/ACCOUNTS.TXT', 'w') as file: file.write({line + chr(10)!r})")
    return starts(folder, event, main=broken + "appliance.main()\n")


def no_room_for_accounts(folder):
    return _accounts_on_the_card(folder, "accounts_refused", """
from picopost import appliance, card_accounts
def apply(office, root):
    raise MemoryError("no room")
card_accounts.apply = apply
""")


def accounts_that_stay_on_the_card(folder):
    return _accounts_on_the_card(folder, "accounts_repeat", """
import os
from picopost import appliance, card_accounts
class Os:
    pass
def remove(path):
    raise OSError(13)
for name in dir(os):
    setattr(Os, name, getattr(os, name))
Os.remove = remove
card_accounts.os = Os
""")


# --- devices

def device_with_a_wrong_login(folder):
    def refused(running):
        with smtplib.SMTP("127.0.0.1", running.smtp) as client:
            client.ehlo()
            with contextlib.suppress(smtplib.SMTPException):
                client.login("cam", "x")
    return starts(folder, "refused", after=refused)


# Of the firmware alone, on a card, with a clock that a test turns.

def _passports(*steps, **settings) -> list[dict]:
    with open_vm() as vm:
        vm.exec(f"begin(**{settings!r}); v.now = 1_800_000_000")
        for step in steps:
            vm.exec(step)
        return [{"event": event, **fields} for event, fields in vm.eval("v.events")]


_REGULAR = "for _ in range(12):\n    session('192.168.1.20', b'cam-3')\n    serve(1200)"


def silent_device(folder):
    return _passports(_REGULAR, "serve(4800)", silence_alarm="girl")


def alarm_without_room(folder):
    return _passports(_REGULAR, "serve(4800)", silence_alarm="girl",
                      mailboxes={"girl": {"max_octets": 10}})


def passports_without_a_file(folder):
    return _passports("card = v.disk\nimport os\nos.mkdir('/sd/PICOPOST.DEV')\nbegin(card)",
                      "session('192.168.1.20', b'cam-3')\nserve(301)")


# --- notices

def _notices(folder, event, main="", letters=1):
    def deliver(running):
        for _ in range(letters):
            one_letter(running)
    return starts(folder, event, {"notices": [{"post": "http://127.0.0.1/"}]},
                  after=deliver, main=main)


def server_that_is_away(folder):
    return _notices(folder, "notice_put_off")


def server_that_refuses(folder):
    with contextlib.ExitStack() as servers:
        return starts(folder, "notice_failed",
                      {"notices": [{"post": "http://host.lan:8123/"}]},
                      before=lambda running: servers.enter_context(
                          Web(running.board.port_offset + 8123, (404,))), after=one_letter)


def more_letters_than_notices(folder):
    return _notices(folder, "notices_dropped", main="""
from picopost import appliance, limits
limits.NOTICE_QUEUE = 1
appliance.main()
""", letters=4)
