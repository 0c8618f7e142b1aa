"""SD cards for the tests of the driver."""

import pytest

from tests.store.card_slot import Slot


@pytest.fixture(scope="module")
def make_slot(tmp_path_factory):
    """Makes slots with cards of all kinds."""
    slots = []

    def make(**card):
        slots.append(Slot(tmp_path_factory.mktemp("card") / "image", **card))
        return slots[-1]

    yield make
    for slot in slots:
        slot.close()


@pytest.fixture(scope="module")
def shared_slot(make_slot):
    return make_slot()


@pytest.fixture
def slot(shared_slot):
    """An SDHC card of 64 MB, just opened, its counts at zero."""
    shared_slot.faults.clear()
    shared_slot.faults.fired.clear()
    shared_slot.card.insert(serial=1)
    shared_slot.exec("card = SdCard(spi, pin)\ncard.open()")
    return shared_slot
