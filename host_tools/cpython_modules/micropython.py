"""Stands in for MicroPython's `micropython` where firmware modules run under CPython.

Modules in native code (`@micropython.viper`) raise ImportError, as where they are left out of a
build, and their plain twins serve.
"""


def const(value):
    return value


def __getattr__(name):
    if name in ("viper", "native"):
        raise ImportError("no native code here")
    raise AttributeError(name)
