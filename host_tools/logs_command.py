"""`python -m host_tools logs`: what a board's firmware says, as it comes."""

from __future__ import annotations

import argparse
import json
import os
import sys

from host_tools import events
from host_tools.device import choice
from host_tools.device.lines import lines
from host_tools.errors import UserError


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.epilog = "The firmware goes on. Ctrl-C ends this, nothing else."
    choice.arguments(parser)
    parser.add_argument("--json", action="store_true",
                        help='one JSON object an event; what is none is {"event": "console"}')


def run(options: argparse.Namespace) -> int:
    """Until Ctrl-C; raises UserError."""
    port = choice.port(options)
    if not os.path.exists(port.device):
        raise UserError(f"there is no port {port.device}")
    if not os.access(port.device, os.R_OK | os.W_OK):
        raise UserError(f"port {port.device} is not yours to read: on Linux, be in the group "
                        "`dialout`")
    gone = False

    def turn(there: bool) -> None:
        nonlocal gone
        if not there:
            gone = True
            print(f"{port.device} is gone or another program's, waiting for it ...",
                  file=sys.stderr, flush=True)
        elif gone:
            print(f"{port.device} is back", file=sys.stderr, flush=True)

    try:
        for line in lines(port.device, on_turn=turn):
            event = events.parse(line)
            if options.json:
                print(json.dumps(event or {"event": "console", "text": line}), flush=True)
            else:
                print(events.shown(event) if event else line, flush=True)
    except KeyboardInterrupt:
        pass
    return 0
