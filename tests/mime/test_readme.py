"""README's example is a program that works."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
LETTER = b"""Content-Type: multipart/mixed; boundary=x

--x

a line
--x
Content-Type: image/png
Content-Transfer-Encoding: base64

QUJD
--x--
"""


def test_the_example_of_readme(tmp_path):
    section = (ROOT / "README.md").read_text().split("## Reading a message")[1]
    program = re.search(r"```python\n(.+?)```", section, re.DOTALL)[1]
    (tmp_path / "letter.eml").write_bytes(LETTER)
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True,
                          text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert (done.stdout, done.stderr) == (
        "1 text/plain\noctets 48 to 54 0 lines\n"
        "2 image/png\noctets 118 to 122 0 lines\n"
        f"octets 43 to {len(LETTER)} {LETTER.count(10, 43)} lines\n", "")
