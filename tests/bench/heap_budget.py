"""What a board's heap is spent on, part by part: imports, what is made at the start, sessions.

Imports are measured in the VM (64 bits) and in a build of 32 bits, as a board's MicroPython is
(node_vm.py): gc.mem_alloc() around them, from loose .mpy files and from an image whose code runs
where it lies (VfsRom). No MicroPython with our code frozen can be had here, so that is estimated:
in place, less the constants and names that an image has in its flash. What the firmware makes at
the start, and its sessions, run on the emulated board alone, so their 32 bits are estimated:
buffers are as large, all else is half.
"""

from __future__ import annotations

import functools
import json
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from host_tools import boards, firmware_build, firmware_modules, vm  # noqa: F401
from tests.bench import mpy_constants, node_vm
from tests.support.appliance import Appliance
from tests.support.wire import Lines, Pop3, send

from picopost import limits  # isort: skip  (firmware_modules makes that possible)

_PROBE = Path(__file__).with_name("import_probe.py")
_NODE_PROBE = Path(__file__).with_name("import_probe.mjs")
_STAGES = Path(__file__).with_name("heap_stages.py")
# A table of names is not cleared before it is used: what was there before may point at garbage.
_COLLECTING = """
def clear(size):
    pieces = []
    while size > 16:
        try:
            pieces.append(bytearray(size))
        except MemoryError:
            size //= 2


while not step():
    gc.collect()
    clear(1 << 20)
    gc.collect()
"""
_PROBE_HEAP = 2048  # KiB, enough for everything at once
MAIN = "main.py"
_SEATS = 5
_CROWD = 3  # sessions of each kind at once, of which the average is taken
_USERS = {"anna": "pw", "bert": "pw", "carl": "pw"}
FREE = 0.25  # of the heap, to be left on every board
SHARED = "the buffer that these share"
_NAMES = re.compile(r"n_str_data_bytes=(?P<text>\d+), n_total_bytes=(?P<all>\d+)")
_HANDSHAKE = 3_686  # octets at its peak, in the board's heap (DESIGN.md, "TLS")
# A mailbox that is compacted while they are at it: its block, the segments in use, and a table of
# those that are shared.
_COMPACTION = limits.CARD_BLOCK + 8 + limits.MAX_SEGMENTS // 8 + 256 * 8
# Code in the place of its plain twin on a board: (native, plain), below picopost/.
_NATIVE = (("store/crc_viper", "store/crc"), ("store/mboxrd_viper", "store/mboxrd"))


@dataclass(frozen=True)
class Part:
    """`modules` below picopost, or main.py, and what they import. Loaded for good, or `when`: at
    the "start", "sometimes" while it serves, "with room" that the heap has beside all its work, "if
    wanted" by a setting that is off as it comes, or "never" by the appliance itself. `link`: only
    boards with this one have it."""

    name: str
    modules: tuple[str, ...]
    when: str = ""
    link: str | None = None

    @property
    def stays(self) -> bool:
        return not self.when


PARTS = (
    Part("event log, limits, clock, watchdog, LED",
         ("event_log", "limits", "clock", "watchdog", "status_led")),
    Part("what is typed at the console", ("keyboard",)),
    Part("accounts and policy", ("accounts", "sasl", "listener", "policy", "net.failures")),
    Part("store", ("store.sd_card", "store.sd_identify", "store.volume", "store.mailbox",
                   "store.delivery", "store.maildrop", "post_office")),
    Part("TLS", ("net.identity", "net.tls")),
    Part("sessions", ("net.server", "appliance")),
    Part("lwIP, by radio", ("net.wifi",), link="wifi"),
    Part("lwIP, W5500 for frames", ("net.wiznet5k",), link="wiznet5k"),
    Part("W5500's own TCP", ("net.wiznet", "net.dhcp", "net.mdns"), link="wiznet"),
    Part("SMTP", ("smtp.service",)),
    Part("POP3", ("pop3.service",)),
    Part("main.py, which the board compiles", (MAIN,)),
    Part("compaction, retention", ("store.compaction", "store.retention")),
    Part("settings and accounts, at the start", ("settings", "accounts_file", "enrolment"),
         "start"),
    Part("accounts from a card", ("card_accounts",), "start"),
    Part("recovery and rebuild, at the start", ("store.recovery", "store.rebuild"), "start"),
    Part("the time, by SNTP", ("net.sntp",), "sometimes"),
    Part("why there is no network", ("net.trouble",), "sometimes"),
    Part("delivery reports", ("smtp.report",), "sometimes"),
    Part("advice on failures", ("smtp.advice", "net.tls_cause"), "sometimes"),
    Part("a command at the console", ("console.status", "console.users", "console.recent"),
         "sometimes"),
    Part("a letter at the console", ("console.mail", "console.heading", "console.letter",
                                     "console.attachment", "mime.charset_tables", "mime.html_text",
                                     "mime.html_entities", "mime.base64", "mime.quoted_printable",
                                     "mime.uuencode"), "with room"),
    Part("passports: what sessions leave", ("passports.visits",)),
    Part("passports: entering it", ("passports.table",), "sometimes"),
    Part("passports: who is silent", ("passports.silence",), "if wanted"),
    Part("passports: shown, an alarm", ("passports.show",), "with room"),
    Part("MIME: a subject for the log", ("mime.subject",), "if wanted"),
    Part("notices: their queue", ("notices.queue",), "if wanted"),
    Part("notices: a letter's, with the MIME summary", (
        "notices.errand", "mime.summary", "mime.charset_tables", "mime.html_text",
        "mime.html_entities", "mime.base64", "mime.quoted_printable"), "if wanted"),
    Part("MIME: summary", ("mime.summary", "mime.charset_tables", "mime.html_text",
                           "mime.html_entities"), "never"),
    Part("MIME: attachments", ("mime.attachments", "mime.base64", "mime.quoted_printable",
                               "mime.uuencode"), "never"),
)


@dataclass
class Cost:
    """Octets of the heap: `takes` while it is loaded, `leaves` when it is unloaded, without
    `names`, the tables of names that grow by large steps. `brings`: the modules that it loads."""

    takes: int
    leaves: int
    names: int
    brings: list[str]


LOOSE, IN_PLACE, FROZEN = "loose", "in place", "frozen"


def parts_of(link: str) -> tuple[Part, ...]:
    """The parts that a board with that link has."""
    return tuple(part for part in PARTS if part.link in (None, link))


@functools.cache
def imports(bits: int, way: str, link: str) -> dict[str, Cost]:
    """By part; measured, but for FROZEN of 32 bits: what is measured IN_PLACE, less what is known
    to be in flash then: constants and names. Raises Unavailable where there is no MicroPython of so
    many bits.

    The collector takes some garbage for used, up to 1.3 KB, by where things lie. So it is measured
    with other octets before them in the heap, and the least counts.
    """
    parts = parts_of(link)
    return min((_imports(bits, way, link, beside) for beside in (0, 100, 1_000)),
               key=lambda found: resident(found, parts))


def _imports(bits: int, way: str, link: str, beside: int) -> dict[str, Cost]:
    # A MicroPython for node runs no native code: the plain twins are measured.
    tree = (firmware_build.build_for_vm() if bits == 64 else
            firmware_build.build(firmware_build.BUILD / "firmware" / "plain", None))
    image = None if way == LOOSE else firmware_build.rom_image(tree)
    parts = [(part.name, [module if module == MAIN else "picopost." + module
                          for module in part.modules], part.stays)
             for part in parts_of(link)]
    inside = (str(tree), str(image or "")) if bits == 64 else ("/tree", "/image" if image else "")
    with tempfile.TemporaryDirectory() as folder:
        probe = Path(folder) / "probe.py"
        probe.write_text(f"BESIDE = bytearray({beside})\nPARTS = {parts!r}\n"
                         f"TREE = {inside[0]!r}\nIMAGE = {inside[1]!r}\n" + _PROBE.read_text()
                         + (_COLLECTING if bits == 64 else ""))
        command = (vm.command(_PROBE_HEAP, str(probe)) if bits == 64 else
                   ["node", str(_NODE_PROBE), str(node_vm.module()), str(probe), str(tree),
                    *([str(image)] if image else [])])
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if done.returncode or done.stderr:
        raise RuntimeError(f"{bits} bits: {done.stderr or done.stdout}")
    found = _costs(done.stdout)
    if way == FROZEN:
        for cost in found.values():
            cost.takes -= sum(mpy_constants.heap_octets(file) for file in
                              filter(None, (_file(tree, name) for name in cost.brings)))
            cost.names = 0
    return found


def _costs(printed: str) -> dict[str, Cost]:
    found = {}
    tables = [0, 0]  # octets before and behind a part
    for line in printed.splitlines():
        if names := _NAMES.search(line):
            tables = [tables[1], int(names["all"]) - int(names["text"])]
        elif line.startswith("{"):
            part = json.loads(line)
            grown = tables[1] - tables[0]
            found[part["part"]] = Cost(part["takes"] - grown, part["leaves"] - grown, grown,
                                       part["brings"])
    return found


def _file(tree: Path, module: str) -> Path | None:
    """The .mpy of a module or package; None: it is MicroPython's own."""
    path = tree / module.replace(".", "/")
    for place in (path, tree / "lib" / path.relative_to(tree)):
        for file in (place.with_suffix(".mpy"), place / "__init__.mpy"):
            if file.exists():
                return file
    return None


def native_more() -> int:
    """Octets that native code takes beyond its plain twins where both are loaded into the heap,
    by the lengths of their files. In an image it takes none."""
    more = 0
    with tempfile.TemporaryDirectory() as folder:
        for native, plain in _NATIVE:
            sizes = []
            for name, arch in ((native, firmware_build.ARCHITECTURES["RP2040"]), (plain, None)):
                target = Path(folder) / (name.replace("/", "_") + ".mpy")
                firmware_build.compile_file(firmware_build.FIRMWARE / "picopost" / f"{name}.py",
                                            target, arch, name)
                sizes.append(target.stat().st_size)
            more += sizes[0] - sizes[1]
    return more


# --- what is made, and sessions ------------------------------------------------------------------


@dataclass
class Made:
    """`octets` of the VM, of which `buffers` are as large in a board's heap."""

    octets: int
    buffers: int = 0

    @property
    def board(self) -> int:
        """Estimated, octets in a heap of 32 bits."""
        return self.buffers + (self.octets - self.buffers) // 2


class _Board:
    """An emulated board that says what lives in its heap."""

    def __init__(self, name: str, folder: Path):
        self._folder = folder
        self.appliance = Appliance(folder / "card.img", name, _USERS, main=_STAGES,
                                   more=("--in-place",))
        told = self.appliance.wait_for("stages")["of"]
        self.stages = {stage: int(octets) for stage, _, octets in
                       (pair.partition("=") for pair in told.split())}

    def level(self) -> int:
        """Octets that live when two looks at it say the same: all that was sent has come."""
        before = None
        while True:
            (self._folder / "card.flash" / "ask").touch()
            now = self.appliance.wait_for("heap")["level"]
            if now == before:
                return now
            before = now

    def left(self, connections: list[Lines]) -> int:
        for connection in connections:
            connection.close()
        for _ in connections:
            self.appliance.wait_for("closed")
        return self.level()


def at_start(board: _Board) -> dict[str, Made]:
    """What is made until a board serves, without modules."""
    stages = board.stages
    seats = _SEATS * (limits.RECEIVE_BUFFER + limits.CARD_BLOCK)
    return {
        "asyncio, from MicroPython's image": Made(stages["asyncio"]),
        "settings, accounts": Made(stages["settings"]),
        "TLS: context, and the session that is ready": Made(stages["tls"]),
        # The window of FatFs, the guard's journal, and a block of the driver's.
        "card: driver, file system, journal": Made(stages["card"], 3 * 512),
        f"{len(_USERS)} mailboxes": Made(stages["mailboxes"]),
        f"{_SEATS} seats": Made(stages["seats"], seats),
        "services, tasks": Made(stages["services"] + stages["others"]),
    }


def sessions(board: _Board) -> dict[str, Made]:
    """What a session takes beside its seat, on the average of some."""
    appliance = board.appliance
    large = b"Subject: a\r\n\r\n" + b"0123456789\r\n" * 100_000
    for user in _USERS:
        send(appliance.smtp, large, to=(f"{user}@xyz.com".encode(),))
    readers = [Pop3(appliance.pop3, user, "pw") for user in _USERS]
    for reader in readers:
        reader.sizes()
    idle = board.left(readers)

    def cost(connections: list[Lines], shared: int = 0) -> Made:
        octets = (board.level() - idle - shared) // len(connections)
        board.left(connections)
        return Made(octets)

    def smtp(*commands: bytes, text: bytes = b"") -> Lines:
        connection = Lines(appliance.smtp)
        connection.reply()
        for command in commands:
            reply = connection.say(command)
            assert reply[:1] in b"23", reply
        connection.socket.sendall(text)
        return connection

    envelope = b"EHLO abc.com", b"MAIL FROM:<a@abc.com>", b"RCPT TO:<anna@xyz.com>", b"DATA"
    found = {
        "SMTP, greeted": cost([smtp(b"EHLO abc.com") for _ in range(_CROWD)]),
        "SMTP, in a large letter": cost([smtp(*envelope, text=large[:20_000])
                                         for _ in range(_CROWD)]),
        "POP3, logged in": cost([Pop3(appliance.pop3, user, "pw") for user in _USERS]),
    }
    readers = [Pop3(appliance.pop3, user, "pw") for user in _USERS]
    for reader in readers:
        reader.command(b"RETR 1")
    shared = _bulk(appliance)
    found["POP3, sends a large letter"] = cost(readers, shared)
    if shared:
        found[SHARED] = Made(shared, limits.BULK_BUFFER)
    secured = smtp(b"EHLO abc.com", b"STARTTLS")
    secured.start_tls()
    secured.say(b"EHLO abc.com")
    found["SMTP in TLS, beside the session that was ready"] = cost([secured])
    return found


def _bulk(appliance: Appliance) -> int:
    """What sessions of lwIP share while a letter goes out."""
    return limits.BULK_BUFFER + 64 if not appliance.ready["board"].endswith("w5500") else 0


def made(name: str) -> tuple[dict[str, Made], dict[str, Made]]:
    """(at the start, by each session), measured on the emulated board."""
    with tempfile.TemporaryDirectory() as folder:
        board = _Board(name, Path(folder))
        with board.appliance:
            return at_start(board), sessions(board)


# --- the sum -----------------------------------------------------------------------------------


@dataclass
class Sum:
    """Octets of a board's heap, which has `heap`."""

    heap: int
    loaded: int
    start: int
    work: int  # five sessions in the midst of letters, and what is there for a moment

    def free(self, working: bool) -> float:
        """The share that is left."""
        return 1 - (self.loaded + self.start + working * self.work) / self.heap


def resident(of: dict[str, Cost], parts: tuple[Part, ...]) -> int:
    return sum(of[part.name].takes + of[part.name].names for part in parts if part.stays)


def total(definition: dict, of: dict[str, Cost], start: dict[str, Made], each: dict[str, Made],
          way: str) -> Sum:
    """`of` the build of 32 bits."""
    parts = parts_of(definition["link"])
    letters = max(cost.board for name, cost in each.items() if "letter" in name)
    # The VM's sockets profit from the buffer that sessions share, lwIP's on a board do not: it is
    # never made there, but what lwIP is asked for room with (net/lwip_memory.py).
    shared = limits.LWIP_QUESTION if SHARED in each else 0
    moment = max(of[part.name].takes for part in parts if part.when == "sometimes")
    return Sum(definition["heap_kib"] << 10,
               resident(of, parts) + (native_more() if way == LOOSE else 0),
               sum(cost.board for cost in start.values()),
               _SEATS * letters + shared + moment + _HANDSHAKE + _COMPACTION)


@dataclass
class Budget:
    """A board's. `imports[bits, way]`; `start` and `each` are what is made at the start, and by
    each session."""

    definition: dict
    imports: dict[tuple[int, str], dict[str, Cost]]
    start: dict[str, Made]
    each: dict[str, Made]

    def parts(self) -> tuple[Part, ...]:
        return parts_of(self.definition["link"])

    def sums(self) -> dict[str, Sum]:
        """By way; none where 32 bits could not be measured."""
        return {way: total(self.definition, of, self.start, self.each, way)
                for (bits, way), of in self.imports.items() if bits == 32}


def measure(name: str, bits: tuple[int, ...] = (64, 32)) -> Budget:
    """The budget of a board. Raises Unavailable where there is no MicroPython of 32 bits."""
    definition = boards.load(name)
    ways = [(64, LOOSE), (64, IN_PLACE), (32, LOOSE), (32, IN_PLACE), (32, FROZEN)]
    return Budget(definition, {(width, way): imports(width, way, definition["link"])
                               for width, way in ways if width in bits}, *made(name))
