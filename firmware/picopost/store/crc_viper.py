"""The CRCs of crc.py in viper: same names, same arguments, same results.

Cycles per octet on a Cortex-M0+ (rp2040py, this file compiled for armv6m): 30, that is 124 us a
block at 125 MHz, less than its transfer takes. A loop that is not unrolled takes 64. Viper keeps
the first three variables in registers, which is why `crc` stands second: 36 otherwise.
"""
# ruff: noqa: F821  (ptr8, ptr16 are viper's own names)

import micropython

from picopost.store.crc import CRC16_TABLE


@micropython.viper
def crc7(buf: ptr8, start: int) -> int:
    crc = 0
    at = start
    while at < start + 5:
        crc = crc << 1 ^ buf[at]
        crc ^= crc << 3
        high = crc >> 7
        crc = (crc ^ high ^ high << 3) & 0x7F
        at += 1
    return crc


@micropython.viper
def crc16(buf: ptr8, crc: int, start: int, length: int) -> int:
    table = ptr16(CRC16_TABLE)
    buf = ptr8(int(buf) + start)
    end = int(buf) + length
    while int(buf) < end:
        crc = crc << 8 ^ table[(crc >> 8 & 0xFF) ^ buf[0]]
        crc = crc << 8 ^ table[(crc >> 8 & 0xFF) ^ buf[1]]
        crc = crc << 8 ^ table[(crc >> 8 & 0xFF) ^ buf[2]]
        crc = crc << 8 ^ table[(crc >> 8 & 0xFF) ^ buf[3]]
        crc = crc << 8 ^ table[(crc >> 8 & 0xFF) ^ buf[4]]
        crc = crc << 8 ^ table[(crc >> 8 & 0xFF) ^ buf[5]]
        crc = crc << 8 ^ table[(crc >> 8 & 0xFF) ^ buf[6]]
        crc = crc << 8 ^ table[(crc >> 8 & 0xFF) ^ buf[7]]
        buf = ptr8(int(buf) + 8)
    return crc & 0xFFFF
