# Runs in a MicroPython of 64 or of 32 bits (heap_budget.py): imports what it is told, part by part,
# and prints a line of JSON for each: what it takes of the heap, and what of that stays when it is
# unloaded. Lines of qstr_info() tell of its names, before it and after. PARTS, TREE and IMAGE are
# set before. Chips and sockets are stand-ins: what is imported only refers to them.
#
# `measure` stops wherever the garbage has to go before the next look at the heap, for the build of
# 32 bits collects only while no Python runs (import_probe.mjs).
import gc
import json
import micropython
import sys

# In every board's image, most of them in C; the build of 32 bits has some in Python.
import array  # noqa: F401
import asyncio  # noqa: F401
import binascii  # noqa: F401
import collections  # noqa: F401
import errno  # noqa: F401
import hashlib  # noqa: F401
import io  # noqa: F401
import os  # noqa: F401
import select  # noqa: F401
import struct  # noqa: F401
import time  # noqa: F401


class Anything:
    def __init__(self, *arguments, **named):
        pass


class Stub:
    def __getattr__(self, name):
        return Anything


for name in ("machine", "network", "socket", "ssl", "tls"):
    sys.modules[name] = Stub()

if IMAGE:  # noqa: F821
    import vfs

    with open(IMAGE, "rb") as file:  # noqa: F821
        image = file.read()  # a board has it in flash: before the first look at the heap
    vfs.mount(vfs.VfsRom(memoryview(image)), "/rom")
    sys.path[:0] = ["/rom", "/rom/lib"]
else:
    sys.path[:0] = [TREE, TREE + "/lib"]  # noqa: F821


scripts = []  # their globals stay, as __main__'s do


def run(path):
    # As the board does with its main.py, but that nothing is served.
    from picopost import appliance

    appliance.main = lambda *arguments: None
    with open(path) as file:
        source = file.read()
    scripts.append({})
    exec(compile(source, path, "exec"), scripts[-1])


def unload(known):
    for name in [name for name in sys.modules if name not in known]:
        module = sys.modules.pop(name)
        parent, _, child = name.rpartition(".")
        if parent in sys.modules and getattr(sys.modules[parent], child, None) is module:
            delattr(sys.modules[parent], child)


def measure():
    # What this itself takes is taken in the first round, which is of nothing.
    for part, modules, stays in [["", [], True]] + PARTS:  # noqa: F821
        known = set(sys.modules)
        yield
        micropython.qstr_info()
        before = gc.mem_alloc()
        for module in modules:
            if module.endswith(".py"):
                run(TREE + "/" + module)  # noqa: F821
            else:
                __import__(module)
        yield
        micropython.qstr_info()
        takes = leaves = gc.mem_alloc() - before
        brings = [name for name in sys.modules if name not in known]
        if not stays:
            unload(known)
            yield
            leaves = gc.mem_alloc() - before
        if part:
            print(json.dumps({"part": part, "takes": takes, "leaves": leaves, "brings": brings}))


steps = measure()


def step():
    return next(steps, True)
