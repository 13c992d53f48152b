"""The journal on target local: processes that change it at the same time are killed at any moment."""

import multiprocessing
import shutil
import time
from pathlib import Path

import pytest

from tuning.registry import registry
from tuning.registry.model_folder import MODEL
from tuning.settings import Settings

ROUNDS, PROCESSES, CHANGES = 5, 2, 12


def promote_for_ever(settings: Settings, name: str, promised: Path) -> None:
    """Promote, and write down each promotion that returned."""
    with promised.open("ab", buffering=0) as file:
        for number in range(1_000_000):
            try:
                registry.promote(settings, f"v{1 + number % 2}", force=True, reason=f"{name}-{number}")
                file.write(f"{name}-{number}\n".encode())
            except registry.ChampionChangedError:
                pass


def test_what_a_killed_process_was_told_is_in_the_journal_and_nothing_is_half(settings, version, model_files, tmp_path):
    for key in ("k1", "k2"):
        registry.register(settings, version(key), model_files)
    fork, promised = multiprocessing.get_context("fork"), tmp_path / "promised"
    promised.touch()
    for turn in range(ROUNDS):
        names = [f"{turn}-{number}" for number in range(PROCESSES)]
        running = [fork.Process(target=promote_for_ever, args=(settings, name, promised)) for name in names]
        for process in running:
            process.start()
        while len(promised.read_text().splitlines()) < (turn + 1) * CHANGES:
            assert all(process.is_alive() for process in running)
            registry.champion(settings)  # never half a journal
            time.sleep(0.01)
        for process in running:
            process.kill()
            process.join()
        recorded = [event.reason for event in registry.history(settings) if event.reason]
        assert set(promised.read_text().splitlines()) <= set(recorded)
        assert len(set(recorded)) == len(recorded) >= (turn + 1) * CHANGES
        assert registry.champion(settings).name in ("v1", "v2")


def test_a_registration_that_is_killed_is_no_version_and_the_next_one_takes_its_name(
    settings, version, model_files, monkeypatch
):
    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(registry, "change", killed)  # all files are written, and the journal is not
    with pytest.raises(KeyboardInterrupt):
        registry.register(settings, version("k1"), model_files)
    monkeypatch.undo()
    assert (settings.models_dir / "v1" / "model" / MODEL).exists()
    assert registry.versions(settings) == registry.history(settings) == []
    with pytest.raises(Exception, match=r"there is no model 'v1': .*models has its folder, but the journal does not"):
        registry.find_version(settings, "v1")
    assert registry.register(settings, version("k1"), model_files)[0].name == "v1"
    assert [event.action for event in registry.history(settings)] == ["registered"]


def test_another_training_leaves_the_name_of_a_killed_registration(settings, version, model_files, monkeypatch):
    test_a_registration_that_is_killed_is_no_version_and_the_next_one_takes_its_name(
        settings, version, model_files, monkeypatch
    )
    shutil.copytree(settings.models_dir / "v1", settings.models_dir / "v2")
    record: Path = settings.models_dir / "v2" / "version.json"
    record.write_bytes(record.read_bytes().replace(b'"v1"', b'"v2"').replace(b'"k1"', b'"k2"'))
    assert registry.register(settings, version("k3"), model_files)[0].name == "v3"
    assert record.exists()


def test_a_name_with_files_of_an_unfinished_registration_is_freed_by_clean(settings, version, model_files):
    registry.register(settings, version("k1"), model_files)
    for name in ("v2", "v3"):
        shutil.copytree(settings.models_dir / "v1", settings.models_dir / name)
    (settings.models_dir / "v2" / "model" / MODEL).unlink()
    assert registry.unfinished(settings) == ["v2"]


def test_a_lost_journal_names_the_newest_record_of_each_version(settings, version, model_files):
    registry.register(settings, version("k1", "better"), model_files)
    registry.register(settings, version("k1", "worse"), model_files)
    registry.register(settings, version("k2"), model_files)
    (settings.models_dir / "journal.jsonl").unlink()
    with pytest.raises(Exception, match=r"journal\.jsonl is missing, so it does not tell the champion"):
        registry.versions(settings)
    with pytest.raises(Exception, match="no model 'v9'"):
        registry.promote(settings, "v9", force=True, reason="a trial")
    assert not (settings.models_dir / "journal.jsonl").exists()
    registry.promote(settings, "v2", force=True, reason="a trial")
    assert [(one.name, one.verdict.status) for one in registry.versions(settings)] == [
        ("v1", "worse"),
        ("v2", "better"),
    ]
    assert registry.register(settings, version("k2"), model_files) == (registry.find_version(settings, "v2"), False)
