# Runs in the VM before main.py, or before vm_board.py, for `run --in-place`: mounts the firmware in
# memory that is read where it lies, as an image of MicroPython has it that was built with our code.
# There bytecode and constants take no heap. The memory is at the bottom of this VM's heap, which is
# larger by as much (board.py).
import os
import sys

import vfs


def mount(path):
    image = bytearray(os.stat(path)[6])
    with open(path, "rb") as file:
        file.readinto(image)
    vfs.mount(vfs.VfsRom(memoryview(image)), "/rom")
    sys.path[:0] = ["/rom", "/rom/lib"]


def run(path):
    with open(path) as file:
        source = file.read()
    # What stands in main.py's place may have brought modules; the firmware's own come from /rom.
    sys.path.append(path[: path.rfind("/")])
    # What is compiled and read goes before the firmware comes.
    return compile(source, path, "exec")


mount(os.getenv("PICOPOST_IMAGE"))
__file__ = os.getenv("PICOPOST_MAIN")  # as if it had been run itself
exec(run(__file__))
