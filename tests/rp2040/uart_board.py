"""The board on an emulated RP2040 with UART 0 as its console, for the program of images.py: USB
would take one as large as MicroPython."""

from host_tools.emulator.rp2040_board import Rp2040Board


class UartBoard(Rp2040Board):
    """`attached` is rp2040py's device."""

    def _make_device(self):
        self.attached = device = super()._make_device()

        def on_byte(octet: int) -> None:
            device.cdc.on_device_connected()
            device.cdc.on_serial_data(bytes((octet,)))

        device.mcu.uart[0].on_byte = on_byte
        device.cdc.send_serial_byte = device.mcu.uart[0].feed_byte
        return device
