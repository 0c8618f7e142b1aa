"""What `deploy` and the firmware keep on a board's flash, by the names of the files."""

MAIN = "main.py"
BOARD = "board.json"
# How many starts failed one after the other, and what the last one said (firmware/main.py).
FAULT = "fault.txt"
# The firmware: files that are named by what is in them, and which is which.
FOLDER = "f"
LIST = "files.txt"


def listed(content: bytes) -> dict[str, str]:
    """{path: name in FOLDER} of a LIST; lines that are none are passed over."""
    lines = (line.split() for line in content.decode(errors="replace").splitlines())
    return {words[0]: words[1] for words in lines if len(words) == 2}
