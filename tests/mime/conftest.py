"""The VM in which the modules run again as on a board."""

from pathlib import Path

import pytest

from host_tools import firmware_modules  # noqa: F401  makes picopost importable
from tests.support.vm import Vm


@pytest.fixture(scope="module")
def vm():
    with Vm(heap_kib=196) as vm:
        vm.exec("from picopost.mime import addresses, charsets, dates, encoded_words, idn, "
                "parameters, summary; import io")
        for name in ("vm_tree.py", "vm_decoding.py", "vm_hostile.py", "vm_html.py",
                     "vm_attachments.py"):
            vm.exec(Path(__file__).with_name(name).read_text())
        yield vm
