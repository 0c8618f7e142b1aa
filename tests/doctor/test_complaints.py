"""What the firmware complains of, provoked; what `doctor` makes of it."""

import ast
import re

import pytest

from host_tools.doctor import complaints
from host_tools.doctor.complaints import COMPLAINTS
from host_tools.firmware_build import ROOT
from tests.doctor import scenes

pytestmark = pytest.mark.filterwarnings("ignore:SD")

# By what the complaint's row says of the console.
SCENES = {
    'safe_mode why="3 starts failed...': scenes.three_failures,
    'safe_mode why="accounts.txt, line ...': scenes.spoilt_accounts,
    'safe_mode why="... must name an account': scenes.account_that_is_not,
    'safe_mode why="tls_key.der and ...': scenes.spoilt_key,
    'safe_mode why="settings.json: ...': scenes.wrong_setting,
    "flash_fault file=... error=...": scenes.flash_that_takes_nothing,
    "fault error=...": scenes.unforeseen,
    'no_card why="... no card answers"': scenes.no_card,
    'no_card why="... no FAT volume on the card"': scenes.card_without_file_system,
    'no_card why="... is damaged: ..."': scenes.damaged_file_system,
    'no_card why="... is it an SD memory card?"': scenes.no_memory_card,
    'no_card why="... no room on the card for ..."': scenes.card_full_of_other_things,
    "no_card why=...": scenes.card_that_cannot_be_read,
    "card_lost why=...": scenes.card_pulled,
    'card_fault error="... write protected"': scenes.write_protected,
    "card_fault error=...": scenes.card_that_fails,
    "card_full error=...": scenes.full_card,
    "mailbox_closed mailbox=... why=...": scenes.mailbox_without_room,
    "repaired why=...": scenes.torn_write,
    'link_failed why="... wrong password"': scenes.wrong_password,
    'link_failed why="... no such network"': scenes.no_access_point,
    'link_failed why="Wi-Fi ...: not joined in time"': scenes.radio_that_is_not_let_in,
    'link_failed why="... is the cable in?"': scenes.no_cable,
    'link_failed why="no DHCP server answers"': scenes.no_dhcp_server,
    'link_failed why="... no chip answers, ..."': scenes.no_chip,
    "fallback_address address=... why=...": scenes.no_dhcp_and_another_address,
    "link_down": scenes.link_lost,
    "accept_failed port=... error=...": scenes.client_that_cannot_be_let_in,
    "name_taken name=... why=...": scenes.name_of_another,
    "no_time server=... why=...": scenes.no_time,
    'no_tls why="... has no ssl module"': scenes.image_without_tls,
    'no_tls why="there is no tls_key.der ..."': scenes.no_key,
    "no_logins why=...": scenes.no_logins,
    "logins why=...": scenes.logins_in_the_clear,
    'accounts_refused why="the heap has no room now; ..."': scenes.no_room_for_accounts,
    "accounts_refused why=...": scenes.spoilt_accounts_on_the_card,
    "accounts_repeat why=...": scenes.accounts_that_stay_on_the_card,
    "refused peer=... why=... advice=...": scenes.device_with_a_wrong_login,
    "device_silent peer=... mailbox=...": scenes.silent_device,
    "alarm_failed mailbox=... why=...": scenes.alarm_without_room,
    "passports_failed error=...": scenes.passports_without_a_file,
    "notice_put_off mailbox=... server=... why=...": scenes.server_that_is_away,
    "notice_failed mailbox=... server=... why=...": scenes.server_that_refuses,
    "notices_dropped letters=... why=...": scenes.more_letters_than_notices,
}


def test_each_has_its_scene():
    assert list(SCENES) == [complaint.says for complaint in COMPLAINTS]


@pytest.mark.parametrize("complaint", COMPLAINTS, ids=lambda each: re.sub(r"\W+", "_", each.says))
def test_what_is_wrong_is_told(tmp_path, complaint):
    events = SCENES[complaint.says](tmp_path)
    last = next(event for event in reversed(events) if event["event"] == complaint.event)
    [finding] = complaints.judge([last])
    assert finding == complaint.finding(last), (last, finding)
    assert finding.text.startswith(complaint.means) and (finding.advice or not complaint.advice)
    assert says(complaint.says, last), last


def test_the_page_has_all_of_them():
    page = (ROOT / "firmware" / "docs" / "troubleshooting.md").read_text()
    assert "\n".join(complaints.table()) in page
    assert "(firmware/docs/troubleshooting.md)" in (ROOT / "README.md").read_text()


def test_the_page_quotes_what_the_firmware_says():
    page = (ROOT / "firmware" / "docs" / "troubleshooting.md").read_text()
    quoted = re.findall(r"`(\d{3} \d\.\d+\.\d+ [^`]+|\[[A-Z/-]+\] [^`]+|-ERR [^`]+)`", page)
    said = "".join((ROOT / "firmware" / "picopost" / name / "replies.py").read_text()
                   for name in ("smtp", "pop3"))
    assert len(quoted) == 21
    assert [each for each in quoted if each + '"' not in said and each + "\\r" not in said] == []


def rows(heading: str) -> list[list[str]]:
    """The cells of the table below a heading of the page."""
    page = (ROOT / "firmware" / "docs" / "troubleshooting.md").read_text()
    table = page.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return [[cell.strip() for cell in line.strip("|").split(" | ")]
            for line in table.splitlines() if line.startswith("|")][2:]


def test_the_page_quotes_what_this_computer_says():
    said = "\0".join(
        node.value for path in sorted((ROOT / "host_tools").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str))
    said += "the heap has no room for it now" * (  # the board's own
        "the heap has no room for it now" in (ROOT / "firmware/picopost/keyboard.py").read_text())
    for cell, _ in rows("What this computer says"):
        for words in re.split(r"\.\.\.|, |;|NAME\.local|\(network\)", cell):
            assert words.strip() in said, words


def test_the_page_knows_what_the_led_says():
    """tests/e2e/test_status_led.py counts the flashes."""
    codes = dict(re.findall(r"^([A-Z_]+) = (\d)",
                            (ROOT / "firmware/picopost/status_led.py").read_text(), re.M))
    words = {"two": "NO_CARD", "three": "NO_NETWORK", "four": "WRONG_PASSWORD"}
    assert [codes[name] for name in words.values()] == ["2", "3", "4"]
    led = dict(rows("The LED"))
    assert {*words, "on", "off", "one flash and a pause", "quick, without end"} == set(led)
    for complaint in COMPLAINTS:
        code = words.get(complaint.flashes)
        assert (code == "WRONG_PASSWORD") == (complaint.says.endswith('wrong password"'))
        assert (code in ("NO_NETWORK", "WRONG_PASSWORD")) == complaint.event.startswith("link_")
        assert (code == "NO_CARD") == (complaint.event in ("no_card", "card_lost"))
        assert (complaint.flashes == "quick") == (complaint.event == "safe_mode")


def says(pattern: str, event: dict) -> bool:
    """Whether the row shows what stands on the console, as far as it goes."""
    name, _, fields = pattern.partition(" ")
    if event["event"] != name:
        return False
    for field, words in re.findall(r'(\w+)=("[^"]*"?|\.\.\.)', fields):
        parts = [re.escape(part) for part in words.strip('"').split("...")]
        if field not in event or not re.fullmatch(".*".join(parts) + ".*", str(event[field]),
                                                  re.DOTALL):
            return False
    return True
