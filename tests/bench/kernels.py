"""Cycles of the firmware's viper kernels on an emulated Cortex-M0+, without any firmware image.

    python -m tests.bench.rp2040

mpy-cross compiles the file for the RP2040 (armv6m). Its native code is taken out of the .mpy
(format 6 of MicroPython 1.24 and later: py/persistentcode.c, py/emitnative.c), put into the RAM of
rp2040py's RP2040, and called as the VM calls it. What it asks of the VM (conversions of arguments
and results, a global's value) is answered here and costs nothing. RAM has no wait states; code on
a board is copied to RAM too.
"""

from __future__ import annotations

import struct
import tempfile
from pathlib import Path

from host_tools.firmware_build import ARCHITECTURES, FIRMWARE, compile_file

HERTZ = 125_000_000

_BYTECODE, _NATIVE, _VIPER = 0, 1, 2  # kinds of code, less MP_CODE_BYTECODE
# The VM's table of functions for native code (py/nativeglue.h, mp_fun_kind_t).
_CONVERSIONS = (3, 4)  # of an argument to what viper wants, and of the result
_SWAP_GLOBALS = 5
_LOAD_GLOBAL = 7

_RAM = 0x2000_0000
_TABLE, _TRAPS, _STACK, _CODE, _DATA = (
    _RAM + 0x1000, _RAM + 0x2000, _RAM + 0x7000, _RAM + 0x8000, _RAM + 0x1_0000)
_TRAP_COUNT = 0x100
_RETURNED = _TRAPS + 2 * _TRAP_COUNT  # where the caller would go on
_MOST_STEPS = 10_000_000


class KernelError(Exception):
    """The code is not as expected, or does what is not known here."""


class _Reader:
    """The pieces of a .mpy file."""

    def __init__(self, data: bytes):
        self._data = data
        self._at = 0

    def octets(self, count: int) -> bytes:
        self._at += count
        return self._data[self._at - count : self._at]

    def number(self) -> int:
        value = 0
        while True:
            octet = self.octets(1)[0]
            value = value << 7 | octet & 0x7F
            if octet < 0x80:
                return value

    def skip_name(self) -> None:
        length = self.number()
        if not length & 1:
            self.octets((length >> 1) + 1)  # else a name that every VM has

    def skip_object(self) -> None:
        kind = self.octets(1)[0]
        if kind == 10:  # a tuple
            for _ in range(self.number()):
                self.skip_object()
        elif kind > 4:  # not one of None, False, True, Ellipsis and the function table
            self.octets(self.number() + (kind in (5, 6)))  # str and bytes end in a NUL

    def viper(self) -> list[bytes]:
        """The native code of each viper function here, in the order of the source."""
        head = self.number()
        count = head >> 3
        code = self.octets(count)
        found = []
        kind = head & 3
        if kind == _VIPER:
            found.append(code)
        if kind == _NATIVE:
            self.number()  # where its prelude is
        elif kind == _VIPER:
            self.number()  # flags of its scope
        elif kind != _BYTECODE:
            raise KernelError(f"code of kind {kind}")
        if head & 4:
            for _ in range(self.number()):
                found += self.viper()
        return found


def viper_code(source: Path) -> list[bytes]:
    """The armv6m code of each viper function of a firmware file, in order."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "kernel.mpy"
        compile_file(source, target, ARCHITECTURES["RP2040"], source.name)
        data = target.read_bytes()
    if data[:2] != b"M\x06":
        raise KernelError(f"a .mpy of version {data[1]}, known is 6")
    reader = _Reader(data[4:])
    names, objects = reader.number(), reader.number()
    for _ in range(names):
        reader.skip_name()
    for _ in range(objects):
        reader.skip_object()
    return reader.viper()


class Machine:
    """An RP2040 whose first core calls one function at a time. `data` is where buffers may lie."""

    data = _DATA

    def __init__(self):
        from rp2040py.rp2040 import RP2040

        self._chip = RP2040()
        self._core = self._chip.core
        word = self._chip.write_uint32
        # A function object, its context, the context's table: all lead to the function table.
        for at in range(0, 0x40, 4):
            word(_TABLE + at, _TABLE + 0x100)
            word(_TABLE + 0x100 + at, _TABLE + 0x200)
            word(_TABLE + 0x200 + at, _TABLE + 0x400)
        for index in range(_TRAP_COUNT):
            word(_TABLE + 0x400 + 4 * index, _TRAPS + 2 * index | 1)

    def load(self, code: bytes) -> None:
        """The function that `call` calls."""
        self.write(_CODE, code)

    def write(self, address: int, octets: bytes) -> None:
        for at, octet in enumerate(octets):
            self._chip.write_uint8(address + at, octet)

    def read(self, address: int, count: int) -> bytes:
        return bytes(self._chip.read_uint8(address + at) for at in range(count))

    def call(self, *arguments: int, globals_: int = 0) -> tuple[int, int]:
        """Call it with numbers and addresses; (its result, cycles). `globals_` is the value of
        every global that it loads. Raises KernelError when it asks for what is not known here."""
        core, registers = self._core, self._core.registers
        for at, value in enumerate(arguments):
            self._chip.write_uint32(_STACK + 0x100 + 4 * at, value & 0xFFFF_FFFF)
        core.sp = _STACK
        registers[0], registers[1], registers[2] = _TABLE, len(arguments), 0
        registers[3] = _STACK + 0x100
        core.lr = _RETURNED | 1
        core.pc = _CODE
        cycles = 0
        for _ in range(_MOST_STEPS):
            pc = core.pc
            if pc == _RETURNED:
                return registers[0], cycles
            if _TRAPS <= pc < _RETURNED:
                self._answer((pc - _TRAPS) // 2, globals_)
                core.pc = core.lr & ~1
            else:
                before = core.cycles
                core.execute_instruction()
                cycles += core.cycles - before
        raise KernelError("it does not come to an end")

    def _answer(self, function: int, globals_: int) -> None:
        registers = self._core.registers
        if function == _LOAD_GLOBAL:
            registers[0] = globals_
        elif function == _SWAP_GLOBALS:
            registers[0] = 0
        elif function not in _CONVERSIONS:
            raise KernelError(f"function {function} of the VM is called")


def crc16(machine: Machine) -> float:
    """Cycles an octet of the CRC of one block."""
    from binascii import crc_hqx

    code = viper_code(FIRMWARE / "picopost" / "store" / "crc_viper.py")
    machine.load(code[1])
    block = bytes(i * 7 & 0xFF for i in range(512))
    table = b"".join(struct.pack("<H", crc_hqx(bytes((i,)), 0)) for i in range(256))
    machine.write(machine.data, block)
    machine.write(machine.data + 0x1000, table)
    result, cycles = machine.call(machine.data, 0, 0, len(block), globals_=machine.data + 0x1000)
    if result != crc_hqx(block, 0):
        raise KernelError(f"the CRC is {result:#x} and should be {crc_hqx(block, 0):#x}")
    return cycles / len(block)


def _mboxrd(machine: Machine, which: int, text: bytes, expected: bytes) -> float:
    """Cycles an octet of `text` in one call of receive or send, at the beginning of a message."""
    machine.load(viper_code(FIRMWARE / "picopost" / "store" / "mboxrd_viper.py")[which])
    state, source, target = (machine.data + at for at in (0, 0x1000, 0x4000))
    first = (1, 0, 0, 0, 0, 0, 1) if which == 0 else (1, 0, 0, 0, 0, 0, -1, 0)
    machine.write(state, struct.pack(f"<{len(first)}i", *first))
    machine.write(source, text)
    _, cycles = machine.call(state, source, len(text), target, 0x2000)
    if machine.read(target, len(expected)) != expected:
        raise KernelError("the text is not what it should be")
    return cycles / len(text)


def receive(machine: Machine, line: bytes = b"x" * 70) -> float:
    text = (line + b"\r\n") * (2048 // (len(line) + 2))
    return _mboxrd(machine, 0, text, text.replace(b"\r\n", b"\n"))


def send(machine: Machine, line: bytes = b"x" * 70) -> float:
    text = (line + b"\n") * (2048 // (len(line) + 1))
    return _mboxrd(machine, 1, text, text.replace(b"\n", b"\r\n"))


KERNELS = {"mboxrd_viper.receive": receive, "mboxrd_viper.send": send, "crc_viper.crc16": crc16}


def measure() -> dict[str, float]:
    """Cycles an octet by kernel. ImportError without rp2040py."""
    machine = Machine()
    return {name: round(kernel(machine), 2) for name, kernel in KERNELS.items()}
