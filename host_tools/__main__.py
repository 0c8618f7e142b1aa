"""The host tools' command line: `python -m host_tools COMMAND`."""

from __future__ import annotations

import argparse
import sys

from host_tools import (
    ask_command,
    backup_command,
    boards_command,
    card_command,
    compile_command,
    console_command,
    deploy_command,
    doctor_command,
    flash_command,
    logs_command,
    mail_command,
    restore_command,
    run_command,
    trace_command,
    user_command,
    wipe_command,
)
from host_tools.errors import UserError

# command -> (what it does, adds its arguments, does it and returns the exit status)
COMMANDS = {
    "backup": ("copy a board's mail to this computer", backup_command.arguments,
               backup_command.run),
    "boards": ("check the boards' definitions, show and draw their wiring",
               boards_command.arguments, boards_command.run),
    "card": ("check, list, export and repair the mail on a card", card_command.arguments,
             card_command.run),
    "compile": ("compile every firmware file for the board and for the VM",
                compile_command.arguments, compile_command.run),
    "console": ("MicroPython's prompt on a board", console_command.arguments,
                console_command.run),
    "deploy": ("from a bare board to a running inbox, or to another version",
               deploy_command.arguments, deploy_command.run),
    "doctor": ("what is wrong with an appliance, and what to do", doctor_command.arguments,
               doctor_command.run),
    "flash": ("put MicroPython on a board", flash_command.arguments, flash_command.run),
    "log": ("the last events of a board that serves", ask_command.log_arguments, ask_command.log),
    "logs": ("show what a board's firmware says", logs_command.arguments, logs_command.run),
    "mail": ("list, read, save and delete mail on a board that serves", mail_command.arguments,
             mail_command.run),
    "restore": ("put a backup on a board's card", restore_command.arguments, restore_command.run),
    "run": ("run the appliance on an emulated board", run_command.arguments, run_command.run),
    "status": ("how a board that serves is", ask_command.status_arguments, ask_command.status),
    "trace": ("where a message came from, and what looks forged", trace_command.arguments,
              trace_command.run),
    "user": ("add, change, remove and list accounts", user_command.arguments, user_command.run),
    "users": ("the accounts of a board that serves", ask_command.users_arguments,
              ask_command.users),
    "wipe": ("remove picopost from a board", wipe_command.arguments, wipe_command.run),
}


def main() -> int:
    """Parse, dispatch, and turn what the user can mend into one line and status 1."""
    parser = argparse.ArgumentParser(prog="python -m host_tools", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, (summary, arguments, _) in COMMANDS.items():
        arguments(commands.add_parser(name, help=summary, description=summary))
    options = parser.parse_args()
    try:
        return COMMANDS[options.command][2](options)
    except UserError as error:
        print(f"{parser.prog} {options.command}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{parser.prog} {options.command}: stopped", file=sys.stderr)
        return 130  # as shells have it


if __name__ == "__main__":
    sys.exit(main())
