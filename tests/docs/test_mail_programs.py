"""What firmware/docs/mail_programs.md says, done by mail programs."""

from __future__ import annotations

import pytest

from tests.docs import devices, fetching, pages
from tests.docs.conftest import collect, happened

_SUBJECT = b"Subject: the washing machine is done"


@pytest.fixture
def letter(appliance):
    """One waits for alice, and is gone afterwards."""
    device = devices.DEVICES["nas"].told(sender=devices.ALICE,
                                         letter=_SUBJECT + b"\r\n\r\ntext\r\n")
    happened(appliance, lambda: device.send(appliance, devices.Way(25)))
    yield
    collect(appliance)


@pytest.mark.parametrize("tls, port", fetching.ways())
def test_what_is_typed(appliance, letter, tls, port):
    assert fetching.fetch_as_typed(appliance, tls, port) == [_SUBJECT]


@pytest.mark.parametrize("block", fetching.PAGE.blocks, ids=lambda block: block.name)
def test_a_program_with_its_file(appliance, letter, block):
    pages.asked.clear()
    fetched = fetching.FILES[block.section, block.name](appliance)
    assert (block.page, block.section, block.name) in pages.asked
    assert fetched.count(_SUBJECT) == 1
