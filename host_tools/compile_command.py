"""`python -m host_tools compile`: every firmware file through mpy-cross, for boards and VM."""

from __future__ import annotations

import argparse

from host_tools import firmware_build
from host_tools.errors import UserError


def arguments(parser: argparse.ArgumentParser) -> None:
    """It has no options."""


def run(options: argparse.Namespace) -> int:
    """Build each tree under build/firmware/ and say how large it is."""
    for name, arch in (*firmware_build.ARCHITECTURES.items(), ("vm", firmware_build.vm_arch())):
        try:
            tree = firmware_build.build(firmware_build.BUILD / "firmware" / name.lower(),
                                        arch)
        except firmware_build.BuildError as error:
            raise UserError(str(error)) from error
        files = [path for path in tree.rglob("*") if path.is_file()]
        octets = sum(path.stat().st_size for path in files)
        print(f"{name}: {len(files)} files, {octets} octets")
    return 0
