"""A sample of the campaign, and power cuts of a whole running board that must come out alike."""

import json
import random

import pytest

from host_tools import firmware_build, firmware_modules  # noqa: F401
from tests.campaign import workload
from tests.campaign.cuts import Choice, Cut
from tests.campaign.judge import Expectation, Row, summary
from tests.campaign.ledger import Ledger
from tests.campaign.record import CARDS, Appliance, Record, RecordingImage, make_card
from tests.campaign.replay import Replay
from tests.campaign.run import Campaign
from tests.campaign.workload import USERS, Clients, fetch
from tests.support.wire import Pop3

from picopost.passports import record as passport  # isort: skip  (firmware_modules: possible)

_SEED = 1
_POSITIONS = 80  # of each card's 4,000 block writes
_PASSPORTS = 4
_SHOWN = 5
# Block writes of the real cuts; the workload makes 3,800 on this card.
_REAL_CUTS = [(40, 0), (180, 77), (470, 300), (900, None), (1500, 130), (3000, None)]


@pytest.fixture(scope="module", params=CARDS)
def recorded(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    return Record.make(request.param, folder), folder


def test_sample(recorded):
    record, folder = recorded
    _play(record, folder,
          random.Random(_SEED).sample(range(len(record.writes) + 1), _POSITIONS))


def test_passports_on_their_way(recorded):
    """The journal and the record of some devices' passports, and what is written next."""
    record, folder = recorded
    places = [place for place, (_, data, _) in enumerate(record.writes)
              if passport.read(bytearray(data), 0)]
    assert len(places) > _PASSPORTS
    _play(record, folder, {place + more for place in places[:_PASSPORTS] for more in (-1, 0, 1)})


def _play(record, folder, positions):
    """Cut the power at these block writes: no promise may be broken."""
    choice = Choice(_SEED, thorough=False)
    failed = []
    with Replay(record, folder / "replay.img") as replay:
        for position in sorted(positions):
            failed += [outcome for outcome in replay.outcomes(position, choice)
                       if outcome.failures]
    if failed:
        kept = firmware_build.BUILD / "campaign" / "sample" / record.card_kind
        kept.mkdir(parents=True, exist_ok=True)
        record.save(kept)
        pytest.fail(f"{len(failed)} cuts failed, e.g.\n" + "\n".join(
            f"python -m tests.campaign --record {kept} --only {outcome.cut}: "
            + summary(outcome.failures) for outcome in failed[:_SHOWN]), pytrace=False)


def test_a_promise_too_early_is_found(recorded):
    """Were the 250 sent before the letter is on the card, a cut would show it."""
    record, folder = recorded
    delivery = record.ledger.deliveries[3]
    with Replay(record, folder / "early.img") as replay:
        cut = Cut(delivery.asked, "clean")
        assert not replay.play(cut).failures
        honest = delivery.acked
        delivery.acked = (delivery.asked, record.writes[delivery.asked][2])
        try:
            kinds = {failure.kind for failure in replay.play(cut).failures}
        finally:
            delivery.acked = honest
    assert "lost" in kinds


def test_campaign_goes_on(recorded, tmp_path, capsys):
    """What was done is not done again; what was cut off is."""
    record, _ = recorded
    folder = tmp_path / record.card_kind
    folder.mkdir()
    record.save(folder)

    def run():
        Campaign(tmp_path, [folder], Choice(_SEED, thorough=False), 700, 2, None).run()
        report, = json.loads((tmp_path / "report.json").read_text())
        assert report["done"] == report["positions"] == len(record.writes) // 700 + 1
        assert report["cuts"]["clean"] == report["done"] and report["cuts"]["torn"] > 0
        return capsys.readouterr().out.count(" positions, ")

    assert run() > 0
    assert run() == 0
    state = folder / f"done-{_SEED}.jsonl"
    state.write_text(state.read_text()[:-10])
    assert run() == 1
    assert run() == 0


def test_cuts_have_names():
    for cut in (Cut(7, "clean"), Cut(7, "torn", (37,)), Cut(7, "reorder", (2,)),
                Cut(7, "again", (3, 99, 37))):
        assert Cut.parse(str(cut)) == cut
    for text in ("7", "7,torn", "x,clean", "7,torn:1:2", "7,bent:1"):
        with pytest.raises(ValueError):
            Cut.parse(text)


@pytest.mark.parametrize("nth, torn", _REAL_CUTS)
def test_real_cut(tmp_path, nth, torn):
    """The board loses its power while clients talk to it; the next start keeps every promise."""
    ledger = Ledger()
    with make_card("sdhc", tmp_path / "card.img", RecordingImage) as card:
        appliance = Appliance(card, tmp_path, cut=(nth, torn))
        appliance.enter_in(ledger)
        appliance.start()
        clients = Clients(appliance, ledger)
        if appliance.wait_ready():
            with pytest.raises(workload.GONE):
                workload.run(clients)
        appliance.join()
        assert appliance.board.power_cut and len(card.log) == nth
        expected = Expectation(ledger)
        clients.ports = appliance = Appliance(card, tmp_path)
        appliance.enter_in(ledger)
        appliance.start()
        assert appliance.wait_ready(), appliance.console
        found = {name: _rows(appliance, name) for name in USERS}
        failures = [failure for name in USERS for failure in expected.judge(name, found[name])]
        for size in (500, 6000):
            clients.send(size, *USERS)
        new = [delivery.digest for delivery in ledger.deliveries[-2:]]
        appliance.restart()
        for name in USERS:
            rows = _rows(appliance, name)
            failures += expected.judge(name, rows, new)
            assert rows[:-2] == found[name]
        appliance.stop()
    assert not failures, summary(failures)


def _rows(appliance, name):
    with Pop3(appliance.pop3, name, USERS[name]) as pop:
        told = pop.sizes()
        uids = pop.uids()
        rows = [Row(uids[number].decode(), told[number], *fetch(pop, number)) for number in told]
        pop.quit()
    return rows
