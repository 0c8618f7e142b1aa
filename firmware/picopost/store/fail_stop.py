"""The card as the file system sees it: the first error that its driver gives up on is the last.

An exception of a block device unwinds FatFs half-way: a file's position and its cluster no longer
agree, and the next seek goes to somebody else's cluster (seen with a failing disk, in the VM).
So nothing is asked of a volume after an error; it is mounted anew, with recovery, as after a
power cut. Where the heap was full in the midst of it, that is the same: a MemoryError unwinds as
far. Files left open would still write at their finalisation: see `shut`.
"""


class FailStop:
    """Block device around an SdCard. `failure` is None, or the arguments of its one OSError."""

    def __init__(self, card):
        self.card = card
        self.failure = None
        self._mute = False
        self._probe = bytearray(512)
        self._block = 0
        self._buf = None
        self._reads = self._reading()
        self.ready = card.ready

    def readblocks(self, block, buf):
        """As SdCard's; raises the first OSError again and again."""
        if self.failure:
            if self._mute:
                return
            raise OSError(*self.failure)
        self._block = block
        self._buf = buf
        error = next(self._reads)
        if error:
            self.fail(error)
            raise error

    def _reading(self):
        """Generator: one read each time, and what it raised or None.

        A function with a `try` takes its frame from the heap, 168 octets a call in the VM; mail on
        its way out would allocate more here than everywhere else. A generator has its frame once.
        """
        while True:
            error = None
            try:
                self.card.readblocks(self._block, self._buf)
            except BaseException as raised:
                error = raised
            yield error

    def writeblocks(self, block, buf):
        """As SdCard's; raises the first OSError again and again."""
        if self.failure:
            if self._mute:
                return
            raise OSError(*self.failure)
        try:
            self.card.writeblocks(block, buf)
        except BaseException as error:
            self.fail(error)
            raise

    def ioctl(self, operation, argument):
        """As SdCard's; raises the first OSError again and again."""
        if self.failure:
            if self._mute:
                return 0
            raise OSError(*self.failure)
        try:
            return self.card.ioctl(operation, argument)
        except BaseException as error:
            self.fail(error)
            raise

    def fail(self, error):
        """This, or a full heap (None), has unwound FatFs: what it wanted was not done, or half."""
        # Nothing here takes room in the heap, not even for a tuple of classes.
        if self.failure:
            return
        if isinstance(error, OSError):
            self.failure = error.args
        elif error is None or isinstance(error, MemoryError):
            self.failure = (12, "the heap was full while the card was at work")  # ENOMEM

    async def wait_ready(self):
        """Let others run while the card programs."""
        if self.failure:
            raise OSError(*self.failure)
        try:
            await self.card.wait_ready()
        except OSError as error:
            self.failure = self.failure or error.args
            raise

    def probe(self):
        """See whether the card is still there, by one block; what is wrong stands in `failure`."""
        try:
            self.readblocks(0, self._probe)
        except (OSError, MemoryError):
            pass

    def shut(self, file):
        """Close a file whose content is safe already, or lost; never raises.

        On a failed volume what it would still write goes nowhere, now rather than from the
        finaliser, when nobody is there to catch an exception.
        """
        try:
            file.close()
        except (OSError, MemoryError) as error:
            self.fail(error)
            self._mute = True
            try:
                file.close()
            except (OSError, MemoryError):
                pass
            finally:
                self._mute = False
