"""`python -m host_tools trace` at the command line, with files, on cards, and what it draws."""

import io
import json
import os
import re
import subprocess
import sys
from xml.etree import ElementTree

import pytest

from host_tools.firmware_build import ROOT
from host_tools.trace import drawing, table
from host_tools.trace.report import report
from tests.card.conftest import new_image
from tests.mime.test_course_notes import MEANT
from tests.trace.messages import HONEST, one_hop

_SVG = "{http://www.w3.org/2000/svg}"


def trace(*arguments, given: bytes = b"") -> subprocess.CompletedProcess:
    done = subprocess.run([sys.executable, "-m", "host_tools", "trace", *map(str, arguments)],
                          cwd=ROOT, input=given, capture_output=True, timeout=60,
                          env={**os.environ, "PYTHONUTF8": "1"})
    done.stdout, done.stderr = done.stdout.decode(), done.stderr.decode()
    return done


@pytest.fixture
def letter(tmp_path):
    path = tmp_path / "letter.eml"
    path.write_bytes(MEANT["exercise_1"])
    return path


# --- the command ------------------------------------------------------------------------------

def test_table_of_a_file(letter):
    done = trace(letter)
    assert done.returncode == 0 and done.stderr == ""
    lines = done.stdout.splitlines()
    assert lines[0] == "From          Mélanie Legas <mlegas@hotmail.fr>"
    rows = [re.split(r" {2,}", line) for line in lines if re.match(r"\d", line)]
    assert rows[0] == ["1?", "BAY130-W1", "65.55.135.36", "bay0-omc2-s6.bay0.hotmail.com",
                       "Microsoft SMTPSVC", "2012-08-26 08:47:09"]
    assert rows[1] == ["2!", "bay0-omc2-s6.bay0.hotmail.com", "65.54.246.142", "soleil.uvsq.fr",
                       "ESMTP", "no", "2012-08-26 09:18:38", "31 min 29 s", "m7Q9IWmj059857",
                       "berthet@iut-velizy.uvsq.fr"]
    assert rows[3][2] == "127.0.0.1 (loopback)" and len(rows[:5]) == 5
    assert ("5 Received lines, 3 servers, the last the recipient's: bay0-omc2-s6.bay0.hotmail.com, "
            "soleil.uvsq.fr, horus.iut-velizy.uvsq.fr.") in lines
    assert "Within one server: hops 4, 5." in lines
    assert "Of uvsq.fr: soleil.uvsq.fr, horus.iut-velizy.uvsq.fr." in lines
    assert "Under way for 31 min 57 s (1917 s)." in lines
    assert sum(line.startswith("suspicion  ") for line in lines) == 2
    assert not any(line != line.rstrip() or "\x1b" in line or "─" in line for line in lines)


def test_json_of_standard_input():
    found = json.loads(trace("-", "--json", given=HONEST.replace(b"\n", b"\r\n")).stdout)
    assert [server["name"] for server in found["servers"]] == [
        "smtp.gmail.com", "mail-wr1-f41.google.com", "gate.univ.example.fr", "mx.univ.example.fr",
        "imap.univ.example.fr"]
    assert [hop["tls"] for hop in found["hops"]] == [True, False, True, False, False, True, False]
    assert found["hops"][2]["tls_version"] == "TLS 1.3" and found["total_seconds"] == 6
    assert found["oldest_trusted_hop"] == 3 and found["program"] == "Mozilla Thunderbird"
    assert found["sent_from"] == {"name": "lfbn-idf1-1-2-3.w90-1.abo.wanadoo.fr",
                                  "address": "90.1.2.3", "kind": "public", "web_address": None}
    assert found["hops"][5]["envelope_from"] == "alice@gmail.com"
    trusted = json.loads(trace("-", "--json", "--trust", "google.com", given=HONEST).stdout)
    assert trusted["oldest_trusted_hop"] == 1 and trusted["suspicions"] == []


def test_drawing_is_never_written_over_a_file(letter, tmp_path):
    target = tmp_path / "way.svg"
    assert trace(letter, "--svg", target).returncode == 0
    assert target.read_text() == drawing.svg(report(MEANT["exercise_1"]))
    target.write_text("mine")
    done = trace(letter, "--svg", target)
    assert done.returncode == 1 and target.read_text() == "mine" and done.stdout == ""
    assert done.stderr == f"python -m host_tools trace: {target}: File exists\n"


def test_what_cannot_be_read_is_one_line(tmp_path):
    done = trace(tmp_path / "none.eml")
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "No such file" in done.stderr
    for arguments in ((), ("a", "--card", "b", "c", "d")):
        assert "either a file or --card" in trace(*arguments).stderr
    done = trace("--card", tmp_path / "none.img", "girl", "0.0")
    assert done.returncode == 1 and done.stderr.count("\n") == 1


# --- what picopost wrote ----------------------------------------------------------------------

def test_message_on_a_card(tmp_path):
    card = new_image(tmp_path / "card.img", "fat16")
    with card.firmware("girl") as vm:
        card.deliver(vm, "girl", MEANT["exercise_1"].replace(b"\n", b"\r\n"))
        card.deliver(vm, "girl", b"Subject: deleted\r\n\r\n")
        vm.eval("delete('girl', [2])")
    (unique_id, _), (deleted, _) = card.letters["girl"]
    done = trace("--card", card.path, "girl", unique_id, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    last = found["hops"][-1]
    assert len(found["hops"]) == 6 and last["id"] == unique_id and last["trusted"]
    assert last["from"] == {"helo": "abc.com", "reverse": None, "address": "192.0.2.1",
                            "kind": "public"}
    assert last["by"]["name"] == "xyz.com" and last["protocol"] == "ESMTP"
    assert last["utc"] == "2023-11-14T22:13:20Z" and last["tls"] is False
    assert found["return_path"] == "boy@abc.com"
    for other in ("00000000.00000000", deleted):
        done = trace("--card", card.path, "girl", other)
        assert done.returncode == 1 and f"no message {other} in girl" in done.stderr
    done = trace("--card", card.path, "boy", unique_id)
    assert done.returncode == 1 and "no mailbox boy; there are girl" in done.stderr


# --- for the eye ------------------------------------------------------------------------------

class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_what_a_stranger_wrote_does_not_reach_the_terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    bad = one_hop("from \x1b[2Jx ([192.168.1.1]) by b\x07[bold]c[/bold] with SMTP; "
                  "Mon, 2 Mar 2026 10:00:06 +0100", "Subject: \x1b]0;x\x07 :smile: \u202e\n")
    for stream in (_Terminal(), io.StringIO()):
        table.show(report(bad), stream)
        shown = stream.getvalue()
        assert "\x07" not in shown and "\x1b[2J" not in shown and "\x1b]" not in shown
        assert "\u202e" not in shown and "smile" in shown
    assert shown.count("[bold]c[/bold]") == 2  # in the table and below it
    root = ElementTree.fromstring(drawing.svg(report(bad)))
    assert any("[bold]" in text.text for text in root.iter(_SVG + "text"))


def test_table_fits_a_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    stream = _Terminal()
    table.show(report(HONEST), stream)
    shown = re.sub(r"\x1b\[[\d;]*m", "", stream.getvalue())
    assert max(map(len, shown.splitlines())) <= 100 and "─" in shown


def texts(message: bytes) -> list[str]:
    root = ElementTree.fromstring(drawing.svg(report(message)))
    assert root.tag == _SVG + "svg"
    return [text.text for text in root.iter(_SVG + "text")]


def _holds(box, root, text: str) -> bool:
    y, = (int(each.get("y")) for each in root.iter(_SVG + "text") if each.text.startswith(text))
    return int(box.get("y")) < y < int(box.get("y")) + int(box.get("height"))


def test_no_lock_where_no_tls_is_told():
    root = ElementTree.fromstring(drawing.svg(report(MEANT["exercise_1"])))
    assert not [box for box in root.iter(_SVG + "rect") if box.get("width") == "14"]
    shown = texts(MEANT["exercise_1"])
    assert "1  Microsoft SMTPSVC" in shown and "2  ESMTP, in the clear" in shown


def test_drawing_of_an_honest_way():
    drawn = drawing.svg(report(HONEST))
    assert drawn == drawing.svg(report(HONEST))
    root = ElementTree.fromstring(drawn)
    shown = texts(HONEST)
    assert shown[:2] == ["Alice <alice@gmail.com> to bob@univ.example.fr",
                         "5 servers, 6 s under way"]
    boxes = [box for box in root.iter(_SVG + "rect") if box.get("width") == "400"]
    assert len(boxes) == 1 + 5  # the author's computer, the servers
    locks = [box for box in root.iter(_SVG + "rect") if box.get("width") == "14"]
    assert len(locks) == 3
    assert {"1  ESMTPSA, TLS 1.3", "2  SMTP, in the clear", "3  ESMTPS, TLS 1.3",
            "4  localhost (amavisd-new, port 10024), ESMTP", "6  esmtps, TLS 1.2"} <= set(shown)
    assert "above: what the sender's side says" in shown
    # What belongs to no box or arrow ends within the drawing, and boxes follow each other.
    assert len([box for box in boxes if _holds(box, root, "4  localhost")]) == 1
    assert len([box for box in boxes if _holds(box, root, "5  gate.univ")]) == 1
    edges = [(int(box.get("y")), int(box.get("height"))) for box in boxes]
    assert all(y + height + 60 <= below for (y, height), (below, _) in
               zip(edges, edges[1:], strict=False))
    assert int(root.get("height")) > max(int(text.get("y")) for text in root.iter(_SVG + "text"))


def test_drawing_of_a_chain_that_breaks():
    forged = one_hop("from a.other.example.com (a.other.example.com [203.0.113.9]) by "
                     "gate.univ.example.fr with SMTP; Mon, 2 Mar 2026 10:00:06 +0100",
                     "Received: from x.mybank.com ([198.51.100.7]) by mail.mybank.com; "
                     "Mon, 2 Mar 2026 10:00:01 +0100\n")
    shown = texts(forged)
    assert "nothing says how it came from there" in shown and "a.other.example.com" in shown
    honest = one_hop("from mail.mybank.com (unknown [198.51.100.7]) by gate.univ.example.fr with "
                     "SMTP; Mon, 2 Mar 2026 10:00:06 +0100",
                     "Received: from x.mybank.com ([198.51.100.8]) by mail.mybank.com; "
                     "Mon, 2 Mar 2026 10:00:01 +0100\n")
    assert "helo" in {each.code for each in report(honest).suspicions}
    for message in (HONEST, honest):  # a note is no break
        assert "nothing says how it came from there" not in texts(message)
    assert texts(b"no header") and texts(b"")
