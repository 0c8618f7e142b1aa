# Runs inside the MicroPython VM, its stdin and stdout a pseudo-terminal: the console of a board,
# as far as mpremote uses it. See serial_board.py.
#
# Friendly and raw REPL, with and without raw paste: MicroPython, "docs/reference/repl.rst".
import io
import struct
import sys

CTRL_A, CTRL_B, CTRL_C, CTRL_D, CTRL_E = b"\x01", b"\x02", b"\x03", b"\x04", b"\x05"
_WINDOW = 32

diary, firmware, paste, dies_at = sys.argv[1:]
stdin, stdout = sys.stdin.buffer, sys.stdout.buffer
executed = 0


class Reset(BaseException):
    pass


class Timer:
    ONE_SHOT = 0

    def __init__(self, **more):
        pass

    def deinit(self):
        pass


class Machine:
    Timer = Timer

    @staticmethod
    def reset():
        raise Reset


sys.modules["machine"] = Machine


def note(event):
    with open(diary, "a") as file:
        file.write(event + "\n")


def read():
    octet = stdin.read(1)
    if not octet:
        sys.exit()
    return octet


def run_firmware():
    """It ends at Ctrl-C, as picopost.appliance does: after all that is to be done."""
    stdout.write(b"0 ready board=pico_w\r\n")
    while read() != CTRL_C:
        pass
    stdout.write(b"0 stopped\r\n")
    note("stopped")


def friendly():
    stdout.write(b"MicroPython\r\n>>> ")
    while True:
        octet = read()
        if octet == CTRL_A:
            raw()
        stdout.write(b"\r\n>>> ")


def raw():
    scope = {}
    code = b""
    stdout.write(b"raw REPL; CTRL-B to exit\r\n>")
    while True:
        octet = read()
        if octet == CTRL_B:
            return
        if octet in (CTRL_A, CTRL_C):
            code = b""
            stdout.write(b"raw REPL; CTRL-B to exit\r\n>" if octet == CTRL_A else b"")
        elif octet == CTRL_D:
            stdout.write(b"OK")
            execute(code, scope)
            code = b""
        elif octet == CTRL_E and not code:
            read(), read()  # "A", Ctrl-A
            if paste == "paste":
                stdout.write(b"R\x01" + struct.pack("<H", _WINDOW))
                execute(pasted(), scope)
            else:
                stdout.write(b"R\x00")
        else:
            code += octet


def pasted():
    code = b""
    while True:
        octet = read()
        if octet == CTRL_D:
            stdout.write(CTRL_D)
            return code
        code += octet
        if len(code) % _WINDOW == 0:
            stdout.write(b"\x01")


def execute(code, scope):
    global executed
    if executed == int(dies_at):
        note("died")
        sys.exit()
    executed += 1
    error = io.StringIO()
    try:
        exec(code.decode(), scope)
    except Exception as failure:
        sys.print_exception(failure, error)
    stdout.write(CTRL_D + error.getvalue().encode() + CTRL_D + b">")


while True:
    try:
        if firmware == "running":
            run_firmware()
        friendly()
    except Reset:
        note("reset")
