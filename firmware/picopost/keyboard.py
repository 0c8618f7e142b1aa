"""What is typed at the console: a line is a command for console/, while the service goes on.

Ctrl-C ends the firmware. A "?" where a line begins is answered by `ready` at once, for who comes
late, also while a command is at work. Of what else is typed then only "q" counts, which ends it.
"""

import asyncio
import sys

from picopost import event_log, limits, load, unload


class Stop(Exception):
    """Somebody at the console asked for the end (Ctrl-C), or it can end and has."""


async def watch(ready, parts):
    """Until Stop. `ready`: the fields of that event, none before it. `parts`: what commands are
    about, see console.run.
    """
    keys = asyncio.StreamReader(sys.stdin.buffer)
    work = None
    escape = False  # within an escape sequence, as an arrow's
    try:
        while True:
            try:
                key = await keys.read(1)
                if not key or key == b"\x03":
                    raise Stop
                if work and work.done():
                    work = None
                if key == b"?" and not event_log.typed:
                    if ready:
                        event_log.log("ready", **ready)
                elif work:
                    if key in b"qQ":
                        work.cancel()
                elif escape:
                    escape = key in b"[O;0123456789"  # ECMA-48 5.4, as far as keyboards go
                elif key == b"\x1b":
                    escape = True
                elif key in b"\r\n":
                    command, event_log.typed = event_log.typed.strip(), b""
                    if command:
                        sys.stdout.write(b"\n")
                        work = asyncio.create_task(_obey(command, parts))
                else:
                    _edit(key)
            except MemoryError:
                pass  # what was typed is lost, nothing else
    finally:
        event_log.typed = b""
        if work:
            work.cancel()
            try:
                await work
            except (asyncio.CancelledError, MemoryError):
                pass  # before it began; or it had no room for its last line


def _edit(key):
    typed = event_log.typed
    if key in b"\x08\x7f":
        if typed:
            event_log.typed = typed[:-1]
            sys.stdout.write(b"\x08 \x08")
    elif key == b"\x15":  # Ctrl-U: programs do not know what was typed before them
        if typed:
            event_log.typed = b""
            sys.stdout.write(b"\n")
    elif b" " <= key < b"\x7f" and len(typed) < limits.CONSOLE_LINE:
        event_log.typed = typed + key
        sys.stdout.write(key)


async def _obey(command, parts):
    """Do what a line says, and say when it is done. Whatever happens, the service goes on."""
    why = ""
    try:
        why = await load("picopost.console").run(command, parts)
    except asyncio.CancelledError:
        why = "stopped"
    except MemoryError:
        why = "the heap has no room for it now"
    except OSError as error:
        why = str(error)
    except Exception as error:
        why = "fault"
        event_log.fault("fault", error, service="console")
    finally:
        # MIME's too: who else is using one keeps what it refers to. Native code from a file is in
        # the heap for good (MicroPython's persistentcode.c keeps a list of it): once is enough.
        for name in sorted(sys.modules, reverse=True):  # the children first
            if (name.startswith("picopost.console") or name.startswith("picopost.mime.")
                    and not name.endswith("_viper")):
                unload(name)
    fields = {"command": command}
    if why:
        fields["why"] = why
    sys.stdout.write(event_log.line("answered", fields))
