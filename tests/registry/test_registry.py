"""Versions, champion and journal."""

import errno
import os
import shutil
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest

from tuning.errors import TuningError
from tuning.evaluation.records import Interval, Judgement
from tuning.registry import registry
from tuning.registry.listing import history_lines, model_lines
from tuning.registry.model_folder import open_model
from tuning.target import command_in_words


def actions(settings) -> list[tuple[str, str, str | None]]:
    return [(event.action, event.version, event.champion) for event in registry.history(settings)]


def test_versions_are_numbered_and_hold_the_model(settings, version, model_files):
    assert registry.register(settings, version("k1"), model_files)[0].name == "v1"
    assert registry.register(settings, version("k2"), model_files)[0].name == "v2"
    assert [found.name for found in registry.versions(settings)] == ["v1", "v2"]
    folder = settings.models_dir / "v1" / "model"
    assert open_model(folder).uri == str(folder / "weights")
    assert (folder / "weights" / "model.bin").read_bytes() == b"weights"


def test_a_registered_model_outlives_the_pipelines_files(settings, version, model_files):
    registry.register(settings, version(), model_files)
    shutil.rmtree(model_files)
    assert (settings.models_dir / "v1" / "model" / "weights" / "model.bin").read_bytes() == b"weights"


def test_the_same_training_is_registered_once_and_a_new_verdict_is_recorded(settings, version, model_files):
    first, is_new = registry.register(settings, version("k1", "better"), model_files)
    assert (first.name, is_new) == ("v1", True)
    assert registry.register(settings, version("k1", "better"), model_files) == (first, False)
    assert actions(settings) == [("registered", "v1", None)]
    assert registry.register(settings, version("k1", "worse"), model_files)[0].verdict.status == "worse"
    assert actions(settings)[1:] == [("judged again", "v1", None)]
    assert registry.find_version(settings, "v1").verdict.status == "worse"


def test_promotions_stand_until_they_are_rolled_back(settings, version, model_files):
    registry.register(settings, version("k1"), model_files)
    registry.register(settings, version("k2", against="v1"), model_files)
    assert registry.champion(settings) is None
    registry.promote(settings, "v1")
    registry.promote(settings, "v2")
    assert registry.champion(settings).name == "v2"
    with pytest.raises(TuningError, match=r"v1 is not the champion, so it cannot be rolled back\. v2 is"):
        registry.rollback(settings, name="v1")
    assert registry.rollback(settings, "answers got worse") == ("v2", "v1", True)
    assert registry.champion(settings).name == "v1"
    assert registry.rollback(settings, name="v1") == ("v1", None, True)
    assert registry.champion(settings) is None
    with pytest.raises(TuningError, match=r"no champion, because v1 was rolled back\. `invoke promote v1` undoes that"):
        registry.find_version(settings, "champion")
    with pytest.raises(TuningError, match="there is no champion to roll back"):
        registry.rollback(settings, name="v2")
    assert registry.history(settings)[4].reason == "answers got worse"


def test_the_command_that_undoes_a_rollback_is_one_that_is_not_refused(settings, version, model_files):
    registry.register(settings, version("k1"), model_files)
    registry.register(settings, version("k2", against="v1"), model_files)
    assert registry.promotion_command(settings, "v1") == "`invoke promote v1`"
    registry.promote(settings, "v2", force=True, reason="a trial")
    registry.rollback(settings)
    with pytest.raises(TuningError, match="v2 was compared with v1, but the champion now is none"):
        registry.promote(settings, "v2")
    with pytest.raises(TuningError, match=r'v2 was rolled back\. `invoke promote v2 --force --reason "…"` undoes that'):
        registry.find_version(settings, "champion")
    shutil.rmtree(settings.models_dir / "v2")
    with pytest.raises(TuningError, match=r"v2 was rolled back\. Run `invoke tune`, or name a version"):
        registry.find_version(settings, "champion")
    assert registry.promotion_command(settings, "v2") is None


def test_a_command_that_a_message_names_has_the_target(settings):
    on_google = msgspec.structs.replace(settings, target="gcp")
    assert command_in_words(settings, "rollback v1") == "`invoke rollback v1`"
    assert command_in_words(on_google, "rollback v1") == "`invoke rollback v1 --target gcp`"


def test_a_rollback_that_is_repeated_is_recorded_once(settings, version, model_files):
    with pytest.raises(TuningError, match="there is no champion to roll back"):
        registry.rollback(settings)
    for key, against in (("k1", None), ("k2", "v1"), ("k3", "v1")):
        registry.register(settings, version(key, against=against), model_files)
    for name in ("v1", "v2"):
        registry.promote(settings, name)
    assert [registry.rollback(settings, name=name)[2] for name in ("v2", "v2", "")] == [True, False, False]
    assert registry.rollback(settings) == ("v2", "v1", False)
    assert [event.action for event in registry.history(settings)].count("rolled back") == 1
    registry.promote(settings, "v3")
    assert registry.rollback(settings) == ("v3", "v1", True)


def test_rolling_back_after_a_second_promotion_gives_the_one_before_it(settings, version, model_files):
    for key, against in (("k1", None), ("k2", "v1"), ("k3", "v1")):
        registry.register(settings, version(key, against=against), model_files)
    for name in ("v1", "v2"):
        registry.promote(settings, name)
    registry.rollback(settings)
    registry.promote(settings, "v3")
    assert registry.rollback(settings)[1] == "v1"


def test_a_verdict_counts_only_against_the_current_champion(settings, version, model_files):
    for key, against in (("k1", None), ("k2", "v1"), ("k3", "v1")):
        registry.register(settings, version(key, against=against), model_files)
    with pytest.raises(registry.ChampionChangedError, match=r"v2 was compared with v1, but the champion now is none"):
        registry.promote(settings, "v2")
    registry.promote(settings, "v1")
    registry.promote(settings, "v3")
    with pytest.raises(registry.ChampionChangedError, match=r"v2 was compared with v1, but the champion now is v3"):
        registry.promote(settings, "v2")
    assert registry.promote(settings, "v2", force=True, reason="I looked at its answers")[0].name == "v2"


@pytest.mark.parametrize("status", ["undecided", "worse", "pass", "fail"])
def test_no_other_verdict_allows_a_release(settings, version, model_files, status):
    registry.register(settings, version("k1", status), model_files)
    with pytest.raises(TuningError, match="may not be released"):
        registry.promote(settings, "v1")


def test_promoting_the_champion_again_changes_nothing(settings, version, model_files):
    registry.register(settings, version(), model_files)
    assert registry.promote(settings, "v1")[1] is True
    assert registry.promote(settings, "v1")[1] is False
    assert len(registry.history(settings)) == 2


def test_a_reason_to_promote_the_champion_again_is_kept_and_a_rollback_ignores_it(settings, version, model_files):
    for key, against in (("k1", None), ("k2", "v1")):
        registry.register(settings, version(key, against=against), model_files)
        registry.promote(settings, f"v{key[1]}")
    assert registry.promote(settings, "v2", force=True, reason="I read 20 answers")[1] is False
    registry.promote(settings, "v2", reason="and 20 more")
    last = [(event.action, event.champion, event.reason) for event in registry.history(settings)[-2:]]
    assert last == [("promoted by force", "v2", "I read 20 answers"), ("promoted", "v2", "and 20 more")]
    assert registry.rollback(settings) == ("v2", "v1", True)
    assert registry.rollback(settings, name="v1") == ("v1", None, True)


def test_a_promotion_that_is_repeated_is_recorded_once(settings, version, model_files):
    registry.register(settings, version(status="undecided"), model_files)
    for is_new in (True, False, False):
        assert registry.promote(settings, "v1", force=True, reason="I read 20 answers")[1] is is_new
    assert [event.reason for event in registry.history(settings)] == ["", "I read 20 answers"]


def test_a_model_without_a_passing_verdict_needs_force_and_a_reason(settings, version, model_files):
    registry.register(settings, version(status="undecided"), model_files)
    with pytest.raises(TuningError, match="v1 may not be released"):
        registry.promote(settings, "v1")
    with pytest.raises(TuningError, match="--force needs --reason"):
        registry.promote(settings, "v1", force=True, reason=" ")
    assert registry.champion(settings) is None
    registry.promote(settings, "v1", force=True, reason="the set was small")
    last = registry.history(settings)[-1]
    assert (last.action, last.champion, last.reason) == ("promoted by force", "v1", "the set was small")


def test_an_unknown_version_is_one_line_that_lists_the_known(settings, version, model_files):
    with pytest.raises(TuningError, match="Registered versions: none"):
        registry.find_version(settings, "v9")
    registry.register(settings, version(), model_files)
    with pytest.raises(TuningError, match="Registered versions: v1"):
        registry.promote(settings, "v9")


def test_a_disk_that_fills_up_leaves_no_broken_model(settings, version, model_files, monkeypatch):
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "link", full)
    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(TuningError, match="the disk became full"):
        registry.register(settings, version(), model_files)
    assert registry.versions(settings) == []
    assert sorted(path.name for path in settings.models_dir.iterdir()) == [".lock", ".register.lock", "journal.jsonl"]
    monkeypatch.undo()
    assert registry.register(settings, version(), model_files)[0].name == "v1"


def test_registering_at_the_same_time_gives_each_its_own_name(settings, version, model_files):
    with ThreadPoolExecutor(4) as pool:
        names = list(pool.map(lambda n: registry.register(settings, version(f"k{n}"), model_files)[0].name, range(8)))
    assert sorted(names) == [f"v{n}" for n in range(1, 9)]
    assert len(registry.history(settings)) == 8


def test_a_damaged_journal_is_one_line(settings, version, model_files):
    registry.register(settings, version(), model_files)
    (settings.models_dir / "journal.jsonl").write_bytes(b'{"at"')
    with pytest.raises(TuningError, match=r"journal\.jsonl is damaged"):
        registry.champion(settings)


def test_the_list_marks_the_champion(settings, version, model_files):
    assert "no models in" in model_lines(settings)[0]
    plain = version("k2")
    judgement = Judgement(
        opponent="base",
        status="better",
        reasons=[],
        executed=Interval(mean=-5.2, low=-10, high=0, examples=96),
        solved={"tuned": 29, "base": 34},
    )
    improvements = {"base": Interval(mean=0.1, low=0.05, high=0.2, examples=30)}
    judged = msgspec.structs.replace(plain.verdict, judgements=[judgement], improvements=improvements)
    equal = msgspec.structs.replace(judgement, executed=Interval(mean=0, low=-9, high=9, examples=96), solved={})
    worse = {"champion": Interval(mean=-0.2, low=-0.3, high=-0.1, examples=30)}
    earlier = msgspec.structs.replace(plain.verdict, judgements=[equal], improvements=worse)
    for one in (
        msgspec.structs.replace(version("k1"), verdict=earlier),
        msgspec.structs.replace(plain, verdict=judged),
    ):
        registry.register(settings, one, model_files)
    registry.promote(settings, "v2")
    lines = model_lines(settings)
    assert lines[1].startswith("  v1 ")
    assert lines[2].startswith("* v2 ")
    assert lines[1].endswith(
        "base: how-to questions solved: no difference; champion: loss changes by +0.200 (lower is better)"
    )
    assert lines[2].endswith(
        "base: solves 29 of 96 how-to questions, base 34 (-5.2 points), loss changes by -0.100 (lower is better)"
    )
    assert [line.split()[1] for line in history_lines(settings)] == ["registered", "registered", "promoted"]


def test_a_record_with_a_time_that_is_none_is_damaged(settings, version, model_files):
    registry.register(settings, version(), model_files)
    (path,) = settings.models_dir.glob("v1/*.json")
    record = msgspec.json.decode(path.read_bytes())
    path.write_bytes(msgspec.json.encode({**record, "created_at": "2026-02-30T10:00:00"}))
    with pytest.raises(TuningError, match=r"v1.*damaged.*day is out of range"):
        registry.versions(settings)


def test_a_reason_of_several_lines_is_kept_on_one(settings, version, model_files):
    registry.register(settings, version(status="undecided"), model_files)
    registry.promote(settings, "v1", force=True, reason=" too small\r\nto decide\n")
    assert registry.history(settings)[-1].reason == "too small to decide"
