"""Memory: what the servers' processes take, and what sessions cost of the board's heap."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.bench import lean_vm
from tests.bench.context import Context
from tests.bench.measure import Lost, delivered, read
from tests.bench.processes import memory as of_processes
from tests.bench.report import Chart, Section, Table, Target, figure
from tests.bench.servers import Aiosmtpd, Dovecot, Picopost, Postfix
from tests.support.wire import Lines, Pop3

_WATCH = Path(__file__).parents[1] / "heap_watch.py"
_LARGE = 5 << 20
USERS = ("anna", "bert", "carl", "dora", "emil")
_SEATS = 5
_MAY_TAKE = 40 * 1024  # octets of heap, over idle, with five sessions that read
_SHARE = 5

_TEXT = """\
Processes: KB as Linux counts them, summed over all processes of a server (what they share counts in
each; PSS counts it once). At rest is before the first client; the peak is after eight senders of
5 MB, and for Dovecot after five sessions that read 5 MB each. The VM is a CPython extension module:
`as launched` has CPython in its process, which never runs but to start it; `alone` starts the same
VM from a few lines of C.

Heap: octets that live in the VM's heap, whose words are of 64 bits. On the board's 32 bits objects
take about half of that, buffers the same."""


def memory(context: Context) -> Section:
    """Run it."""
    loader = lean_vm.build(context.folder)
    found: dict[str, dict[str, dict]] = {}

    def launched(folder: Path) -> Picopost:
        return Picopost(folder, name="picopost, as launched")

    def alone(folder: Path) -> Picopost:
        return Picopost(folder, name="picopost, alone")

    makers = [Postfix, Aiosmtpd, launched]
    for make in makers:
        with context.running(make) as servers:
            for server in servers:
                found[server.name] = loaded(server)
    if loader is None:
        context.missing["picopost, alone"] = "no C compiler `cc`"
    else:
        with lean_vm.launched_by(loader), context.running(alone) as [server]:
            found[server.name] = loaded(server)
    heap = heap_costs(context, found)
    return section(found, heap)


def loaded(server) -> dict[str, dict]:
    """Memory at rest, and after the load."""
    rest = of_processes(server.pid)
    delivered(server, kind="each", clients=8, count=8, size=_LARGE)
    return {"rest": rest, "load": of_processes(server.pid)}


def heap(server: Picopost) -> dict[str, int]:
    """{"level", "peak"} of the heap now; the peak since the last time."""
    (server.folder / "flash" / "ask").touch()
    return server.running.wait_for("heap")


def heap_costs(context: Context, found: dict) -> dict[str, int]:
    """Octets of heap by what takes them; adds Dovecot's memory to `found`."""

    def watched(folder: Path) -> Picopost:
        return Picopost(folder, users=USERS, main=_WATCH)

    costs = {}
    with context.running(watched) as [server]:
        for user in USERS:
            delivered(server, kind="each", count=1, size=_LARGE, recipient=f"{user}@xyz.com")
        boxes = {user: server.export(user, context.place()) for user in USERS}
        settled(server)
        idle = heap(server)["level"]
        costs["idle, all loaded"] = idle
        with_sessions = [Lines(server.smtp) for _ in range(_SEATS)]
        for session in with_sessions:
            session.reply()
            session.say(b"EHLO abc.com")
        costs["an idle SMTP session"] = (heap(server)["level"] - idle) // _SEATS
        leave(server, with_sessions, "smtp")
        readers = [Pop3(server.pop3, user, "pw") for user in USERS]
        costs["an idle POP3 session, logged in"] = (heap(server)["level"] - idle) // _SEATS
        leave(server, readers, "pop3")
        with Lines(server.smtp) as session:
            session.reply()
            session.say(b"EHLO abc.com")
            plain = heap(server)["level"]
            session.say(b"STARTTLS")
            session.start_tls()
            session.say(b"EHLO abc.com")
            costs["TLS in a session, beside it"] = heap(server)["level"] - plain
        server.running.wait_for("closed", service="smtp")
        idle = heap(server)["level"]
        costs["idle, TLS loaded"] = idle
        read_by_five(server)
        costs["peak of five POP3 sessions that read 5 MB, over idle"] = heap(server)["peak"] - idle
        delivered(server, kind="each", clients=_SEATS, count=_SEATS, size=_LARGE,
                  recipient=f"{USERS[0]}@xyz.com")
        costs["peak of five SMTP sessions that send 5 MB, over idle"] = heap(server)["peak"] - idle

        def dovecot(folder: Path) -> Dovecot:
            return Dovecot(folder, boxes)

        with context.running(dovecot) as rivals:
            for rival in rivals:
                rest = of_processes(rival.pid)
                during = read_by_five(rival)
                found[rival.name] = {"rest": rest, "load": during}
    return costs


def settled(server: Picopost) -> None:
    """What is loaded with the first session of each kind is loaded."""
    reader = Pop3(server.pop3, USERS[0], "pw")
    reader.quit()
    server.running.wait_for("closed", service="pop3")
    heap(server)


def leave(server: Picopost, clients: list, service: str) -> None:
    for client in clients:
        client.close()
    for _ in clients:
        server.running.wait_for("closed", service=service)


def read_by_five(server) -> dict[str, int]:
    """Five sessions at once, each of its own mailbox; the processes' memory afterwards, the peaks
    of those that have ended meanwhile as they were just before."""
    with ThreadPoolExecutor(_SEATS) as pool:
        readers = [pool.submit(read, server, user=user, numbers=[1] * 8) for user in USERS]
        peak = {"rss": 0, "peak": 0, "pss": 0}
        while not all(reader.done() for reader in readers):
            now = of_processes(server.pid)
            peak = {key: max(peak[key], now[key]) for key in peak}
    for reader in readers:
        if reader.result()["messages"] < 1:
            raise Lost(f"{server.name} has lost a message")
    return peak


def section(found: dict, heap: dict[str, int]) -> Section:
    """Tables, plot and targets."""
    result = Section("Memory", _TEXT)
    table = Table("Processes, KB", ["server", "RSS at rest", "RSS peak", "PSS at rest"])
    for name, at in found.items():
        table.rows.append([name, f"{at['rest']['rss']:,}", f"{at['load']['peak']:,}",
                           f"{at['rest']['pss']:,}"])
    costs = Table("Heap, octets of the 64-bit VM", ["what", "octets"],
                  [[what, f"{octets:,}"] for what, octets in heap.items()])
    result.tables += [table, costs]
    result.charts.append(Chart("memory", "Peak RSS of all processes", "MB", ["at rest", "peak"], {
        name: [round(at["rest"]["rss"] / 1024, 1), round(at["load"]["peak"] / 1024, 1)]
        for name, at in found.items()}))
    for name in ("picopost, as launched", "picopost, alone"):
        if name in found and "aiosmtpd" in found:
            ours, theirs = found[name], found["aiosmtpd"]
            for what, at, key in (("at rest", "rest", "rss"), ("peak", "load", "peak")):
                share = theirs[at][key] / ours[at][key]
                result.targets.append(Target(
                    f"RSS {what} of {name}: a fifth of aiosmtpd's or less",
                    f"1/{figure(share)}", share >= _SHARE))
    for what, octets in heap.items():
        if what.startswith("peak of five POP3"):
            result.targets.append(Target("peak heap with five POP3 sessions: at most 40 KB over "
                                         "idle", f"{octets / 1024:.1f} KB", octets <= _MAY_TAKE))
    result.data = {"processes": found, "heap": heap}
    return result
