"""Budget: what a board's heap is spent on, and what is left of it."""

from __future__ import annotations

from host_tools import boards
from tests.bench import node_vm
from tests.bench.context import Context
from tests.bench.heap_budget import (
    FREE,
    FROZEN,
    LOOSE,
    PARTS,
    Budget,
    measure,
    resident,
)
from tests.bench.report import Section, Table, Target

_WHEN = {"": "for good", "start": "at the start", "sometimes": "now and then",
         "with room": "with room", "if wanted": "if wanted", "never": "by others"}
_TEXT = """\
Octets of heap. *loose*: .mpy files, loaded into the heap; *in place*: bytecode and the text of
constants and names stay where they lie (a file system of MicroPython's VfsRom); *frozen*: built
into the image, where constants, names and their tables take nothing either.

64 bits are measured in the VM. 32 bits, a board's, are measured with the same files in npm's
WebAssembly build of MicroPython, which runs no native code: of `crc` and `mboxrd` it has the plain
twins, and the sum has what the native ones take beyond them. Frozen is estimated: in place, less
the tables of names and the constants, as the files count them. What is made at the start and by a
session is measured in the VM on the emulated board, and estimated for 32 bits: buffers are as
large, all else is half. *At work* is at rest and five sessions in the midst of the letters that
cost most, the largest part that is loaded for a moment, a TLS handshake at its peak (3.6 KB), and a
mailbox that is compacted (8.2 KB), all at once. Negative: there is not enough."""


def budget(context: Context) -> Section:
    """Run it."""
    bits: tuple[int, ...] = (64, 32)
    try:
        node_vm.module()
    except node_vm.Unavailable as error:
        context.missing["32 bits"] = str(error)
        bits = (64,)
    return section({name: measure(name, bits) for name in boards.names()})


def section(found: dict[str, Budget]) -> Section:
    """Tables and targets."""
    result = Section("Budget", _TEXT)
    first = next(iter(found.values()))
    ways = list(first.imports)
    columns = [f"{bits}, {way}" for bits, way in ways]
    parts = Table("Modules, octets", ["part", "loaded", *columns])
    for part in PARTS:
        of = next((one for one in found.values()
                   if part.link in (None, one.definition["link"])), None)
        if of:
            parts.rows.append([part.name, _WHEN[part.when],
                               *(f"{of.imports[way][part.name].takes:,}" for way in ways)])
    for name, of in found.items():
        mine = of.parts()
        parts.rows.append([f"tables of names, {name}", "for good", *(
            f"{sum(of.imports[way][part.name].names for part in mine if part.stays):,}"
            for way in ways)])
    for name, of in found.items():
        parts.rows.append([f"**all for good, {name}**", "",
                           *(f"{resident(of.imports[way], of.parts()):,}" for way in ways)])
    result.tables.append(parts)
    for name, of in found.items():
        made = Table(f"Made at the start, and by a session beside its seat: {name}",
                     ["what", "64", "32, estimated"])
        made.rows += [[what, f"{cost.octets:,}", f"{cost.board:,}"]
                      for what, cost in {**of.start, **of.each}.items()]
        result.tables.append(made)
    sums = Table("A board's heap", ["board", "code", "heap", "modules", "made at the start",
                                    "free at rest", "at work", "free at work"])
    for name, of in found.items():
        for way, total in of.sums().items():
            sums.rows.append([name, way, f"{total.heap:,}", f"{total.loaded:,}",
                              f"{total.start:,}", f"{total.free(False):.0%}", f"{total.work:,}",
                              f"{total.free(True):.0%}"])
    result.tables.append(sums)
    for name, of in found.items():
        totals = of.sums()
        roomy = boards.chip_of(of.definition) is boards.RP2350
        for way, working in ((FROZEN, True), (LOOSE, roomy)):
            free = totals[way].free(working) if totals else None
            result.targets.append(Target(
                f"{name}, {way}: {FREE:.0%} of the heap free {'at work' if working else 'at rest'}",
                "" if free is None else f"{free:.0%}", None if free is None else free >= FREE))
    result.data = {name: {
        "imports": {f"{bits}, {way}": {part: vars(cost) for part, cost in of.items()}
                    for (bits, way), of in one.imports.items()},
        "start": {what: vars(cost) for what, cost in one.start.items()},
        "each": {what: vars(cost) for what, cost in one.each.items()},
        "sums": {way: vars(total) for way, total in one.sums().items()}}
        for name, one in found.items()}
    return result
