# Runs in a MicroPython of 64 or of 32 bits (heap_budget.py): imports what it is told, part by part,
# and prints a line of JSON for each: what it takes of the heap, and what of that stays when it is
# unloaded. Lines of qstr_info() tell of its names, before it and after. PARTS, TREE and IMAGE are
# set before. Chips and sockets are stand-ins: what is imported only refers to them.
#
# `measure` stops wherever the garbage has to go before the next look at the heap, for the build of
# 32 bits collects only while no Python runs (import_probe.mjs).
import asyncio  # noqa: F401  in every image
import gc
import json
import micropython
import sys


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
