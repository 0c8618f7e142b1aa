"""The dialogues of dialogues/*.txt against pop3.dialogue inside the VM.

In these files a user is `name:password:sizes`, the sizes in octets of the messages that wait for
them: `users: girl:secret:120 200, boy:pa55:`. A message is what vm_session.message() makes.
"""

from pathlib import Path

import pytest

from tests.support import dialogues

SCRIPTS = dialogues.parse_all(Path(__file__).with_name("dialogues"))


def accounts_of(settings: dialogues.Settings) -> dict[bytes, tuple[bytes, list[int]]]:
    """{name: (password, sizes)}"""
    users = (user.split(":") for user in settings.users)
    return {name.encode(): (password.encode(), [int(size) for size in sizes.split()])
            for name, password, sizes in users}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_dialogue(client, script):
    said = client.connect(accounts_of(script.settings), script.settings.hostname)

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
