"""Call firmware code inside the MicroPython VM from a CPython test.

    vm = Vm(heap_kib=196)
    vm.exec("from picopost.smtp import paths")
    assert vm.eval("paths.parse(b'<a@b>')") == ...

Values cross as their repr, so they must be literals: numbers, bytes (not bytearray), str,
tuples, lists, dicts, None.
"""

from __future__ import annotations

import ast
import socket
import subprocess
import time
from pathlib import Path

from host_tools import firmware_build
from host_tools import vm as micropython_vm

_WORKER = Path(__file__).with_name("vm_worker.py")


class VmError(AssertionError):
    """The code inside the VM raised; the text is its traceback there."""


class Vm:
    """One VM process that keeps its state between calls. Use as a context manager or close()."""

    def __init__(self, heap_kib: int = 196, extra_path: tuple[Path, ...] = (),
                 emulator: socket.socket | None = None):
        tree = firmware_build.build_for_vm()
        more = {}
        if emulator is not None:
            more = {"pass_fds": (emulator.fileno(),),
                    "env": {"PICOPOST_EMULATOR_FD": str(emulator.fileno())}}
        self.process = micropython_vm.start(
            heap_kib, str(_WORKER), path=[*extra_path, tree, tree / "lib"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, **more)
        self.printed: list[str] = []

    def exec(self, source: str) -> None:
        """Run statements."""
        self._call("exec", source)

    def eval(self, expression: str):
        """The value of an expression."""
        return self._call("eval", expression)

    def _call(self, kind: str, source: str):
        self.process.stdin.write(repr((kind, source)) + "\n")
        self.process.stdin.flush()
        for line in self.process.stdout:
            if line.startswith("\x01"):
                state, value = ast.literal_eval(line[1:])
                if state == "error":
                    raise VmError(value)
                return value
            self.printed.append(line.rstrip("\n"))
        raise VmError(f"the VM ended with status {self.process.wait()}; {self.printed[-5:]}")

    def close(self) -> None:
        """End the VM; it is killed when it does not leave by itself."""
        self.process.stdin.close()
        deadline = time.monotonic() + 5
        while self.process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def __enter__(self) -> Vm:
        return self

    def __exit__(self, *_) -> None:
        self.close()
