"""The dialogues of dialogues/*.txt against pop3.dialogue inside the VM.

A message is what message.py makes. `left` is how many are in the mailbox of the session afterwards.
The same over sockets: tests/e2e/test_pop3_dialogues.py.
"""

from pathlib import Path

import pytest

from tests.support import dialogues

SCRIPTS = dialogues.parse_all(Path(__file__).with_name("dialogues"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_dialogue(client, script):
    said = client.connect(dialogues.pop3_accounts(script.settings), script.settings.hostname)

    def send(line):
        nonlocal said
        said += client.say(line)

    def receive():
        nonlocal said
        line, end, said = said.partition(b"\r\n")
        assert end, f"{line!r} is no whole line"
        return line

    script.run(send, receive, lambda: said, start_tls=lambda: None)
    assert client.vm.eval("session.closed")
    if script.left is not None:
        assert client.maildrop("live_count") == script.left
