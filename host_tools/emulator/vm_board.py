# Runs inside the MicroPython VM, stdin and stdout its USB port: what the rp2 port does around
# main.py. It mounts the flash (ports/rp2/modules/_boot.py), runs main.py, and then is at the
# prompt: friendly and raw REPL, with raw paste (MicroPython, docs/reference/repl.rst).
import io
import os
import struct
import sys

import vfs

CTRL_A, CTRL_B, CTRL_C, CTRL_D, CTRL_E = b"\x01", b"\x02", b"\x03", b"\x04", b"\x05"
_WINDOW = 128
_BLOCK = 4096

stdin, stdout = sys.stdin.buffer, sys.stdout.buffer


class Flash:
    """A block device in a file, unbuffered."""

    def __init__(self, path):
        self._file = open(path, "r+b")
        self._blocks = self._file.seek(0, 2) // _BLOCK

    def readblocks(self, block, buf, offset=0):
        self._file.seek(block * _BLOCK + offset)
        self._file.readinto(buf)

    def writeblocks(self, block, buf, offset=0):
        self._file.seek(block * _BLOCK + offset)
        self._file.write(buf)

    def ioctl(self, operation, argument):
        if operation == 6:
            self._file.seek(argument * _BLOCK)
            self._file.write(b"\xff" * _BLOCK)
        return {4: self._blocks, 5: _BLOCK}.get(operation, 0)


def mount():
    flash = Flash(os.getenv("PICOPOST_FLASH"))
    try:
        system = vfs.VfsLfs2(flash, progsize=256)
    except OSError:
        vfs.VfsLfs2.mkfs(flash, progsize=256)
        system = vfs.VfsLfs2(flash, progsize=256)
    vfs.mount(system, "/flash")
    os.chdir("/flash")


def read():
    octet = stdin.read(1)
    if not octet:
        sys.exit()
    return octet


def friendly():
    stdout.write(b"MicroPython on an emulated board\r\n>>> ")
    line = b""
    while True:
        octet = read()
        if octet == CTRL_A:
            raw()
            line = b""
        elif octet == CTRL_D:
            stdout.write(b"\r\nMPY: soft reboot\r\n")
            sys.exit()
        elif octet in b"\r\n":
            stdout.write(b"\r\n")
            if line.strip():
                execute(line, scope, "single")
            line = b""
        elif octet == CTRL_C:
            line = b""
        else:
            stdout.write(octet)
            line += octet
            continue
        stdout.write(b"\r\n>>> ")


def raw():
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
            answer(code)
            code = b""
        elif octet == CTRL_E and not code:
            read(), read()  # "A", Ctrl-A
            stdout.write(b"R\x01" + struct.pack("<H", _WINDOW))
            answer(pasted())
        else:
            code += octet


def pasted():
    code = bytearray()
    while True:
        octet = read()
        if octet == CTRL_D:
            stdout.write(CTRL_D)
            return bytes(code)
        code += octet
        if len(code) % _WINDOW == 0:
            stdout.write(b"\x01")


def answer(code):
    stdout.write(CTRL_D + execute(code, scope, "exec") + CTRL_D + b">")


def execute(code, scope, mode):
    # The error's text; at the friendly prompt it is shown.
    error = io.StringIO()
    try:
        exec(compile(code.decode(), "<stdin>", mode), scope)
    except Exception as failure:
        sys.print_exception(failure, error)
    if mode == "single":
        stdout.write(error.getvalue().encode())
    return error.getvalue().encode()


scope = {"__name__": "__main__"}
mount()
sys.path.insert(0, "")
try:
    with open("main.py") as file:
        code = file.read()
except OSError:
    code = ""
try:
    exec(compile(code, "main.py", "exec"), scope)
except Exception as failure:
    sys.print_exception(failure)
code = None
friendly()
