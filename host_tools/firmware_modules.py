"""Lets CPython import those modules of the firmware that need neither a board nor its VM.

    from host_tools import firmware_modules  # noqa: F401
    from picopost.mime import parts
"""

from __future__ import annotations

import sys

from host_tools.firmware_build import FIRMWARE, ROOT

for _folder in (ROOT / "host_tools" / "cpython_modules", FIRMWARE):
    if str(_folder) not in sys.path:
        sys.path.append(str(_folder))
