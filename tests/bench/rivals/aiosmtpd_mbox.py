"""What people write instead: aiosmtpd that appends each message to an mbox file, synced.

    python aiosmtpd_mbox.py PORT MBOX

As little as is right: a From_ line, From_ quoting, LF line ends, and an fsync before the 250.
"""

import asyncio
import os
import sys
import time

from aiosmtpd.controller import UnthreadedController
from aiosmtpd.smtp import SMTP

_MAX_SIZE = 200 << 20


class Mbox:
    """A handler with one mailbox for everybody."""

    def __init__(self, path: str):
        self._file = open(path, "ab", buffering=0)

    async def handle_DATA(self, server: SMTP, session, envelope) -> str:  # noqa: N802
        text = envelope.content.replace(b"\r\n", b"\n")
        text = (b"\n" + text).replace(b"\nFrom ", b"\n>From ")
        head = b"From %s %s" % (envelope.mail_from.encode(), time.asctime().encode())
        self._file.write(head + text + b"\n")
        os.fsync(self._file.fileno())
        return "250 2.0.0 kept"


def main() -> None:
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    controller = UnthreadedController(Mbox(sys.argv[2]), hostname="127.0.0.1",
                                      port=int(sys.argv[1]), loop=loop,
                                      data_size_limit=_MAX_SIZE)
    controller.begin()
    print("ready", flush=True)
    loop.run_forever()


if __name__ == "__main__":
    main()
