"""The CRCs of crc.py in viper: same names, same arguments, same results.

Cycles per octet on a Cortex-M0+ (rp2040py, this file compiled for armv6m): 41 with the copy,
that is 169 us a block at 125 MHz, about as long as its transfer. A loop that is not unrolled
takes 90. Viper keeps the first three variables in registers, which is why `crc` stands second
(50 otherwise); copying by words would save 10, but the callers' buffers are not aligned.
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
def copy_crc16(source: ptr8, crc: int, target: ptr8, start: int, offset: int) -> int:
    table = ptr16(CRC16_TABLE)
    source = ptr8(int(source) + start)
    target = ptr8(int(target) + offset)
    end = int(source) + 512
    while int(source) < end:
        target[0] = source[0]
        crc = crc << 8 ^ table[(crc >> 8 & 0xFF) ^ source[0]]
        target[1] = source[1]
        crc = crc << 8 ^ table[(crc >> 8 & 0xFF) ^ source[1]]
        target[2] = source[2]
        crc = crc << 8 ^ table[(crc >> 8 & 0xFF) ^ source[2]]
        target[3] = source[3]
        crc = crc << 8 ^ table[(crc >> 8 & 0xFF) ^ source[3]]
        target[4] = source[4]
        crc = crc << 8 ^ table[(crc >> 8 & 0xFF) ^ source[4]]
        target[5] = source[5]
        crc = crc << 8 ^ table[(crc >> 8 & 0xFF) ^ source[5]]
        target[6] = source[6]
        crc = crc << 8 ^ table[(crc >> 8 & 0xFF) ^ source[6]]
        target[7] = source[7]
        crc = crc << 8 ^ table[(crc >> 8 & 0xFF) ^ source[7]]
        source = ptr8(int(source) + 8)
        target = ptr8(int(target) + 8)
    return crc & 0xFFFF
