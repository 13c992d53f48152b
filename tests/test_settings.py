from pathlib import Path

import pytest

from tuning.errors import TuningError
from tuning.settings import PROJECT_ROOT, describe, load_settings


def test_defaults_apply_where_nothing_is_set() -> None:
    settings = load_settings(environ={})
    assert settings.home == PROJECT_ROOT / "var"
    assert (settings.target, settings.base_model, settings.bigquery_port) == ("local", "smollm2", 9050)


def test_an_environment_variable_wins_over_the_default_and_an_option_over_both() -> None:
    environ = {"TUNING_TARGET": "gcp", "TUNING_BUDGET": "12.5"}
    assert load_settings(environ=environ).target == "gcp"
    assert load_settings(environ=environ).budget == 12.5
    assert load_settings({"target": "local"}, environ=environ).target == "local"


def test_an_empty_variable_and_an_option_not_given_count_as_unset() -> None:
    assert load_settings({"target": None}, environ={"TUNING_TARGET": ""}).target == "local"


def test_a_relative_home_becomes_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_settings(environ={"TUNING_HOME": "mine"}).home == tmp_path / "mine"


@pytest.mark.parametrize(
    ("name", "value", "named"),
    [
        ("TUNING_TARGT", "gcp", "TUNING_TARGT"),
        ("TUNING_target", "gcp", "TUNING_target"),
        ("TUNING_TARGET", "aws", "'aws'"),
        ("TUNING_BIGQUERY_PORT", "many", "'many'"),
        ("TUNING_BIGQUERY_PORT", "-1", "TUNING_BIGQUERY_PORT"),
        ("TUNING_BUDGET", "-3", "TUNING_BUDGET"),
        ("TUNING_BIGQUERY_ENDPOINT", "http://[::1", "'http://[::1' is not valid (use an address"),
        ("TUNING_VERTEX_ENDPOINT", "https://127.0.0.1:99999", "TUNING_VERTEX_ENDPOINT"),
        ("TUNING_STORAGE_ENDPOINT", "http://localhost:x", "TUNING_STORAGE_ENDPOINT"),
    ],
)
def test_an_unknown_or_malformed_variable_is_one_clear_line(name: str, value: str, named: str) -> None:
    with pytest.raises(TuningError) as caught:
        load_settings(environ={name: value})
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_secret_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    planted = "planted-" + "token"
    monkeypatch.setenv("TUNING_ACCESS_TOKEN", planted)
    rows = {name: (value, source) for name, value, source, _ in describe()}
    assert rows["access_token"] == ("********", "TUNING_ACCESS_TOKEN")
    assert planted not in str(rows)


def test_each_setting_says_what_it_is_and_where_it_came_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNING_BUCKET", "mine")
    rows = {name: (value, source, description) for name, value, source, description in describe({"target": "gcp"})}
    assert rows["target"][:2] == ("gcp", "option")
    assert rows["bucket"][:2] == ("mine", "TUNING_BUCKET")
    assert rows["region"][:2] == ("us-central1", "default")
    assert all(description for _, _, description in rows.values())
