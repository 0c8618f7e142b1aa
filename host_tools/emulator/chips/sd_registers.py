"""Registers of an SD card, the bits of its answers, and the CRC7 that guards commands.

Source: SD Physical Layer Simplified Specification 4.10: chapter 5 (registers), 4.5 (CRC), 7.3
(answers and tokens in SPI mode).
"""

from __future__ import annotations

# R1, 7.3.2.1
IDLE, ERASE_RESET, ILLEGAL, CRC_ERROR, ERASE_SEQUENCE, ADDRESS, PARAMETER = (
    1 << bit for bit in range(7))
# The second octet of R2, 7.3.2.3
ERROR, CC_ERROR, ECC_FAILED, WP_VIOLATION, ERASE_PARAM, OUT_OF_RANGE = (
    1 << bit for bit in range(2, 8))
# Data tokens, 7.3.3.2
START_BLOCK, START_BLOCK_MULTIPLE, STOP_TRAN = 0xFE, 0xFC, 0xFD
# Data responses, 7.3.3.1, without the three bits that are open
ACCEPTED, DATA_CRC_ERROR, WRITE_ERROR = 0x05, 0x0B, 0x0D
# A bit of the data error token, 7.3.3.3, and how R2 shows it
TOKEN_OUT_OF_RANGE = 0x08
TOKEN_STATUS = {0x01: ERROR, 0x02: CC_ERROR, 0x04: ECC_FAILED, TOKEN_OUT_OF_RANGE: OUT_OF_RANGE}

OCR_READY = 1 << 31
OCR_CCS = 1 << 30
OCR_VOLTAGES = 0x00FF8000  # 2.7 to 3.6 V, section 5.1

_CLASSES = 0x135  # card command classes 0, 2, 4, 5, 8: what the model has, no lock, no switch


def _crc7_table() -> bytes:
    table = bytearray()
    for value in range(256):
        for _ in range(8):
            value = value << 1 ^ (0x112 if value & 0x80 else 0)
        table.append(value & 0xFF)
    return bytes(table)


_CRC7 = _crc7_table()  # of x^7 + x^3 + 1, kept in the upper seven bits


def crc7(data: bytes) -> int:
    """The last octet of a command or register: CRC7 of `data`, then the end bit (4.5)."""
    crc = 0
    for byte in data:
        crc = _CRC7[crc ^ byte]
    return crc | 1


def cid(serial: int) -> bytes:
    """Card identification, 16 octets (5.2): `serial` is what tells two cards apart."""
    fields = b"\x00" + b"PP" + b"CARD " + b"\x10" + serial.to_bytes(4, "big") + b"\x01\x91"
    return fields + bytes((crc7(fields),))


def csd(block_count: int, high_capacity: bool, write_protected: bool) -> bytes:
    """Card-specific data, 16 octets: version 2 (5.3.3) of a high capacity card, else 1 (5.3.2).

    Raises ValueError when the register cannot say `block_count` (blocks of 512 octets).
    """
    if high_capacity:
        c_size, rest = divmod(block_count, 1024)  # units of 512 KB
        if rest or not 1 <= c_size <= 1 << 22:
            raise ValueError(f"an SDHC card cannot have {block_count} blocks")
        block_length = 9
        start = ((1, 2), (0, 6), (0x0E, 8))  # CSD_STRUCTURE, reserved, TAAC: 1 ms
        size = ((0, 6), (c_size - 1, 22), (0, 1))
    else:
        # Blocks of 1024 octets are how version 1 reaches 2 GB; transfers are of 512 all the same.
        block_length = 9 if block_count <= 1 << 21 else 10
        units = block_count >> (block_length - 9)
        multiplier = next((m for m in range(8) if units >> (m + 2) <= 1 << 12), 7)
        c_size = units >> (multiplier + 2)
        if not 1 <= c_size <= 1 << 12 or c_size << (multiplier + block_length - 7) != block_count:
            raise ValueError(f"a standard capacity card cannot have {block_count} blocks")
        start = ((0, 2), (0, 6), (0x26, 8))  # TAAC: 1.5 ms
        size = ((0, 2), (c_size - 1, 12), (0xFFF, 12), (multiplier, 3))  # with the VDD currents
    fields = (
        *start, (0, 8), (0x32, 8), (_CLASSES, 12),  # NSAC, TRAN_SPEED: 25 MHz, CCC
        (block_length, 4), (not high_capacity, 1), (0, 3),  # READ_BL_LEN, READ_BL_PARTIAL
        *size, (1, 1), (0x7F, 7), (0, 7),  # C_SIZE, ERASE_BLK_EN, SECTOR_SIZE, WP_GRP_SIZE
        (0, 3), (2, 3), (block_length, 4), (0, 1), (0, 5),  # R2W_FACTOR, WRITE_BL_LEN
        (0, 3), (write_protected, 1), (0, 4),  # TMP_WRITE_PROTECT
    )
    value = 0
    for field, width in fields:
        value = value << width | field
    octets = value.to_bytes(15, "big")
    return octets + bytes((crc7(octets),))
