"""What mail costs on the buses and in the heap does not get worse unseen."""

import copy
import json

import pytest

from tests.bench import counts

BASELINE = json.loads(counts.BASELINE.read_text())


@pytest.fixture(scope="module", params=counts.BOARDS)
def measured(request):
    return request.param, counts.measure(request.param)


def test_no_figure_is_worse_than_the_baseline(measured):
    board, rows = measured
    lines = counts.worse(rows, BASELINE[board])
    assert not lines, "\n".join([
        f"{board} got worse by more than {counts.TOLERANCE:.0%}:", *lines,
        f"if it has to be so: {counts.RENEW}"])


def test_targets_that_were_met_are_met(measured):
    board, rows = measured
    not_yet = counts.missed(BASELINE[board])
    lines = [f"{words}: {by}" for words, by in counts.missed(rows).items() if words not in not_yet]
    assert not lines, "\n".join([f"{board} misses what it has met:", *lines])


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
