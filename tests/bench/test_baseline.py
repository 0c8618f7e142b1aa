"""What mail costs on the buses and in the heap does not get worse unseen."""

import copy
import json

import pytest

from tests.bench import counts

BASELINE = json.loads(counts.BASELINE.read_text())


@pytest.mark.parametrize("board", counts.BOARDS)
def test_no_figure_is_worse(board):
    """One test, since the measuring takes its time: no worse than the baseline by 5%, and no
    target missed that the baseline meets."""
    rows = counts.measure(board)
    before = BASELINE[board]
    not_yet = counts.missed(before)
    lines = [f"misses now: {words}: {by}" for words, by in counts.missed(rows).items()
             if words not in not_yet]
    lines += counts.worse(rows, before)
    assert not lines, "\n".join([
        f"{board} got worse by more than {counts.TOLERANCE:.0%}, or misses what it has met:",
        *lines, f"if it has to be so: {counts.RENEW}"])


@pytest.mark.parametrize("board", counts.BOARDS)
def test_collections_and_the_machine_change_no_figure(board, tmp_path):
    found = []
    for more in (0, 64):
        folder = tmp_path / str(more)
        folder.mkdir()
        sessions = [("in", 25, counts.smtp([counts.text(20_000), counts.text(1000)])),
                    ("out", 110, counts.pop3(range(1, 3)))]
        run = counts.Run(board, folder, sessions, more_heap_kib=more)
        assert len(run.sizes) == 2
        found.append((run.costs, run.idle))
    assert found[0] == found[1]


def test_a_client_that_hears_something_else_is_told_of(tmp_path):
    def script():
        yield b"", counts.smtp_reply
        counts._expect((yield b"NOOP\r\n", counts.smtp_reply), b"354")

    with pytest.raises(counts.ScriptError, match="250"):
        counts.Run("pico_w5500", tmp_path, [("", 25, script())])


def test_a_figure_that_is_worse_is_found(monkeypatch):
    monkeypatch.setattr(counts, "vm_arch", lambda: "x64")
    rows = BASELINE["pico_w5500"]
    for what, costs in rows.items():
        for name, was in costs.items():
            if name == counts.CALLS_MADE:
                continue
            other = copy.deepcopy(rows)
            other[what][name] = was + abs(was) * 0.051 + 0.001
            assert len(counts.worse(other, rows)) == 1, (what, name)
            other[what][name] = was + abs(was) * 0.049
            assert not counts.worse(other, rows), (what, name)


def test_a_baseline_that_gives_a_target_up_is_not_written(tmp_path, monkeypatch):
    file = tmp_path / "baseline.json"
    file.write_text(counts.BASELINE.read_text())
    monkeypatch.setattr(counts, "BASELINE", file)
    counts.write_baseline(BASELINE)
    worse = copy.deepcopy(BASELINE)
    worse["pico_w5500"]["idle poll"]["SPI calls, W5500"] = 2.1
    with pytest.raises(ValueError, match="idle poll"):
        counts.write_baseline(worse)
    assert json.loads(file.read_text()) == BASELINE
