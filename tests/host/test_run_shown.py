"""What `run` tells a person."""

import argparse

import pytest

from host_tools import accounts
from host_tools.run import shown


@pytest.mark.parametrize("services, sends, fetches", [
    ({"smtp": 25, "submission": 587, "pop3": 110, "pop3s": 995},
     "-sS smtp://127.0.0.1:2025 ", "-sS pop3://127.0.0.1:2110/1"),
    ({"submission": 587, "smtps": 465, "pop3s": 995},
     "-sS --user girl:pw smtp://127.0.0.1:2587 ", "-sS --insecure pop3s://127.0.0.1:2995/1"),
    ({"smtps": 465}, "-sS --insecure --user girl:pw smtps://127.0.0.1:2465 ", None),
    ({"smtp2525": 2525, "pop3_1100": 1100}, None, None),
])
def test_examples_fit_the_ports_there_are(tmp_path, capsys, services, sends, fetches):
    card = tmp_path / "card.img"
    (tmp_path / "card.flash").mkdir()
    (tmp_path / "card.flash" / "accounts.txt").write_text(accounts.line("girl", "pw") + "\n")
    options = argparse.Namespace(port_offset=2000, card=card, board="pico_w")
    ready = "0 ready board=pico_w hostname=xyz.com address=10.0.0.2 " + " ".join(
        f"{name}={port}" for name, port in services.items())
    shown.Text(options, {"girl": "pw"}, card, None).line(ready)
    printed = capsys.readouterr().out
    for words, wanted in (("Send a letter", sends), ("Fetch it", fetches)):
        assert (words in printed) == bool(wanted)
        assert not wanted or wanted in printed
    assert printed.endswith("Ctrl-C stops it.\n")
