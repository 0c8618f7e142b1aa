"""The bench's own parts: what it counts as a loss, its clients, its tables and plots."""

from __future__ import annotations

import json
import random
import socket
import tempfile
import threading
import xml.etree.ElementTree as ElementTree
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.bench import measure, report, sender
from tests.bench.context import Context, open_folder
from tests.bench.processes import family, memory
from tests.bench.sections import profile as profile_section
from tests.bench.sections import smtp as smtp_section
from tests.bench.servers import Aiosmtpd, Dovecot, Mbox, Picopost, Postfix, Unavailable


class Toy:
    """An SMTP server that keeps the data of messages in memory, one session after another.

    It refuses the first `refusals` connections, and answers the end of data with `verdict`.
    """

    name = "toy"

    def __init__(self, refusals: int = 0, verdict: bytes = b"250 kept"):
        self._refusals, self._verdict = refusals, verdict
        self.messages: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.smtp = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as lines:
                if self._refusals:
                    self._refusals -= 1
                    connection.sendall(b"421 later\r\n")
                    continue
                connection.sendall(b"220-toy\r\n220 here\r\n")
                for line in lines:
                    connection.sendall(self._answer(connection, lines, line))
                    if line == b"QUIT\r\n":
                        break

    def _answer(self, connection: socket.socket, lines, line: bytes) -> bytes:
        if line == b"QUIT\r\n":
            return b"221 bye\r\n"
        if line != b"DATA\r\n":
            return b"250-yes\r\n250 fine\r\n"
        connection.sendall(b"354 go on\r\n")
        text = b""
        while (piece := lines.readline()) != b".\r\n":
            text += piece
        self.messages.append(text)
        return self._verdict + b"\r\n"

    def stored(self, expected: int) -> int:
        return len(self.messages)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)


@pytest.fixture
def toy():
    """Makes toys, and closes them."""
    made = []

    def make(**more) -> Toy:
        made.append(Toy(**more))
        return made[-1]

    yield make
    for server in made:
        server.close()


@pytest.mark.parametrize("kind", ["each", "one"])
def test_a_load_delivers_what_it_says(toy, kind):
    server = toy()
    result = measure.delivered(server, kind=kind, clients=1, count=3, size=5000, dotted_every=5)
    assert result["done"] == len(result["latencies"]) == 3
    assert result["seconds"] >= sum(result["latencies"]) > 0
    message = sender.message(5000, 5)
    assert server.messages == [message.replace(b"\r\n.", b"\r\n..")] * 3
    assert message.count(b"\r\n.") in range(10, 14)  # a fifth of 64 lines


def test_who_is_told_421_comes_back(toy):
    result = measure.delivered(toy(refusals=2), kind="each", clients=1, count=2, size=1000)
    assert (result["done"], result["refused"]) == (2, 2)


def test_a_refused_message_fails_the_bench(toy):
    with pytest.raises(measure.Lost, match="451 no room"):
        measure.delivered(toy(verdict=b"451 no room"), kind="each", count=1, size=1000)


def test_a_message_that_is_lost_fails_the_bench(toy):
    server = toy()
    measure.delivered(server, kind="each", count=2, size=1000)
    server.messages.pop()
    with pytest.raises(measure.Lost, match="acknowledged 4 messages and keeps 3"):
        measure.delivered(server, kind="each", count=2, size=1000)


@pytest.mark.parametrize("size", [60, 127, 128, 129, 1024, 102_400])
@pytest.mark.parametrize("dotted_every", [0, 20])
def test_messages_have_the_size_that_was_asked_for(size, dotted_every):
    message = sender.message(size, dotted_every)
    assert len(message) == size and message.endswith(b"\r\n")
    assert max(map(len, message.split(b"\r\n"))) <= 76 + 2


def test_shares_are_all_of_it():
    assert sender.shares(10, 4) == [2, 2, 3, 3]


def test_an_mbox_that_grows_is_counted_to_the_end(tmp_path):
    text = b"From a\n\nFrom inside\n>From quoted\n\n" * 20
    mbox = Mbox(tmp_path / "mbox")
    assert mbox.count() == 0
    cuts = sorted(random.Random(1).sample(range(len(text)), 50))
    with open(mbox.path, "ab", buffering=0) as file:
        for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True):
            file.write(text[start:end])
            assert mbox.count() == (b"\n" + text[:end]).count(b"\nFrom ")
    assert mbox.count() == 40


def test_runs_take_turns():
    turns = []
    servers = [SimpleNamespace(name="a"), SimpleNamespace(name="b")]
    results = measure.interleaved(servers, 3, lambda server: turns.append(server.name)
                                  or len(turns))
    assert turns == ["a", "b"] * 3
    assert results == {"a": [1, 3, 5], "b": [2, 4, 6]}


def test_median_and_quantile():
    assert measure.median([{"seconds": value} for value in (9, 1, 2)]) == 2
    values = list(range(100, 0, -1))
    assert [measure.quantile(values, share) for share in (0.5, 0.99, 1)] == [50, 99, 100]
    assert measure.quantile([7], 0.5) == 7


def test_figures_and_sizes():
    assert [report.figure(value) for value in (0.0312, 1.234, 12.34, 1234.5)] == [
        "0.03", "1.23", "12.3", "1,234"]
    assert [report.human(size) for size in (10, 1024, 102_400, 5 << 20, 1500)] == [
        "10", "1 KB", "100 KB", "5 MB", "1,500"]


def test_a_table_is_markdown():
    table = report.Table("What", ["a", "bcd"], [["1", "2"], ["three", "4"]])
    assert table.markdown().splitlines() == [
        "**What**", "", "| a     | bcd |", "|-------|-----|", "| 1     | 2   |",
        "| three | 4   |"]
    table.rows.append(["one cell"])
    with pytest.raises(ValueError, match="2 cells"):
        table.markdown()


def test_a_server_that_is_not_here_is_left_out(tmp_path):
    def postfix(folder):
        raise Unavailable("not installed")

    context = Context(tmp_path)
    with context.running(postfix, lambda folder: nullcontext(folder)) as servers:
        assert servers == [tmp_path / "2"]
    assert context.skipped() == "\n\nPostfix: skipped, not installed."


def runs(seconds: float, count: int = 10) -> list[dict]:
    """Three runs as the sections get them."""
    return [{"seconds": seconds * factor, "kept": seconds * factor, "done": count, "refused": 1,
             "large_done": 0, "latencies": []} for factor in (1, 1, 99)]


def results(ours: float, theirs: float) -> report.Section:
    """The section of mail in, where picopost takes `ours` and aiosmtpd `theirs` seconds."""
    found = {(kind, size, clients): {"aiosmtpd": runs(theirs), "picopost": runs(ours)}
             for kind in ("each", "one") for size in (1024, 5 << 20) for clients in (1, 4, 8)}
    return smtp_section.section(found)


def test_targets_are_missed_and_met():
    assert [target.met for target in results(1.0, 1.9).targets] == [False, False]
    assert [target.met for target in results(1.0, 2.1).targets] == [True, True]


@pytest.mark.parametrize("theirs", [(3, 1.5), (1.5, 3)])
def test_one_bad_case_misses_a_target(theirs):
    found = {(kind, 1024, 1): {"aiosmtpd": runs(seconds), "picopost": runs(1)}
             for kind, seconds in zip(("each", "one"), theirs, strict=True)}
    [target] = smtp_section.section(found).targets
    assert (target.met, target.measured) == (False, ", ".join(f"{times:.2f}" for times in theirs))


def test_every_function_is_of_one_group():
    symbols = [(30.0, ".", "gc_mark_subtree"), (5.0, ".", "gc_collect_end"), (9.0, ".", "gc_alloc"),
               (4.0, ".", "mp_execute_bytecode"), (3.0, ".", "0x00007fe623a01000"),
               (20.0, ".", "mp_map_lookup"), (10.0, "k", "gc_alloc"), (11.0, "k", "iowrite16")]
    assert list(profile_section.groups(symbols).values()) == [35, 9, 4, 3, 20, 21]


def test_without_a_rival_a_target_is_not_measured():
    found = {("each", 1024, 1): {"picopost": runs(1)}}
    [target] = smtp_section.section(found).targets
    assert target.met is None


def test_the_report_is_written(tmp_path):
    section = results(0.5, 1.9)
    section.charts.clear()
    text = report.write({"smtp": section}, {"machine": "this"}, tmp_path)
    assert text == (tmp_path / "bench.md").read_text()
    assert "| 20.0/s, 0.02 MB/s, 3 x 421 |" in text
    written = json.loads((tmp_path / "bench.json").read_text())
    assert written["about"] == {"machine": "this"}
    assert [target["verdict"] for target in written["targets"]] == ["met", "met"]
    assert written["sections"]["smtp"]["each, 1 KB, 4 senders"]["picopost"] == runs(0.5)


def test_plots_are_svg(tmp_path):
    pytest.importorskip("pygal", reason="`make bench` installs it")
    section = results(0.5, 1.9)
    section.charts.append(report.Chart("lines", "Lines", "s", [10, 100], {
        "in": [1.0, 2.0], "out": [None, 0.5]}, logarithmic=True))
    text = report.write({"smtp": section}, {}, tmp_path)
    for name in ("smtp-1KB", "smtp-5MB", "lines"):
        assert f"]({name}.svg)" in text
        root = ElementTree.parse(tmp_path / f"{name}.svg").getroot()
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        shown = "".join(root.itertext())
        assert "picopost" in shown or "out" in shown
        assert "<script" not in (tmp_path / f"{name}.svg").read_text()


HEAP_WATCH = Path(__file__).with_name("heap_watch.py")


def no_fsync(folder) -> Picopost:
    return Picopost(folder, durable=False)


@pytest.fixture
def folder():
    """A folder that others may look into, whose path is short enough for sockets."""
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="picopost-bench-") as path:
        yield open_folder(path)


@pytest.mark.parametrize("make", [Aiosmtpd, Postfix, Picopost, no_fsync])
def test_a_small_run(folder, make):
    """Servers start, keep what they are sent, and end with all their processes."""
    try:
        server = make(folder / "server")
    except Unavailable as error:
        pytest.skip(str(error))
    with server:
        for kind in ("each", "one"):
            result = measure.delivered(server, kind=kind, clients=2, count=4, size=3000)
            assert result["done"] == 4
        assert server.stored(8) == 8
        members = family(server.pid)
        assert memory(server.pid)["peak"] >= memory(server.pid)["pss"] > 1000
    assert not [pid for pid in members if Path(f"/proc/{pid}").exists()]


def test_the_heap_can_be_asked_for(folder):
    """What is watched is there to be watched: firmware that changes does not end the bench."""
    with Picopost(folder / "ours", main=HEAP_WATCH) as ours:
        measure.delivered(ours, kind="each", count=1, size=1 << 20)
        measure.read(ours, numbers=[1])
        (ours.folder / "flash" / "ask").touch()
        event = ours.running.wait_for("heap")
        assert event["peak"] >= event["level"] > 100_000


def test_the_same_message_comes_out(folder):
    """picopost's mail, exported, and read from both servers."""
    with Picopost(folder / "ours") as ours:
        measure.delivered(ours, kind="each", count=2, size=3000, dotted_every=5)
        box = ours.export("girl", folder / "box")
        mine = measure.read(ours, numbers=[1, 2], stats=2)
        assert (mine["messages"], len(mine["sizes"])) == (2, 2)
        try:
            theirs = Dovecot(folder / "theirs", {"girl": box})
        except Unavailable as error:
            pytest.skip(str(error))
        with theirs:
            other = measure.read(theirs, numbers=[1, 2])
            members = family(theirs.pid)
        assert not [pid for pid in members if Path(f"/proc/{pid}").exists()]
    assert (other["messages"], other["octets"]) == (2, mine["octets"])
    assert max(abs(a - b) for a, b in zip(mine["sizes"], other["sizes"], strict=True)) < 64
