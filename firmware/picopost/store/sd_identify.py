"""What is in the SD card slot: initialisation in SPI mode and the registers that describe a card.

SD Physical Layer Simplified Specification 7.2.1 (the flow) and 5.3 (CSD).
"""

from errno import EIO, ENODEV, ETIMEDOUT
from time import ticks_add, ticks_diff, ticks_ms

from micropython import const

_IDLE = const(0x01)  # in R1
_ILLEGAL = const(0x04)
_VOLTAGE_AND_PATTERN = const(0x1AA)  # CMD8: 2.7 to 3.6 V, and what the card shall echo
_HCS = const(0x40000000)  # ACMD41: this host knows high capacity
_CCS = const(0x40000000)  # OCR: this card has it
_ACMD41_MS = const(1000)  # 4.2.3: what initialisation may take


def identify(bus):
    """Take the card on `bus` (SdBus, at identification clock) from any state to ready, CRC on.

    Returns (CID, number of 512-octet blocks, high capacity, write protected). Raises OSError:
    ENODEV when no SD memory card is there that this host can use, else what failed on the bus.
    """
    bus.reset()
    response = bus.command(8, _VOLTAGE_AND_PATTERN)
    version_2 = not response & _ILLEGAL
    if version_2 and (response != _IDLE or bus.word() & 0xFFF != _VOLTAGE_AND_PATTERN):
        raise OSError(EIO, f"CMD8: R1 {response:#04x}, echo {bus.word():#010x}")
    deadline = ticks_add(ticks_ms(), _ACMD41_MS)
    while True:
        response = bus.command(55, 0) & ~_IDLE | bus.command(41, _HCS if version_2 else 0)
        if response == 0:
            break
        if response != _IDLE:
            raise OSError(EIO, f"ACMD41: R1 {response:#04x}; is it an SD memory card?")
        if ticks_diff(deadline, ticks_ms()) <= 0:
            raise OSError(ETIMEDOUT, f"ACMD41: not ready within {_ACMD41_MS} ms")
    high_capacity = bool(_clean(bus, 58, 0) & _CCS)
    _clean(bus, 59, 1)  # CRC on; CMD0 has turned it off
    if not high_capacity:
        _clean(bus, 16, 512)  # a card of 2 GB may start with 1024
    blocks, write_protected = _read_csd(bus.read_register(9))
    return bus.read_register(10), blocks, high_capacity, write_protected


def _clean(bus, index, argument):
    response = bus.command(index, argument)
    if response:
        raise OSError(EIO, f"CMD{index}: R1 {response:#04x}")
    return bus.word()


def _read_csd(csd):
    """(blocks, write protected) of the 16 octets of a CSD register."""
    structure = csd[0] >> 6
    if structure == 0:  # 5.3.2
        c_size = (csd[6] & 0x03) << 10 | csd[7] << 2 | csd[8] >> 6
        c_size_mult = (csd[9] & 0x03) << 1 | csd[10] >> 7
        read_bl_len = csd[5] & 0x0F
        blocks = (c_size + 1) << (c_size_mult + 2 + read_bl_len - 9)
    elif structure == 1:  # 5.3.3
        blocks = ((csd[7] & 0x3F) << 16 | csd[8] << 8 | csd[9]) + 1 << 10
    else:
        raise OSError(ENODEV, f"CSD structure {structure} is of a card that SPI mode cannot read")
    return blocks, bool(csd[14] & 0x30)  # PERM_WRITE_PROTECT, TMP_WRITE_PROTECT
