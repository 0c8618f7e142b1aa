"""An SPI host for the SD card model: what a driver does, without its mercy. No wait is endless."""

from __future__ import annotations

import binascii

from host_tools.emulator.chips.sd_card import SDCard
from host_tools.emulator.chips.sd_registers import crc7

ARGUMENT_HCS = 1 << 30
_POLLS = 2000


class NoAnswer(Exception):
    """The card did not answer, or was not ready, within the bytes a host would wait."""


class ErrorToken(Exception):
    """The card sent a data error token, the first argument, in place of a block."""


class SdHost:
    """Speaks to one card; `start()` leaves it selected, ready and with CRC on."""

    def __init__(self, card: SDCard):
        self.card = card

    def power_up_clocks(self) -> None:
        self.card.select(False)
        self.card.transfer_bulk(b"\xff" * 10)
        self.card.select(True)

    def start(self, crc: bool = True) -> None:
        self.power_up_clocks()
        assert self.command(0) == b"\x01"
        self.command(8, 0x1AA, 4)
        for _ in range(100):
            self.command(55)
            if self.command(41, ARGUMENT_HCS) == b"\x00":
                break
        else:
            raise NoAnswer("ACMD41")
        assert self.command(59, int(crc)) == b"\x00"

    def command(self, index: int, argument: int = 0, more: int = 0, *,
                wrong_crc: bool = False) -> bytes:
        """Send a command; R1 and `more` octets of the response. Raises NoAnswer."""
        octets = bytes((0x40 | index,)) + argument.to_bytes(4, "big")
        self.card.transfer_bulk(octets + bytes((crc7(octets) ^ (2 if wrong_crc else 0),)))
        if index == 12:
            self.card.transfer(0xFF)  # the stuff byte
        for _ in range(9):  # N_CR is 8 at most
            r1 = self.card.transfer(0xFF)
            if not r1 & 0x80:
                answer = bytes((r1,)) + self.card.transfer_bulk(b"\xff" * more)
                if r1 or index not in (17, 18):
                    self.card.transfer(0xFF)  # N_RC, N_WR
                return answer
        raise NoAnswer(f"CMD{index}")

    def status(self) -> tuple[int, int]:
        """CMD13."""
        r1, r2 = self.command(13, 0, 1)
        return r1, r2

    def register(self, index: int, length: int) -> bytes:
        """A register that comes in a data block: CMD9, CMD10, ACMD22."""
        octets = bytes((0x40 | index, 0, 0, 0, 0))
        self.card.transfer_bulk(octets + bytes((crc7(octets),)))
        answer = self.card.transfer_bulk(b"\xff" * 40)
        assert answer.lstrip(b"\xff")[0] == 0
        start = answer.index(b"\xfe") + 1
        data, crc = answer[start : start + length], answer[start + length :][:2]
        assert binascii.crc_hqx(data, 0).to_bytes(2, "big") == crc
        return data

    def ready(self) -> int:
        """Wait for the end of busy; the bytes it took."""
        for polls in range(_POLLS):
            if self.card.transfer(0xFF) == 0xFF:
                return polls
        raise NoAnswer("busy")

    def receive(self, length: int = 512) -> tuple[bytes, bool]:
        """A data block and whether its CRC is right. Raises NoAnswer, ErrorToken."""
        for _ in range(_POLLS):
            token = self.card.transfer(0xFF)
            if token == 0xFE:
                frame = self.card.transfer_bulk(b"\xff" * (length + 2))
                return frame[:-2], binascii.crc_hqx(frame, 0) == 0
            if token != 0xFF:
                raise ErrorToken(token)
        raise NoAnswer("no token")

    def read(self, address: int) -> bytes:
        assert self.command(17, address) == b"\x00"
        data, right = self.receive()
        assert right
        return data

    def read_many(self, address: int, count: int) -> bytes:
        assert self.command(18, address) == b"\x00"
        blocks = [self.receive() for _ in range(count)]
        assert self.command(12) == b"\x00"
        self.ready()
        assert all(right for _, right in blocks)
        return b"".join(data for data, _ in blocks)

    def send(self, token: int, data: bytes, *, wrong_crc: bool = False) -> int:
        """Send a data block; the five bits of the data response."""
        crc = binascii.crc_hqx(data, 0) ^ wrong_crc
        self.card.transfer_bulk(bytes((token,)) + data + crc.to_bytes(2, "big"))
        return self.card.transfer(0xFF) & 0x1F

    def write(self, address: int, data: bytes) -> int:
        """CMD24; the data response."""
        assert self.command(24, address) == b"\x00"
        response = self.send(0xFE, data)
        self.ready()
        return response

    def write_many(self, address: int, blocks: list[bytes]) -> list[int]:
        """CMD25, every block whatever comes back, Stop Tran; the data responses."""
        assert self.command(25, address) == b"\x00"
        responses = []
        for block in blocks:
            responses.append(self.send(0xFC, block))
            self.ready()
        self.stop_tran()
        return responses

    def stop_tran(self) -> None:
        self.card.transfer_bulk(b"\xfd\xff")
        self.ready()


def block(number: int) -> bytes:
    """512 octets that no other number gives."""
    return number.to_bytes(4, "big") * 128
