"""Looking for octets in a block, with what Python has built in: for where no native code runs, and
for the tests to compare `octets_viper` with."""


def find(block, at, end, needle):
    """Where the bytes `needle` lie first in block[at:end]; -1: nowhere.

    `block` is a bytearray, bytes or a memoryview.
    """
    if isinstance(block, memoryview):  # has no find: copied, which costs less than the search
        found = bytes(block[at:end]).find(needle)
        return found + at if found >= 0 else -1
    return block.find(needle, at, end)


def count(block, at, end):
    """How many LF are in block[at:end]."""
    return block.count(b"\n", at, end)
