# Runs in MicroPython on an emulated RP2040, or in the VM: the data path's steps, each between two
# edges of a pin at which the host notes what it counts. `probe` prints a line for each step.
import gc

import machine

_TURNS = 3  # the first one warms up; the last one counts


def _timed(mark, name, work):
    for _ in range(_TURNS):
        gc.collect()
        mark(1)
        octets = work()
        mark(0)
    print("step", name, octets)


def _nothing():
    return 1


def probe(board, mark_pin):
    from picopost.net.w5500 import ESTABLISHED, W5500
    from picopost.store import mboxrd_state as mboxrd
    from picopost.store.crc_viper import crc16
    from picopost.store.mboxrd_viper import receive, send
    from picopost.store.sd_card import SdCard

    mark = machine.Pin(mark_pin, machine.Pin.OUT, value=0)
    block = bytearray(4096)
    source = bytearray((b"x" * 70 + b"\r\n") * 28)
    text = bytearray((b"x" * 70 + b"\n") * 28)

    def receiving():
        state = mboxrd.new_receiving()
        receive(state, source, len(source), block, len(block))
        return len(source)

    def sending():
        state = mboxrd.new_sending()
        send(state, text, len(text), block, len(block))
        return len(text)

    def checking():
        crc16(block, 0, 0, 512)
        return 512

    _timed(mark, "nothing", _nothing)
    _timed(mark, "mboxrd_viper.receive", receiving)
    _timed(mark, "mboxrd_viper.send", sending)
    _timed(mark, "crc_viper.crc16", checking)

    pins = board["sd_card"]
    spi = machine.SPI(pins["spi"], 400_000, sck=machine.Pin(pins["sck"]),
                      mosi=machine.Pin(pins["mosi"]), miso=machine.Pin(pins["miso"]))
    card = SdCard(spi, machine.Pin(pins["cs"], machine.Pin.OUT, value=1),
                  baudrate=pins["baudrate"])
    card.open()

    def storing():
        card.writeblocks(1024, block)
        card.sync()
        return len(block)

    def loading():
        card.readblocks(1024, block)
        return len(block)

    _timed(mark, "SdCard.writeblocks", storing)
    _timed(mark, "SdCard.readblocks", loading)

    pins = board["wiznet"]
    spi = machine.SPI(pins["spi"], baudrate=pins["baudrate"], sck=machine.Pin(pins["sck"]),
                      mosi=machine.Pin(pins["mosi"]), miso=machine.Pin(pins["miso"]))
    chip = W5500(spi, machine.Pin(pins["cs"], machine.Pin.OUT, value=1))
    chip.configure(bytes(18))
    chip.listen(1, 25)
    while chip.look(1).status != ESTABLISHED:
        pass
    view = memoryview(block)[:2048]
    _timed(mark, "W5500.receive", lambda: chip.receive(1, view))
    _timed(mark, "W5500.send", lambda: chip.send(1, view, 0))
