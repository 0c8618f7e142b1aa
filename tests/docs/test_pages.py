"""The pages as such: who finds them, where their links lead, and that no block goes untested."""

from __future__ import annotations

import re

import pytest

from tests.docs import devices, pages, programs
from tests.docs.conftest import collect, happened
from tests.docs.test_devices import FAULTS, PAGES
from tests.support.appliance import ROOT

ALL = pages.read()
README = (ROOT / "README.md").read_text(encoding="utf-8")


def _others(page: pages.Page) -> list[pages.Block]:
    """Its blocks outside of faults and the test message."""
    return [block for section in page.sections for block in section.blocks
            if section.above != pages.FAULTS and section.title != pages.TEST]


def _anchors(text: str) -> set[str]:
    """GitHub's, of a page's headings."""
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-")
            for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}


@pytest.mark.parametrize("name", ALL)
def test_readme_links_to_it(name):
    heading = "Something is wrong" if name == "troubleshooting" else "Setting up a device"
    section = README.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    assert f"]({ALL[name].path.relative_to(ROOT).as_posix()})" in section


@pytest.mark.parametrize("name", ALL)
def test_its_links_lead_somewhere(name):
    for link in ALL[name].links:
        target, _, anchor = link.partition("#")
        path = (ALL[name].path.parent / target).resolve() if target else ALL[name].path
        assert path.is_file() and path.is_relative_to(ROOT), link
        assert not anchor or anchor in _anchors(path.read_text(encoding="utf-8")), link


def test_each_page_has_its_test():
    """A page of another kind would go untested. Of `troubleshooting`: tests/doctor."""
    assert ALL.keys() - PAGES.keys() == {"mail_programs", "troubleshooting"}


def test_readmes_links_to_pages_lead_somewhere():
    links = re.findall(r"\]\((firmware/docs/[^)#]+)(?:#[^)]*)?\)", README)
    assert links and all((ROOT / link).is_file() for link in links)


@pytest.mark.parametrize("name", PAGES)
def test_a_device_has_what_each_has(name):
    page = PAGES[name]
    assert len(page.faults) == 3
    assert {(name, fault.title) for fault in page.faults} == {
        key for key in FAULTS if key[0] == name}
    assert {block.name for block in page.worked.blocks} <= {"log", "sh", "yaml"}
    assert "POP3 at 192.168.1.10, port 110, user alice" in page.text
    assert len(page.text.split()) < 900


@pytest.mark.parametrize("name", ALL)
def test_all_code_is_fenced(name):
    """What is indented would be code that nothing looks at."""
    assert ALL[name].indented == []


def test_no_exercise_is_left_over():
    blocks = {(block.page, block.section, block.name) for page in PAGES.values()
              for block in _others(page)}
    assert programs.FILES.keys() | devices.SETTINGS.keys() <= blocks


@pytest.mark.parametrize("block", [block for page in PAGES.values() for block in _others(page)],
                         ids=str)
def test_a_block_does_what_the_page_says(appliance, with_settings, block):
    """Settings, files and commands beside those of faults and test messages, which are
    test_devices.py's; those of the page about mail programs are test_mail_programs.py's.
    """
    key = block.page, block.section, block.name
    if block.name == "json":
        with with_settings(block.text) as changed:
            devices.SETTINGS[key](changed)
        return
    pages.asked.clear()
    try:
        events = happened(appliance, lambda: programs.FILES[key](appliance))
    finally:
        letters = collect(appliance)
    assert key in pages.asked
    assert [event["event"] for event in events] == ["accepted"]
    assert len(letters) == 1
