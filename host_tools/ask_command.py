"""`python -m host_tools status`, `users`, `log`: what a board that serves says of itself."""

from __future__ import annotations

import argparse
import json

from host_tools import events
from host_tools.card.finding import printable
from host_tools.device import ask, choice


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "The board goes on."
    choice.arguments(parser)


def status_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `status`."""
    _arguments(parser)
    parser.add_argument("what", nargs="?", choices=["card"],
                        help="`card`: read from its card too, to see how fast, and whether all is "
                             "right")
    parser.add_argument("--json", action="store_true", help="one JSON object a part")


def users_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `users`."""
    _arguments(parser)


def log_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `log`."""
    _arguments(parser)


def status(options: argparse.Namespace) -> int:
    """A line a part; raises UserError."""
    command = "status card" if options.what else "status"
    for event in ask.answers(choice.port(options).device, command):
        if isinstance(event, dict):
            if options.json:
                print(json.dumps(event), flush=True)
            else:
                print(f"{event.pop('part'):<10} " + "  ".join(
                    f"{key}={printable(str(value))}" for key, value in event.items()
                    if key not in ("event", "time") and value != ""), flush=True)
    return 0


def users(options: argparse.Namespace) -> int:
    """A line an account; raises UserError."""
    return _show(options, "users")


def log(options: argparse.Namespace) -> int:
    """The last events; raises UserError."""
    for line in ask.answers(choice.port(options).device, "log"):
        event = isinstance(line, str) and events.parse(line)
        print(printable(events.shown(event, kept=True) if event else str(line)), flush=True)
    return 0


def _show(options: argparse.Namespace, command: str) -> int:
    for line in ask.answers(choice.port(options).device, command):
        if isinstance(line, str):
            print(printable(line), flush=True)
    return 0
