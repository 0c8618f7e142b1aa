"""An appliance as a reader of the pages has it, and with a page's settings."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from host_tools import firmware_modules  # noqa: F401  makes picopost importable
from tests.docs import pages
from tests.support.appliance import Appliance
from tests.support.wire import Pop3

# As it comes: the limit is one of the faults.
_AS_IT_COMES = {"sessions_per_address": 4}


def started(card: Path, settings: dict) -> Appliance:
    """An appliance named as on the pages, with the account of the pages."""
    return Appliance(card, "pico_w", pages.USERS, {**_AS_IT_COMES, **settings},
                     hostname=pages.HOSTNAME)


@pytest.fixture(scope="package")
def appliance(tmp_path_factory) -> Iterator[Appliance]:
    """As it comes."""
    with started(tmp_path_factory.mktemp("docs") / "card.img", {}) as running:
        yield running
    assert running.faults() == []


@pytest.fixture
def with_settings(tmp_path) -> Callable[[str], AbstractContextManager[Appliance]]:
    """An appliance with the settings of a page's block, which have to be settings."""

    @contextmanager
    def start(text: str) -> Iterator[Appliance]:
        from picopost import settings

        given = json.loads(pages.here(text))
        settings.check_accounts(settings.check(given), pages.USERS)
        with started(tmp_path / "card.img", given) as running:
            yield running
        assert running.faults() == []

    return start


def collect(appliance: Appliance) -> list[bytes]:
    """The letters in alice's mailbox, which is empty then."""
    return Pop3(appliance.pop3, "alice", pages.USERS["alice"]).take_all()


def happened(appliance: Appliance, act: Callable[[], object]) -> list[dict]:
    """The events of the SMTP sessions with the one client that `act` runs, all of them over."""
    before = len(appliance.events)
    act()

    def news(*names: str) -> list[dict]:
        return [event for event in appliance.events[before:]
                if event["event"] in names and event.get("service") not in (None, "pop3")]

    while not news("connected", "refused"):
        appliance.wait_for("connected")
    while len(news("closed")) < len(news("connected")):
        appliance.wait_for("closed")
    return news("accepted", "refused", "odd")
