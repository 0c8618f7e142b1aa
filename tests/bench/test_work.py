"""Calls are counted where they are made, and the program stays the same."""

import ast
import sys
from types import ModuleType

import pytest

from host_tools import firmware_build
from tests.bench import work

SOURCE = '''
"""What it is."""
import micropython

def fun(n):
    """Adds up."""
    total = 0
    while len(str(n)) < 2:
        n += abs(1)
    for i in range(n):
        if abs(i):
            total += max(i, abs(i))
        else:
            try:
                int("x")
            except ValueError:
                total -= abs(1)
            finally:
                total += abs(0)
    def inner():
        return abs(total)
    return inner()
'''


@pytest.fixture
def meter(monkeypatch):
    module = ModuleType("meter")
    module.calls = 0
    monkeypatch.setitem(sys.modules, "meter", module)
    monkeypatch.setitem(sys.modules, "micropython", ModuleType("micropython"))
    return module


def test_calls_are_counted(meter):
    scope = {}
    exec(work.instrument(SOURCE), scope)
    assert scope["fun"](10) == 44
    # range, 10 abs, 9 times max and abs, int, abs, abs, inner, abs; `while` is looked at twice,
    # once before the loop, and never within it
    assert meter.calls == 2 + 1 + 10 + 18 + 3 + 2
    meter.calls = 0
    assert scope["fun"](8) == 44
    assert meter.calls == 2 + 2 * 3 + 1 + 10 + 18 + 3 + 2


def test_native_code_is_left_alone():
    text = (firmware_build.FIRMWARE / "picopost" / "store" / "crc_viper.py").read_text()
    plain, counted = ast.parse(text), ast.parse(work.instrument(text))
    assert [ast.dump(node) for node in counted.body[1:]] == [ast.dump(node) for node in plain.body]
