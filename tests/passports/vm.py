"""The VM with an office whose passports a test has in its hands."""

from __future__ import annotations

from pathlib import Path

from tests.support.vm import Vm

CAMERA = ("192.168.1.20", b"cam-3")
NAS = ("192.168.1.21", b"nas")
_HERE = Path(__file__).parent


def open_vm() -> Vm:
    """`v` is vm_passports there, and its names are known."""
    vm = Vm(heap_kib=16_000, extra_path=(_HERE, _HERE.parent / "store"))
    vm.exec("import vm_passports as v\nfrom vm_passports import *")
    return vm
