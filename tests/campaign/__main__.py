"""The power-cut campaign: `python -m tests.campaign`, from the project's directory.

Records a workload on the emulated board, then cuts the power at every block that it wrote, in
several ways each (cuts.py), and looks whether every promise is kept. What was done stands in
build/campaign/<key>; the same command goes on from there, and the key is another one as soon as
firmware or campaign change.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from host_tools import firmware_build
from tests.campaign.cuts import Choice, Cut
from tests.campaign.judge import summary
from tests.campaign.record import CARDS, Record
from tests.campaign.replay import Replay
from tests.campaign.run import Campaign, key, prepare

FOLDER = firmware_build.BUILD / "campaign"


def main() -> int:
    """Exit status 1 when a cut failed, 2 for a wrong command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.campaign",
                                     description="Cut the power at every block write.")
    parser.add_argument("--card", choices=CARDS, action="append",
                        help="4 GB with 32 KB clusters, or 512-octet clusters (default: both)")
    parser.add_argument("--thorough", action="store_true",
                        help="every tear and order of writes, up to 64 of each at a block")
    parser.add_argument("--seed", type=int, default=1, help="chooses the cuts (default: 1)")
    parser.add_argument("--every", type=int, default=1, metavar="N",
                        help="only each Nth block write")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="VMs (default: 2)")
    parser.add_argument("--time", type=float, metavar="S", help="stop after S seconds")
    parser.add_argument("--fresh", action="store_true", help="forget what was done before")
    parser.add_argument("--only", metavar="I,VARIANT",
                        help="one cut, with all that can be said of it: I,clean I,torn:N "
                             "I,reorder:K I,again:N:T:S; wants --card or --record")
    parser.add_argument("--record", type=Path, metavar="FOLDER",
                        help="use the record that was saved there; with --only on the firmware "
                             "as it is now")
    options = parser.parse_args()
    if options.only:
        try:
            cut = Cut.parse(options.only)
        except ValueError as error:
            parser.error(str(error))
        if not options.record and len(options.card or ()) != 1:
            parser.error("--only wants --card or --record")
        return _only(cut, options.record or FOLDER / key() / options.card[0])
    if options.record:
        folders = [options.record]
    else:
        folders = [prepare(FOLDER / key() / kind, kind, options.fresh)
                   for kind in options.card or CARDS]
    campaign = Campaign(FOLDER, folders, Choice(options.seed, options.thorough), options.every,
                        options.jobs, options.time)
    return campaign.run()


def _only(cut: Cut, folder: Path) -> int:
    try:
        record = Record.load(folder)
    except FileNotFoundError:
        print(f"no record in {folder}; run the campaign first", file=sys.stderr)
        return 2
    if not 0 <= cut.position <= len(record.writes):
        print(f"the record has {len(record.writes)} writes", file=sys.stderr)
        return 2
    with Replay(record, folder / "only.img") as replay:
        outcome = replay.play(cut, checked=True)
        print(f"{cut}: {replay.place(cut)}")
        if cut.position < len(record.writes):
            block, data, settled = record.writes[cut.position]
            old = replay.block(block)
            changed = [at for at in range(len(old)) if old[at] != data[at]]
            print(f"write {cut.position} of {len(record.writes)}: block {block}, CMD13s before it: "
                  f"{settled}; changes {len(changed)} octets"
                  + (f", {changed[0]} to {changed[-1]}" if changed else ""))
        for line in outcome.log:
            print("  " + line)
        for name, rows in (outcome.result or {}).get("second", {}).items():
            print(f"{name}: " + ("out of order" if rows is None else f"{len(rows)} messages"))
        if outcome.failures:
            print("FAILED " + summary(outcome.failures))
        image = folder / f"cut-{str(cut).replace(',', '-').replace(':', '-')}.img"
        replay.save(cut, image)
        print(f"the card as the cut left it: {image}")
    return 1 if outcome.failures else 0


if __name__ == "__main__":
    sys.exit(main())
