"""Many cuts: resumable, in several VMs at once, with a progress line and a report at the end."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import shutil
import sys
import time
from collections import Counter
from pathlib import Path

from host_tools import firmware_build
from tests.campaign.cuts import KINDS, Choice
from tests.campaign.judge import by_kind
from tests.campaign.record import Record
from tests.campaign.replay import Outcome, Replay

_CHUNK = 8  # positions that a process takes at a time
_EXAMPLES = 3  # of each class of failures in the report
_LOG_LINES = 12


def key() -> str:
    """Names the firmware and the campaign as they are now."""
    digest = hashlib.sha256()
    for top in (firmware_build.FIRMWARE, Path(__file__).parent):
        for path in sorted(top.rglob("*.py")):
            digest.update(f"{path.relative_to(top)}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def prepare(folder: Path, card_kind: str, fresh: bool = False) -> Path:
    """Make sure that `folder` has a record of the present firmware, and that firmware compiled."""
    if fresh and folder.exists():
        shutil.rmtree(folder)
    if not (folder / "ledger.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        print(f"{card_kind}: recording", flush=True)
        before = key()
        firmware_build.build(folder / "firmware", firmware_build.vm_arch(), with_wiznet=False)
        record = Record.make(card_kind, folder)
        if key() != before:
            raise SystemExit("the firmware changed while it was being recorded; run again")
        record.save(folder)
    return folder


class Campaign:
    """The cuts that `choice` takes at each `every`th write of the records in `folders`."""

    def __init__(self, top: Path, folders: list[Path], choice: Choice, every: int, jobs: int,
                 seconds: float | None):
        self._top = top
        self._folders = folders
        self._choice = choice
        self._every = every
        self._jobs = jobs
        self._stop_at = time.monotonic() + seconds if seconds else float("inf")

    def run(self) -> int:
        """Do what is left, report all of it; the exit status."""
        self._top.mkdir(parents=True, exist_ok=True)
        reports = [self._card(folder) for folder in self._folders]
        path = self._top / "report.json"
        path.write_text(json.dumps(reports, indent=1) + "\n")
        for report in reports:
            _show(report)
        print(f"report: {path}")
        return 1 if any(report["classes"] for report in reports) else 0

    def _card(self, folder: Path) -> dict:
        record = Record.load(folder)
        state = folder / f"done-{self._choice}.jsonl"
        wanted = range(0, len(record.writes) + 1, self._every)
        done = _read_state(state)
        positions = [position for position in wanted if position not in done]
        if positions and time.monotonic() < self._stop_at:
            with open(state, "a", buffering=1) as file:
                file.write("\n")  # ends a line that was cut off with the campaign
                self._work(record, folder, positions, done, file)
        done = {position: done[position] for position in wanted if position in done}
        return _report(record, folder, done, len(wanted))

    def _work(self, record: Record, folder: Path, positions: list[int], done: dict, file) -> None:
        chunks = [positions[at : at + _CHUNK] for at in range(0, len(positions), _CHUNK)]
        progress = _Progress(record.card_kind, len(positions))
        # Processes, for literal_eval of CPython 3.11 fails when threads use it at the same time.
        pool = multiprocessing.get_context("spawn").Pool(
            self._jobs, _start_job, (folder, self._choice))
        try:
            for entries in pool.imap_unordered(_do, chunks):
                for entry in entries:
                    done[entry["position"]] = entry
                    file.write(json.dumps(entry) + "\n")
                    progress.step(entry)
                if time.monotonic() > self._stop_at:
                    break
        except KeyboardInterrupt:
            self._stop_at = 0.0
        finally:
            pool.terminate()
            pool.join()
            progress.end()
            for image in folder.glob(f"job{os.getpid()}-*.img"):
                image.unlink()


_job: tuple[Replay, Choice] | None = None  # of a process of the pool


def _start_job(folder: Path, choice: Choice) -> None:
    global _job
    replay = Replay(Record.load(folder),
                    folder / f"job{os.getppid()}-{os.getpid()}.img", folder / "firmware")
    _job = replay, choice


def _do(positions: list[int]) -> list[dict]:
    """The entries of positions that come after all those this process has done."""
    return [_entry(*_job, position) for position in positions]


def _entry(replay: Replay, choice: Choice, position: int) -> dict:
    """What one position gave, as a line of the state file."""
    cuts: Counter = Counter()
    failed = []
    for outcome in replay.outcomes(position, choice):
        cuts[outcome.cut.kind] += 1
        if outcome.failures:
            failed.append(_failed(replay, outcome))
    return {"position": position, "cuts": cuts, "failed": failed}


def _failed(replay: Replay, outcome: Outcome) -> dict:
    return {"cut": str(outcome.cut), "place": replay.place(outcome.cut),
            "failures": by_kind(outcome.failures), "log": outcome.log[-_LOG_LINES:]}


def _read_state(path: Path) -> dict[int, dict]:
    done = {}
    if path.exists():
        for line in path.read_text().splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                continue  # empty, or cut off
            done[entry["position"]] = entry
    return done


def _report(record: Record, folder: Path, done: dict[int, dict], positions: int) -> dict:
    """Counts of a card, and for each class of failures how many cuts and the first of them."""
    cuts: Counter = Counter()
    failed: Counter = Counter()
    classes: dict[str, dict] = {}
    for entry in done.values():
        cuts.update(entry["cuts"])
        for each in entry["failed"]:
            kind = each["cut"].partition(",")[2].partition(":")[0]
            failed[kind] += 1
            for name in each["failures"]:
                found = classes.setdefault(f"{kind}, {each['place']}: {name}",
                                           {"cuts": 0, "first": []})
                found["cuts"] += 1
                if len(found["first"]) < _EXAMPLES:
                    found["first"].append(each)
    return {"card": record.card_kind, "folder": str(folder), "writes": len(record.writes),
            "deliveries": len(record.ledger.deliveries), "positions": positions,
            "done": len(done), "cuts": {kind: cuts[kind] for kind in KINDS},
            "failed": {kind: failed[kind] for kind in KINDS}, "classes": classes}


def _show(report: dict) -> None:
    print(f"{report['card']}: {report['writes']} block writes, {report['deliveries']} letters, "
          f"{report['done']} of {report['positions']} positions done")
    for kind in KINDS:
        print(f"  {kind:<8}{report['cuts'][kind]:>8} cuts{report['failed'][kind]:>8} failed")
    for name, found in sorted(report["classes"].items(), key=lambda item: -item[1]["cuts"]):
        first = found["first"][0]
        print(f"  FAILED {name}: {found['cuts']} cuts, first {first['cut']}\n"
              f"    {first['failures'][name.rpartition(': ')[2]]}\n"
              f"    python -m tests.campaign --record {report['folder']} --only {first['cut']}")


class _Progress:
    """A line that is written over on a terminal, or one line for each tenth."""

    def __init__(self, name: str, positions: int):
        self._name = name
        self._positions = positions
        self._done = self._cuts = self._failed = 0
        self._began = time.monotonic()
        self._terminal = sys.stdout.isatty()

    def step(self, entry: dict) -> None:
        """One position is done."""
        self._done += 1
        self._cuts += sum(entry["cuts"].values())
        self._failed += len(entry["failed"])
        tenth = self._done * 10 // self._positions != (self._done - 1) * 10 // self._positions
        if self._terminal or tenth:
            left = (time.monotonic() - self._began) / self._done * (self._positions - self._done)
            print(f"{self._name}: {self._done}/{self._positions} positions, {self._cuts} cuts, "
                  f"{self._failed} failed, {left:.0f} s left ",
                  end="\r" if self._terminal else "\n", flush=True)

    def end(self) -> None:
        """Leave the line."""
        if self._terminal:
            print()
