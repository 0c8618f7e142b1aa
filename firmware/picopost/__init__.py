import gc
import sys


class Misconfigured(ValueError):
    """What is on the flash cannot be served with; the text says what is wrong and what may be."""

    only_the_owner = True  # can mend it: main.py does not try again



def load(name):
    """A module by its full name, loaded in the midst of things if it is not there yet.

    The heap is tidied first: what stays of it, its names at least, shall lie low and not in the
    middle of what TLS needs in one piece.
    """
    if not sys.modules.get(name):
        # An import enters the name before it asks for the module's room. Where there was none the
        # name is there alone, and who imports it next gets a pointer to nothing.
        for other in sys.modules:
            if not sys.modules.get(other):
                sys.modules.pop(other, None)
        gc.collect()
        try:
            __import__(name)
        except ImportError as error:
            # That is all that an import says where main.py's file system found no room.
            raise MemoryError(name + ": " + str(error))
    return sys.modules[name]


def unload(name):
    """Let a module (its full name) that has done its work leave the heap; an import brings it back.

    Who still refers to what is in it keeps that.
    """
    parent, _, child = name.rpartition(".")
    if sys.modules.get(name):
        del sys.modules[name]
        delattr(sys.modules[parent], child)
