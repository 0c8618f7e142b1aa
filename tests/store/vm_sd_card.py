# Runs inside the VM: a card driver on the bench's bus, for test_sd_card.py.
import asyncio
import gc

import machine
from picopost.store.sd_card import SdCard


class CountedSpi(machine.SPI):
    """Keeps account of the heap that the emulated SPI itself takes."""

    heap = 0

    def write(self, buf):
        before = gc.mem_alloc()
        super().write(buf)
        self.heap += gc.mem_alloc() - before

    def readinto(self, buf, write=0):
        before = gc.mem_alloc()
        super().readinto(buf, write)
        self.heap += gc.mem_alloc() - before

    def write_readinto(self, write_buf, read_buf):
        before = gc.mem_alloc()
        super().write_readinto(write_buf, read_buf)
        self.heap += gc.mem_alloc() - before


class CountedPin(machine.Pin):
    heap = 0

    def __call__(self, level):
        before = gc.mem_alloc()
        super().value(level)
        self.heap += gc.mem_alloc() - before


spi = CountedSpi(1, 1_000_000)
pin = CountedPin(13)
spare_pin = machine.Pin(0)
card = SdCard(spi, pin)
buf = bytearray(4096)


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


def heap_of_driver(call, times):
    """Octets of heap that `times` calls leave to the collector in the driver alone."""
    taken = 0
    while times:
        gc.collect()
        gc.disable()
        spi.heap = pin.heap = 0
        before = gc.mem_alloc()
        for _ in range(16):
            call()
        taken += gc.mem_alloc() - before - spi.heap - pin.heap
        gc.enable()
        times -= 16
    return taken


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
