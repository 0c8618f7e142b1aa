"""CRCs of an SD card: CRC7 of commands, CRC16 of data blocks.

SD Physical Layer Simplified Specification 4.5: CRC7 is x^7 + x^3 + 1, CRC16 is x^16 + x^12 +
x^5 + 1, both start at 0. This is the plain twin of crc_viper.py: its fallback where there is no
native code, and its oracle in the tests.
"""

from array import array


def _crc16_table():
    table = array("H", bytes(512))
    for octet in range(256):
        fold = octet ^ octet >> 4
        table[octet] = (fold << 12 ^ fold << 5 ^ fold) & 0xFFFF
    return table


CRC16_TABLE = _crc16_table()


def crc7(buf, start):
    """The CRC7 of the five octets of `buf` from `start`: a command without its CRC."""
    crc = 0
    for at in range(start, start + 5):
        fold = crc << 1 ^ buf[at]
        fold ^= fold << 3  # times x^7, which is x^3 + 1
        high = fold >> 7
        crc = (fold ^ high ^ high << 3) & 0x7F
    return crc


def crc16(buf, crc, start, length):
    """The CRC16 of `length` octets of `buf` from `start`, a multiple of 8.

    `crc` is 0, or the CRC16 of what went before. The caller sees to it that the octets are there.
    """
    for octet in memoryview(buf)[start : start + length]:
        crc = (crc << 8 & 0xFF00) ^ CRC16_TABLE[crc >> 8 ^ octet]
    return crc
