"""A command at the console: loaded for the moment, like what it takes to answer it.

Lines of text are marked by "| ", so that none, whatever is in a letter, passes for an event; what
is for programs has the form of one (event_log.py). Behind an answer comes `answered`, whose `why`
says what went wrong.
"""

import asyncio
import errno
import select
import sys
import time

from picopost import event_log, limits, load

# A command's first word, the module that answers it, and what `help` says.
_COMMANDS = (
    ("mail", "mail", "mailboxes; `mail NAME` its newest messages, `mail NAME 1-50` those"),
    ("", "", "`mail NAME 3` one to read, `mail NAME 3 save 1` what is attached to it, as base64"),
    ("", "", "`mail NAME 3 delete` it, for good"),
    ("status", "status", "how the appliance is; `status card` reads from its card too"),
    ("users", "users", "accounts"),
    ("log", "recent", "the last events"),
    ("help", "", "this; a command ends at \"q\", all of it at Ctrl-C"),
)


async def run(command, parts):
    """Answer a command (octets); what went wrong, or "".

    `parts`: a dict of `board`, and as they come to be there of `office`, `link`, `up` (seconds
    since then), `server`, `identity`, `ports` by service, and `time_server`. Raises OSError,
    MemoryError.
    """
    out = Output()
    words = command.decode().split()
    for name, module, _ in _COMMANDS:
        if module and name == words[0]:
            return await load("picopost.console." + module).answer(out, words[1:], parts) or ""
    for name, _, says in _COMMANDS:
        await out.text("%-7s %s" % (name, says))
    return "" if words[0] == "help" else "no such command"


class Output:
    """The console, for lines: each goes out whole, between those of events."""

    def __init__(self):
        self._room = select.poll()
        self._room.register(sys.stdout, select.POLLOUT)
        self._turn = time.ticks_ms()

    async def text(self, line):
        """A line of text (str) without controls: charsets.in_a_line."""
        await self.octets(b"| %s\n" % line)

    async def event(self, event, **fields):
        """A line in the form of an event, which is none: it does not stay in the log."""
        await self.octets(event_log.line(event, fields))

    async def octets(self, line):
        """A whole line, its mark and its line end in it. OSError when nobody reads."""
        await self.wait()
        sys.stdout.write(line)

    async def wait(self):
        """Let others run, and wait until a line can go out.

        A host that has the port open and does not read fills USB's buffer; a write would then stand
        for half a second (mp_usbd_cdc_tx_strn). Nobody at the port is no hindrance: what is written
        is lost.
        """
        if time.ticks_diff(time.ticks_ms(), self._turn) >= limits.TURN:
            await asyncio.sleep_ms(0)
            self._turn = time.ticks_ms()
        since = time.ticks_ms()
        while not self._has_room():
            if time.ticks_diff(time.ticks_ms(), since) > limits.CONSOLE_WAIT:
                raise OSError(errno.ETIMEDOUT, "nobody reads the console")
            await asyncio.sleep_ms(10)

    def _has_room(self):
        for _ in self._room.ipoll(0):
            return True
        return False
