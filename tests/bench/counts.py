"""Count what mail costs on the buses and in the heap: exact, and the same in every run.

    python -m tests.bench.counts                      # the table, into build/bench/
    python -m tests.bench.counts --write-baseline     # tests/bench/baseline.json anew

The whole firmware runs in the VM with the board's heap, on the models of its chips, but the
network is a script (scripted_network.py) and the clock passes on the buses alone
(lockstep/time.py): no socket, no scheduler and no garbage collection changes a figure.
`test_baseline.py` compares.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from host_tools import accounts, boards
from host_tools.card import store
from host_tools.card.source import ImageCard
from host_tools.emulator.board import prepare_flash
from host_tools.emulator.card_image import BLOCK, CardImage
from host_tools.emulator.chips.sd_card import SDCard
from host_tools.emulator.chips.w5500 import W5500
from host_tools.emulator.radio import Radio
from host_tools.firmware_build import BUILD, vm_arch
from tests.bench import work
from tests.bench.scripted_network import (
    Client,
    Script,
    ScriptedLan,
    ScriptError,
    ScriptPort,
    pop3_lines,
    pop3_reply,
    smtp_reply,
)
from tests.support.bench import Bench
from tests.support.vm import VmError

BOARDS = ("pico_w", "pico_w5500")
BASELINE = Path(__file__).with_name("baseline.json")
RENEW = "python -m tests.bench.counts --write-baseline"
TOLERANCE = 0.05

_LOCKSTEP = Path(__file__).with_name("lockstep")
_KB = 1024
_LINE = b"x" * 76 + b"\r\n"
# Of one size in one session: two steps of the index' growth, and two shared segments and more of
# 2 KB letters, so that no average depends on where a run begins.
_MESSAGES = 256
_SESSIONS = 8
_FETCHES = 64
_IDLE_MS = 60_000
_SMTP, _POP3 = 25, 110
_SETTINGS = {
    "hostname": "xyz.com", "time_server": None,  # who asks at a moment of its own
    "address": {"address": "192.168.77.9", "netmask": "255.255.255.0",
                "gateway": "192.168.77.1", "dns": "192.168.77.1"},
}
# Columns: SPI calls and octets by bus, blocks of the card, octets that the firmware allocates,
# steps of asyncio's tasks, calls that the firmware's Python makes (see work.py).
CALLS, OCTETS = "SPI calls, %s", "SPI octets, %s"
BUSES = {0: "W5500", 1: "card"}
WRITTEN, READ, ALLOCATED = "blocks written", "blocks read", "octets allocated"
TURNS, CALLS_MADE, POLLS = "turns of the loop", "calls", "polls"
_COLUMNS = (*(CALLS % bus for bus in BUSES.values()), *(OCTETS % bus for bus in BUSES.values()),
            WRITTEN, READ, ALLOCATED, TURNS, CALLS_MADE)

Cost = dict[str, float]


def text(octets: int) -> bytes:
    """A letter of so many octets on the wire, in lines of 78."""
    head = b"Subject: bench\r\n\r\n"
    lines, rest = divmod(octets - len(head), len(_LINE))
    return head + _LINE * lines + (b"x" * (rest - 2) + b"\r\n" if rest >= 2 else b"")


# --- what the clients say ---------------------------------------------------------------------


def _expect(answer: bytes, begin: bytes) -> None:
    if not answer.startswith(begin):
        raise ScriptError(f"{answer!r} where {begin!r} was due")


def smtp(texts: list[bytes], greet: bool = True) -> Script:
    _expect((yield b"", smtp_reply), b"220")
    if greet:
        _expect((yield b"EHLO abc.com\r\n", smtp_reply), b"250")
    else:
        _expect((yield b"NOOP\r\n", smtp_reply), b"250")
    for letter in texts:
        _expect((yield b"MAIL FROM:<boy@abc.com>\r\n", smtp_reply), b"250")
        _expect((yield b"RCPT TO:<girl@xyz.com>\r\n", smtp_reply), b"250")
        _expect((yield b"DATA\r\n", smtp_reply), b"354")
        _expect((yield letter + b".\r\n", smtp_reply), b"250")
    _expect((yield b"QUIT\r\n", smtp_reply), b"221")


def pop3(numbers: range) -> Script:
    _expect((yield b"", pop3_reply), b"+OK")
    _expect((yield b"USER girl\r\n", pop3_reply), b"+OK")
    _expect((yield b"PASS pw\r\n", pop3_reply), b"+OK")
    _expect((yield b"NOOP\r\n", pop3_reply), b"+OK")
    for number in numbers:
        yield b"RETR %d\r\n" % number, pop3_lines
    _expect((yield b"QUIT\r\n", pop3_reply), b"+OK")


# --- a run ------------------------------------------------------------------------------------


class Run:
    """One board that plays sessions; `costs[label]` is what each of them added, `idle` a minute
    without any. Only the latter has the looks whether the card is still there, one a second.
    `sizes` are the octets on the card of each letter, in the order of their coming.
    `instrumented`: firmware that counts its calls instead of what it allocates.
    """

    def __init__(self, name: str, folder: Path, sessions: list[tuple[str, int, Script]],
                 instrumented: Path | None = None, more_heap_kib: int = 0):
        self.costs: dict[str, Cost] = {}
        self.idle: Cost = {}
        self._sessions = sessions
        self._instrumented = instrumented
        self._board = boards.load(name)
        self._label = ""
        self._before: Cost = {}
        self._probed: Cost = {}  # when the look at the card began
        flash = folder / "flash"
        prepare_flash(flash, self._board, _SETTINGS, [accounts.line("girl", "pw")])
        image = CardImage.create(folder / "card.img")
        self.card = SDCard(image)
        self._port = ScriptPort(self._mark)
        self._network: ScriptPort | ScriptedLan = self._port
        wiring = self._board["sd_card"]
        devices = {(wiring["spi"], wiring["cs"]): self.card, (7, 0): self._port}
        outputs, lan = {}, None
        if self._board["link"] == "wiznet":
            self._network = lan = ScriptedLan()
            chip = W5500(lan)
            wiring = self._board["wiznet"]
            devices[wiring["spi"], wiring["cs"]] = chip
            outputs[wiring["reset"]] = lambda level: None if level else chip.reset()
        try:
            with Bench(devices, outputs,
                       heap_kib=self._board["heap_kib"] + more_heap_kib) as self._bench:
                self._bench.channel.network = Radio().ask
                try:
                    self._play(flash)
                except VmError:
                    if self._bench.failure:  # which is why the VM lost its chips
                        raise self._bench.failure from None
                    raise
        finally:
            if lan:
                lan.close()
            image.close()
        with ImageCard(image.path) as card:
            mailbox = store.read_mailbox(card, store.mailboxes(card)["girl"])
            self.sizes = [record.size for record in mailbox.index.sound_records()]

    def _play(self, flash: Path) -> None:
        vm = self._bench.vm
        vm.exec(f"import os, sys; os.chdir({str(flash)!r})")
        if self._instrumented:
            vm.exec(f"sys.path.insert(0, {str(self._instrumented)!r})")
        vm.exec(f"sys.path.insert(0, {str(_LOCKSTEP)!r})")  # before the device modules
        vm.exec("import meter, conductor")
        vm.exec(f"conductor.play({self._board!r})")

    def _counters(self, allocated: int, polls: int, turns: int, calls: int) -> Cost:
        counters = {ALLOCATED: allocated, WRITTEN: self.card.counters.blocks_written,
                    READ: self.card.counters.blocks_read, TURNS: turns, POLLS: polls}
        if self._instrumented:
            del counters[ALLOCATED]  # it has more to allocate
            counters[CALLS_MADE] = calls
        for number, bus in self._bench.buses.items():
            if number in BUSES:
                counters[CALLS % BUSES[number]] = bus.transfers
                counters[OCTETS % BUSES[number]] = bus.octets
        return counters

    def _mark(self, what: bytes, *counted: int) -> int:
        """The VM tells how far it is; the answer is what is next."""
        now = self._counters(*counted)
        if what == b"B":
            self._probed = now
        elif what == b"E":
            if self._label:
                for name in now:
                    self._before[name] += now[name] - self._probed[name]
        elif what == b"S":
            return self._next(now)
        elif self._label:
            self.costs[self._label] = _minus(now, self._before)
        elif self._before:
            self.idle = _minus(now, self._before)
        else:
            self._before = now
            return _IDLE_MS
        return 0

    def _next(self, now: Cost) -> int:
        """Let the next client come; the port at which it knocks, 0 when all have been."""
        if not self._sessions:
            return 0
        self._before = now
        self._label, port, script = self._sessions.pop(0)
        self._network.knock(Client(port, script))
        return port


# --- figures ----------------------------------------------------------------------------------


def _minus(cost: Cost, other: Cost) -> Cost:
    return {name: cost[name] - other[name] for name in cost}


def _per(cost: Cost, units: float) -> Cost:
    return {name: value / units for name, value in cost.items()}


def _mean(costs: list[Cost]) -> Cost:
    return {name: sum(cost[name] for cost in costs) / len(costs) for name in costs[0]}


def measure(board: str, megabytes: tuple[int, ...] = (1, 5),
            instrumented: Path | None = None) -> dict[str, Cost]:
    """Figures of one board: what was done -> column -> figure. Takes some 15 s.

    `instrumented`: see Run.
    """
    letters = {size: text(size << 20) for size in megabytes}
    sessions = [("", _SMTP, smtp([text(2 * _KB)])), ("", _POP3, pop3(range(1, 2)))]
    sessions = [(f"warm {i}", port, script) for i, (_, port, script) in enumerate(sessions)]
    sessions += [(f"smtp {i}", _SMTP, smtp([], False)) for i in range(_SESSIONS)]
    sessions += [(f"pop3 {i}", _POP3, pop3(range(0))) for i in range(_SESSIONS)]
    sessions += [(f"in {size}", _SMTP, smtp([letter])) for size, letter in letters.items()]
    sessions += [(f"out {size}", _POP3, pop3(range(number, number + 1)))
                 for number, size in enumerate(letters, 2)]
    sessions += [("in 2 KB", _SMTP, smtp([text(2 * _KB)] * _MESSAGES)),
                 ("in 1 KB", _SMTP, smtp([text(_KB)] * _MESSAGES)),
                 ("pop3 full", _POP3, pop3(range(0)))]
    first = len(letters) + 2
    sessions += [("out 2 KB", _POP3, pop3(range(first, first + _FETCHES)))]
    with tempfile.TemporaryDirectory() as folder:
        run = Run(board, Path(folder), sessions, instrumented)
    costs = run.costs
    smtp_session = _mean([costs[f"smtp {i}"] for i in range(_SESSIONS)])
    pop3_session = _mean([costs[f"pop3 {i}"] for i in range(_SESSIONS)])
    rows = {}
    for at, (size, letter) in enumerate(letters.items(), 1):
        blocks = -(-run.sizes[at] // BLOCK)
        for way, session in (("in", smtp_session), ("out", pop3_session)):
            cost = _minus(costs[f"{way} {size}"], session)
            rows[f"{size} MB {way}, per KB"] = _per(cost, len(letter) / _KB)
            moved = WRITTEN if way == "in" else READ
            rows[f"{size} MB {way}, beyond its own blocks"] = {
                name: cost[name] - blocks * (name == moved) for name in (WRITTEN, READ)}
    rows["2 KB message in"] = _per(_minus(costs["in 2 KB"], smtp_session), _MESSAGES)
    rows["1 KB message in"] = _per(_minus(costs["in 1 KB"], smtp_session), _MESSAGES)
    rows["2 KB message out"] = _per(_minus(costs["out 2 KB"], costs["pop3 full"]), _FETCHES)
    rows["SMTP session"] = smtp_session
    rows["POP3 session"] = pop3_session
    rows["idle second"] = _per(run.idle, _IDLE_MS / 1000)
    if run.idle[POLLS]:
        name = CALLS % BUSES[0]
        rows["idle poll"] = {name: run.idle[name] / run.idle[POLLS]}
    for cost in rows.values():
        cost.pop(POLLS, None)
    return {what: {name: round(value, 3) for name, value in cost.items()}
            for what, cost in rows.items()}


def table(results: dict[str, dict[str, Cost]]) -> str:
    """All figures as Markdown."""
    lines = []
    for board, rows in results.items():
        names = [name for name in _COLUMNS if any(name in cost for cost in rows.values())]
        lines += [f"| {board} | " + " | ".join(names) + " |",
                  "|---" + "|--:" * len(names) + "|"]
        for what, cost in rows.items():
            cells = [f"{cost[name]:,.1f}" if name in cost else "" for name in names]
            lines.append(f"| {what} | " + " | ".join(cells) + " |")
        lines.append("")
    return "\n".join(lines)


def section(folder: Path = BUILD / "bench") -> str:
    """Measure every board; write bus.md and bus.json to `folder`; returns the Markdown."""
    results = {board: measure(board) for board in BOARDS}
    instrumented = work.build(folder / "instrumented")
    for board, rows in results.items():
        for what, cost in measure(board, (1,), instrumented).items():
            if CALLS_MADE in cost:
                rows[what][CALLS_MADE] = cost[CALLS_MADE]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bus.md").write_text(table(results))
    (folder / "bus.json").write_text(json.dumps(results, indent=1) + "\n")
    return table(results)


def worse(found: dict[str, Cost], baseline: dict[str, Cost]) -> list[str]:
    """A line for each figure of one board that is more than TOLERANCE above the baseline.

    What is allocated depends on the VM's native code: it is compared where there is some. Calls
    take a run of their own, and are not compared.
    """
    lines = []
    for what, costs in baseline.items():
        for name, was in costs.items():
            if name == ALLOCATED and vm_arch() is None or name == CALLS_MADE:
                continue
            now = found[what][name]
            if now > was + abs(was) * TOLERANCE + 1e-6:
                lines.append(f"{what}: {name}: {now:g}, the baseline has {was:g}")
    return lines


# What this appliance wants to be held to, whatever the baseline is: (words, most, figure).
TARGETS = (
    ("SPI calls per KB received, 5 MB", 16, lambda rows: _calls(rows["5 MB in, per KB"])),
    ("SPI calls per KB sent, 5 MB", 16, lambda rows: _calls(rows["5 MB out, per KB"])),
    ("SPI calls of an idle poll", 2, lambda rows: _calls(rows.get("idle poll", {}))),
    ("blocks written beyond those of a letter of 1 MB", 4,
     lambda rows: rows["1 MB in, beyond its own blocks"][WRITTEN]),
    ("blocks written beyond those of a letter of 5 MB", 4,
     lambda rows: rows["5 MB in, beyond its own blocks"][WRITTEN]),
    ("blocks written for a message of 2 KB", 6, lambda rows: rows["2 KB message in"][WRITTEN]),
)


def _calls(cost: Cost) -> float:
    return sum(cost.get(CALLS % bus, 0) for bus in BUSES.values())


def missed(rows: dict[str, Cost]) -> dict[str, str]:
    """The targets that one board misses, and by what."""
    figures = {words: (figure(rows), most) for words, most, figure in TARGETS}
    return {words: f"{found:g}, the target is {most}"
            for words, (found, most) in figures.items() if found > most}


def write_baseline(results: dict[str, dict[str, Cost]]) -> None:
    """Hold others to `results`. Raises ValueError when a target that was met is missed now."""
    if BASELINE.exists():
        for board, before in json.loads(BASELINE.read_text()).items():
            lost = set(missed(results[board])) - set(missed(before))
            if lost:
                raise ValueError(f"{board}: was met and is missed now: {', '.join(sorted(lost))}")
    BASELINE.write_text(json.dumps(results, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.counts", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write-baseline", action="store_true",
                        help="what is measured now is what test_baseline.py holds others to")
    arguments = parser.parse_args()
    print(section())
    results = json.loads((BUILD / "bench" / "bus.json").read_text())
    for board, rows in results.items():
        for words, by in missed(rows).items():
            print(f"missed, {board}: {words}: {by}")
    if arguments.write_baseline:
        try:
            write_baseline(results)
        except ValueError as error:
            raise SystemExit(f"not written: {error}") from None


if __name__ == "__main__":
    main()
