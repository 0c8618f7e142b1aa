"""The firmware, instrumented to count the calls that its Python makes.

The VM can neither trace nor count its bytecode. On an RP2040 a call, with the look-ups before it,
is what time goes by: 10 to 20 us each. So each statement is preceded by one that adds the number of
calls in it, of functions of the firmware and of the VM alike. What a statement may leave out (`or`,
a condition) counts as done; what loops within it (a comprehension) counts once. Native code and
asyncio's own are not counted; its turns are (conductor.py).
"""

from __future__ import annotations

import ast
from pathlib import Path

from host_tools import firmware_build

_BODIES = ("body", "orelse", "finalbody", "handlers", "cases")


def _calls(statement: ast.AST) -> int:
    """Calls in a statement, those in the statements within it left out."""
    count = 0
    for name, value in ast.iter_fields(statement):
        if name in _BODIES and isinstance(value, list):
            continue
        for node in value if isinstance(value, list) else [value]:
            if isinstance(node, ast.AST):
                count += sum(isinstance(inner, ast.Call) for inner in ast.walk(node))
    return count


def _count(number: int) -> list[ast.stmt]:
    return ast.parse(f"meter.calls += {number}").body if number else []


def _instrumented(body: list[ast.stmt]) -> list[ast.stmt]:
    done = []
    for statement in body:
        definition = isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
        calls = 0 if definition else _calls(statement)
        for name in _BODIES:
            inner = getattr(statement, name, None)
            if isinstance(inner, list) and inner:
                if name == "handlers":
                    for handler in inner:
                        handler.body = _instrumented(handler.body)
                else:
                    setattr(statement, name, _instrumented(inner))
        if isinstance(statement, ast.While):
            statement.body = _count(calls) + statement.body
        done += [*_count(calls), statement]
    return done


def instrument(source: str) -> str:
    """The module's source with counters in its functions."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and not getattr(
                node, "counted", False):
            if any("micropython" in ast.unparse(mark) for mark in node.decorator_list):
                continue  # native code
            for inner in ast.walk(node):
                inner.counted = True  # functions within it are done with it
            node.body = _instrumented(node.body)
    tree.body = ast.parse("import meter").body + tree.body
    return ast.unparse(ast.fix_missing_locations(tree))


def build(folder: Path) -> Path:
    """Compile the whole firmware, instrumented, for this machine's VM; returns where it lies."""
    for source, inside in firmware_build.device_files():
        text = source.read_text()
        native = "@micropython.viper" in text or "@micropython.native" in text
        arch = firmware_build.vm_arch()
        if native and arch is None:
            continue
        counted = folder / "source" / (inside + ".py")
        counted.parent.mkdir(parents=True, exist_ok=True)
        text = instrument(text) if source.is_relative_to(firmware_build.FIRMWARE) else text
        if not counted.exists() or counted.read_text() != text:
            counted.write_text(text)
        firmware_build.compile_file(counted, folder / (inside + ".mpy"), arch if native else None,
                                    inside + ".py")
    return folder
