"""The W5500's registers, commands, states and bits (WIZnet W5500 datasheet 1.0.9, chapters 3, 4).

Tables only; what they do is in `w5500.py` and `w5500_socket.py`.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple


class Register(NamedTuple):
    """One register: where it begins in its block, octets, value after reset, R/W or R."""

    name: str
    offset: int
    size: int
    reset: int
    access: str = "rw"  # "r": writes are ignored


# Chapter 3.1, 4.1: common register block.
COMMON = (
    Register("MR", 0x00, 1, 0x00),
    Register("GAR", 0x01, 4, 0),
    Register("SUBR", 0x05, 4, 0),
    Register("SHAR", 0x09, 6, 0),
    Register("SIPR", 0x0F, 4, 0),
    Register("INTLEVEL", 0x13, 2, 0),
    Register("IR", 0x15, 1, 0x00),
    Register("IMR", 0x16, 1, 0x00),
    Register("SIR", 0x17, 1, 0x00),
    Register("SIMR", 0x18, 1, 0x00),
    Register("RTR", 0x19, 2, 0x07D0),
    Register("RCR", 0x1B, 1, 0x08),
    Register("PTIMER", 0x1C, 1, 0x28),
    Register("PMAGIC", 0x1D, 1, 0x00),
    Register("PHAR", 0x1E, 6, 0),
    Register("PSID", 0x24, 2, 0),
    Register("PMRU", 0x26, 2, 0xFFFF),
    Register("UIPR", 0x28, 4, 0, "r"),
    Register("UPORTR", 0x2C, 2, 0, "r"),
    Register("PHYCFGR", 0x2E, 1, 0xB8),
    Register("VERSIONR", 0x39, 1, 0x04, "r"),
)
COMMON_SIZE = 0x3A

# Chapter 3.2, 4.2: the register block of each of the eight sockets.
SOCKET = (
    Register("Sn_MR", 0x00, 1, 0x00),
    Register("Sn_CR", 0x01, 1, 0x00),
    Register("Sn_IR", 0x02, 1, 0x00),
    Register("Sn_SR", 0x03, 1, 0x00, "r"),
    Register("Sn_PORT", 0x04, 2, 0),
    Register("Sn_DHAR", 0x06, 6, 0xFFFFFFFFFFFF),
    Register("Sn_DIPR", 0x0C, 4, 0),
    Register("Sn_DPORT", 0x10, 2, 0),
    Register("Sn_MSSR", 0x12, 2, 0),
    Register("Sn_TOS", 0x15, 1, 0x00),
    Register("Sn_TTL", 0x16, 1, 0x80),
    Register("Sn_RXBUF_SIZE", 0x1E, 1, 0x02),
    Register("Sn_TXBUF_SIZE", 0x1F, 1, 0x02),
    Register("Sn_TX_FSR", 0x20, 2, 0x0800, "r"),
    Register("Sn_TX_RD", 0x22, 2, 0, "r"),
    Register("Sn_TX_WR", 0x24, 2, 0),
    Register("Sn_RX_RSR", 0x26, 2, 0, "r"),
    Register("Sn_RX_RD", 0x28, 2, 0),
    Register("Sn_RX_WR", 0x2A, 2, 0, "r"),
    Register("Sn_IMR", 0x2C, 1, 0xFF),
    Register("Sn_FRAG", 0x2D, 2, 0x4000),
    Register("Sn_KPALVTR", 0x2F, 1, 0x00),
)
SOCKET_SIZE = 0x30

COMMON_OFFSETS = {register.name: register.offset for register in COMMON}
SOCKET_OFFSETS = {register.name: register.offset for register in SOCKET}


def by_offset(table: tuple[Register, ...]) -> dict[int, Register]:
    """Every octet of a block that belongs to a register; the others are reserved."""
    return {register.offset + i: register for register in table for i in range(register.size)}


def reset_image(table: tuple[Register, ...], size: int) -> bytearray:
    """The block as it stands after a reset."""
    image = bytearray(size)
    for register in table:
        end = register.offset + register.size
        image[register.offset : end] = register.reset.to_bytes(register.size, "big")
    return image


MR_RST = 0x80
PHYCFGR_LINK_100_FULL = 0x07  # DPX, SPD and LNK: full duplex, 100 Mbit/s, link up

MULTI = 0x80  # Sn_MR bit 7, in UDP mode
# Sn_MR bits 3..0.
PROTOCOL_CLOSED, PROTOCOL_TCP, PROTOCOL_UDP, PROTOCOL_IPRAW, PROTOCOL_MACRAW = range(5)

# Sn_IR.
IR_CON, IR_DISCON, IR_RECV, IR_TIMEOUT, IR_SEND_OK = 0x01, 0x02, 0x04, 0x08, 0x10

# 4.2, Sn_MSSR: what a socket sends in one packet unless told otherwise.
MSS_TCP, MSS_UDP = 1460, 1472


class Command(IntEnum):
    """Sn_CR (datasheet 4.2)."""

    OPEN = 0x01
    LISTEN = 0x02
    CONNECT = 0x04
    DISCON = 0x08
    CLOSE = 0x10
    SEND = 0x20
    SEND_MAC = 0x21
    SEND_KEEP = 0x22
    RECV = 0x40


class Status(IntEnum):
    """Sn_SR (datasheet 4.2)."""

    SOCK_CLOSED = 0x00
    SOCK_INIT = 0x13
    SOCK_LISTEN = 0x14
    SOCK_SYNSENT = 0x15
    SOCK_SYNRECV = 0x16
    SOCK_ESTABLISHED = 0x17
    SOCK_FIN_WAIT = 0x18
    SOCK_CLOSING = 0x1A
    SOCK_TIME_WAIT = 0x1B
    SOCK_CLOSE_WAIT = 0x1C
    SOCK_LAST_ACK = 0x1D
    SOCK_UDP = 0x22
    SOCK_MACRAW = 0x42
