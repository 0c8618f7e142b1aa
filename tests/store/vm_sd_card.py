# Runs inside the VM: a card driver on the bench's bus, for test_sd_card.py.
import asyncio

import machine
from micropython import mem_total
from picopost.store.sd_card import SdCard


class CountedSpi(machine.SPI):
    """Keeps account of the heap that the emulated SPI itself takes."""

    heap = 0

    def write(self, buf):
        before = mem_total()
        super().write(buf)
        self.heap += mem_total() - before

    def readinto(self, buf, write=0):
        before = mem_total()
        super().readinto(buf, write)
        self.heap += mem_total() - before

    def write_readinto(self, write_buf, read_buf):
        before = mem_total()
        super().write_readinto(write_buf, read_buf)
        self.heap += mem_total() - before


class CountedPin(machine.Pin):
    heap = 0

    def __call__(self, level):
        before = mem_total()
        super().value(level)
        self.heap += mem_total() - before


spi = CountedSpi(1, 1_000_000)
pin = CountedPin(13)
spare_pin = machine.Pin(0)
card = SdCard(spi, pin)
buf = bytearray(4096)
one = memoryview(buf)[:512]


def attempt(call, *arguments):
    """(errno, text) of the OSError that a call raises, else its result."""
    try:
        return call(*arguments)
    except OSError as error:
        return error.args
    finally:
        spare_pin.value()  # an answer from the bench: all that was sent before has arrived


def fill(seed, blocks):
    """Fill the start of the buffer so that every block differs; the octets."""
    for at in range(blocks):
        buf[at * 512 : at * 512 + 512] = bytes((seed, at)) * 256
    return memoryview(buf)[: blocks * 512]


def heap_of_driver(call):
    """Octets that a call takes of the heap in the driver alone, given back or not."""
    call()  # what happens once is not asked for
    spi.heap = pin.heap = 0
    before = mem_total()
    call()
    return mem_total() - before - spi.heap - pin.heap


async def wait_beside_another():
    """Wait for the card while another task counts its turns; the count, or the error."""
    turns = 0

    async def other():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep_ms(0)

    task = asyncio.create_task(other())
    try:
        await card.wait_ready()
    except OSError as error:
        return error.args
    finally:
        task.cancel()
    return turns


async def wait_beside_a_writer():
    """Wait for the card while another task writes five times; how often it had by then."""
    writes = 0

    async def writer():
        nonlocal writes
        while writes < 5:
            await asyncio.sleep_ms(20)
            card.writeblocks(500, memoryview(buf)[:512])
            writes += 1

    task = asyncio.create_task(writer())
    await card.wait_ready()
    task.cancel()
    return writes
