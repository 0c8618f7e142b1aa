"""Images for the RP2040 made here: UF2 files, MicroPython's binary information in them, and a
program of a few instructions in MicroPython's place.

The program works through a list of (address, value): it writes the value there; at an odd address
it reads the word before it and prints the lowest octet; at address 0 it waits until the value is
typed. It prints and listens on UART 0.
"""

from __future__ import annotations

import struct
from pathlib import Path

from host_tools import boards
from host_tools.emulator.uf2 import FLASH_BASE, FLASH_SIZE

_UART0 = 0x4003_4000
_LIST = 0x1000  # in flash
_PAYLOAD = 256
_NEVER = 0x100  # no octet has that value
WAIT_FOR_CTRL_C = (0, 3)
# What the firmware prints, and MicroPython after it.
READY = "0 ready board=pico_w5500 hostname=xyz.com address=192.168.77.2 smtp=25\r\n"
STOPPED = "0 stopped\r\n"
PROMPT = 'MicroPython v1.28.0\r\nType "help()" for more information.\r\n>>> '

# Where MicroPython's images for the Pico have their file system, in octets.
STORAGE = 1408 * 1024


def uf2(path: Path, flash: bytes, *, family: int | None = boards.RP2040.family,
        base: int = FLASH_BASE) -> Path:
    """Write `flash` as a UF2 file, with one block for each 256 octets."""
    blocks = [flash[at : at + _PAYLOAD].ljust(_PAYLOAD, b"\xff")
              for at in range(0, len(flash), _PAYLOAD)]
    with open(path, "wb") as file:
        for number, block in enumerate(blocks):
            file.write(struct.pack(
                "<8I476sI", 0x0A32_4655, 0x9E5D_5157, 0x2000 if family is not None else 0,
                base + number * _PAYLOAD, _PAYLOAD, number, len(blocks), family or 0, block,
                0x0AB1_6F30))
    return path


def binary_info(flash: bytearray, *, address: int | None = None, size: int = STORAGE,
                tag: bytes = b"MP", in_ram: bool = False) -> None:
    """Add the entries of a program's name and of a file system, the last one of flash unless
    `address` says otherwise; `in_ram`: as a program has them that copies them to RAM first."""
    ram = 0x2000_0200 if in_ram else FLASH_BASE + 0x200
    address = FLASH_BASE + FLASH_SIZE - size if address is None else address
    struct.pack_into("<5I", flash, 0x180, 0x7188_EBF2, ram, ram + 8, FLASH_BASE + 0x260,
                     0xE71A_A390)
    struct.pack_into("<2I", flash, 0x200, ram + 0x10, ram + 0x20)
    struct.pack_into("<H2s2I", flash, 0x210, 6, b"RP", 0x0203_1C86, 0)
    struct.pack_into("<H2s4IH", flash, 0x220, 7, tag, 0, address, size, 0, 3)
    struct.pack_into("<4I", flash, 0x260, FLASH_BASE + 0x200, 0x2000_0200, 0x2000_0260, 0)


def printed(text: str) -> list[tuple[int, int]]:
    """The entries that print it."""
    return [(_UART0, octet) for octet in text.encode()]


def program(entries: list[tuple[int, int]]) -> bytes:
    """The flash with the program and its list, which ends in waiting for what never comes."""
    code = (
        0x4809,  # ldr r0, =UART0
        0x490A,  # ldr r1, =list
        0xC90C,  # next: ldmia r1!, {r2, r3}
        0x2A00,  # cmp r2, #0
        0xD007,  # beq wait
        0x0854,  # lsrs r4, r2, #1
        0xD201,  # bcs read
        0x6013,  # str r3, [r2]
        0xE7F8,  # b next
        0x3A01,  # read: subs r2, #1
        0x6813,  # ldr r3, [r2]
        0x6003,  # str r3, [r0]
        0xE7F4,  # b next
        0x6982,  # wait: ldr r2, [r0, #24]: UARTFR
        0x06D2,  # lsls r2, r2, #27: RXFE becomes the sign
        0xD4FC,  # bmi wait
        0x6802,  # ldr r2, [r0]
        0x429A,  # cmp r2, r3
        0xD1F9,  # bne wait
        0xE7ED,  # b next
    )
    flash = bytearray(b"\xff" * _LIST)
    struct.pack_into(f"<{len(code)}H2I", flash, 0, *code, _UART0, FLASH_BASE + _LIST)
    for entry in (*entries, (0, _NEVER)):
        flash += struct.pack("<2I", *entry)
    binary_info(flash)
    return bytes(flash)
