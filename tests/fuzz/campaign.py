"""The parts of a fuzzing campaign, each in a process of its own, and their report."""

from __future__ import annotations

import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from queue import Empty

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as with_seed

from tests.fuzz import dialogue, letters, replay, sockets
from tests.fuzz.leak import WARM_UP, Leak
from tests.fuzz.soak import Soak

LETTERS = "letters-"  # and a board: the kind whose examples are mailbags
_BATCH = 100  # examples for which hypothesis is started anew: it keeps what it has tried
_EVERY = 5.0  # s between two lines of progress
_QUIET = {"deadline": None, "database": None, "print_blob": False,
          "report_multiple_bugs": False,
          "suppress_health_check": list(HealthCheck)}


def fuzz(kind: str, strategy, player, count: Callable[[], int], goal: int, seed: int,
         stop_at: float = float("inf"), progress: Callable[[], None] = lambda: None) -> None:
    """Let `player` play examples until `count()` reaches `goal`, or time is up.

    Raises what the minimal example raised; it is in the folder `replay.FOLDER`, and so is the
    first one that failed, for what a server does may depend on more than the example.
    """
    while count() < goal and time.monotonic() < stop_at:
        _batch(kind, strategy, player, lambda: count() >= goal or time.monotonic() > stop_at, seed,
               progress)
        seed += 1


def _batch(kind: str, strategy, player, over: Callable[[], bool], seed: int,
           progress: Callable[[], None]) -> None:
    first: list = []
    last: list = []

    @with_seed(seed)
    @settings(max_examples=_BATCH, phases=(Phase.generate, Phase.shrink), **_QUIET)
    @given(strategy)
    def play(example):
        last[:] = [example]
        if not first and over():
            return
        try:
            player.play(example)
        except Exception as error:
            if not first:
                first.append(example)
                print(f"{kind}: {str(error)[:1000]}\n{kind}: looking for the least that fails; so "
                      f"far: {replay.save(kind + '-first', seed, example)}", flush=True)
            raise
        progress()

    try:
        play()
    except BaseException:
        if first:
            print(f"{kind}: python -m tests.fuzz --replay {replay.save(kind, seed, last[0])}",
                  flush=True)
        raise


def player_of(kind: str, folder: Path):
    """What plays examples of that kind; a context manager."""
    if kind == "dialogue":
        return dialogue.Player()
    card = folder / "card.img"
    if kind.startswith(LETTERS):
        return letters.Player(card, kind.removeprefix(LETTERS))
    return sockets.Player(card, kind)


def _part(kind: str, goal: int, seed: int, stop_at: float, report) -> None:
    """One part, to its end; tells `report` (kind, counts, failure or None, finished?)."""
    told = 0.0
    player = None

    def tell(failure=None, finished=False) -> None:
        nonlocal told
        if finished or time.monotonic() - told > _EVERY:
            told = time.monotonic()
            report.put((kind, counts(), failure, finished))

    def counts() -> dict[str, int]:
        if isinstance(player, dialogue.Player):
            return {"lines": player.drawn, "lines with repetitions": player.lines,
                    "dialogues": player.dialogues}
        if isinstance(player, sockets.Player):
            return {"lines": player.lines, "sessions": player.sessions, "letters": player.letters}
        if isinstance(player, letters.Player):
            return {"letters": player.letters, "octets": player.octets}
        return {}

    try:
        with tempfile.TemporaryDirectory() as folder, player_of(kind, Path(folder)) as player:
            if kind == "dialogue":
                fuzz(kind, dialogue.scripts(), player, lambda: player.drawn, goal, seed, stop_at,
                     tell)
            elif kind.startswith(LETTERS):
                fuzz(kind, letters.mailbags(), player, lambda: player.letters, goal, seed,
                     stop_at, tell)
            else:
                fuzz(kind, sockets.crowds(), player, lambda: player.lines, goal, seed, stop_at,
                     tell)
                player.check_all()
    except BaseException as error:
        tell(f"{type(error).__name__}: {error}", True)
        raise SystemExit(1) from None
    tell(None, True)


def run_parts(shares: dict[str, int], seed: int, seconds: float | None, jobs: int) -> bool:
    """Fuzz `shares` ({kind: lines, or letters}), `jobs` at a time; False when one failed."""
    began = time.monotonic()
    stop_at = began + seconds if seconds else float("inf")
    context = multiprocessing.get_context("spawn")
    report = context.Queue()
    waiting = list(shares.items())
    running: dict[str, multiprocessing.process.BaseProcess] = {}
    counts: dict[str, dict[str, int]] = {}
    failures: dict[str, str] = {}
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                kind, goal = waiting.pop(0)
                running[kind] = context.Process(target=_part,
                                                args=(kind, goal, seed, stop_at, report))
                running[kind].start()
            try:
                kind, counts[kind], failure, finished = report.get(timeout=1)
            except Empty:
                for kind, process in list(running.items()):
                    if not process.is_alive() and report.empty():
                        failures.setdefault(kind, f"ended with status {process.exitcode}")
                        del running[kind]
                continue
            print(f"{time.monotonic() - began:6.0f} s  {kind}: {_text(counts[kind])}", flush=True)
            if failure:
                failures[kind] = failure
            if finished:
                running.pop(kind).join()
    finally:
        for process in running.values():
            process.terminate()
    print(f"{sum(each.get('lines', 0) for each in counts.values())} lines, "
          f"{sum(each.get('letters', 0) for each in counts.values())} letters in "
          f"{time.monotonic() - began:.0f} s, {len(failures)} failures")
    for kind, failure in failures.items():
        print(f"FAILED {kind}: {failure}")
    return not failures


def _text(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def run_leak(service: str, sessions: int, seed: int) -> bool:
    """The leak test; False when the heap fills up or a session is not served."""
    return _run_sessions(f"leak, {service}", sessions, seed,
                         lambda card: Leak(card, seed, service), lambda leak: leak.judge())


def run_soak(board: str, sessions: int, seed: int) -> bool:
    """The soak; False when the heap is cut to pieces or fills up, or a session is not served."""
    return _run_sessions(f"soak, {board}", sessions, seed, lambda card: Soak(card, seed, board),
                         lambda soak: soak.judge_pieces() + (
                             f"\n{soak.judge()}" if sessions > WARM_UP else ""))


def _run_sessions(name: str, sessions: int, seed: int, make, judge) -> bool:
    began = told = time.monotonic()

    def progress(done: int) -> None:
        nonlocal told
        if time.monotonic() - told > _EVERY:
            told = time.monotonic()
            print(f"{told - began:6.0f} s  {name}: {done} sessions", flush=True)

    with tempfile.TemporaryDirectory() as folder, make(Path(folder) / "card.img") as run:
        try:
            run.run(sessions, progress)
            print(f"{name}: {judge(run)}; {time.monotonic() - began:.0f} s", flush=True)
            return True
        except AssertionError as error:
            print(f"FAILED {name} (seed {seed}): {error}", file=sys.stderr)
            return False
