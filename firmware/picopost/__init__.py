import sys


def unload(name):
    """Let a module (its full name) that has done its work leave the heap; an import brings it back.

    Who still refers to what is in it keeps that.
    """
    parent, _, child = name.rpartition(".")
    if name in sys.modules:
        del sys.modules[name]
        delattr(sys.modules[parent], child)
