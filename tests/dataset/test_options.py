"""Options are checked against each other, and the ID depends on all of them."""

from pathlib import Path

import pytest

from tuning.dataset.options import SEED, dataset_id, resolve_options
from tuning.errors import TuningError


def test_the_seed_preset_stands_for_all_the_seeds_choices() -> None:
    options = resolve_options(preset="seed")
    assert (options.format, options.body, options.split) == ("notebook", "html", "random")
    assert (options.eval_fraction, options.seed, options.limit) == (0.2, 42, 0)


def test_the_share_of_the_evaluation_split_depends_on_the_origin_unless_it_is_given() -> None:
    options = resolve_options()
    assert options.eval_fraction == 0
    assert options.settled("stack_exchange").eval_fraction == 0.1
    assert options.settled("synthetic").eval_fraction == 0.32
    assert resolve_options(eval_fraction=0.25).settled("synthetic").eval_fraction == 0.25
    assert resolve_options(preset="seed").settled("synthetic").eval_fraction == 0.2


def test_the_tuner_decides_the_format_where_none_is_given() -> None:
    assert resolve_options().format == "messages"
    assert resolve_options(tuner="gemini").format == "gemini"
    assert resolve_options(tuner="gemini", format="notebook").format == "notebook"
    assert resolve_options(preset="seed", tuner="gemini").format == "notebook"


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ({"preset": "sead"}, "no preset 'sead'"),
        ({"format": "csv"}, "--format cannot be 'csv'. Choose one of: notebook"),
        ({"body": "text"}, "--body cannot be 'text'"),
        ({"split": "date"}, "--split cannot be 'date'"),
        ({"preset": "seed", "body": "html"}, "sets --body itself"),
        ({"preset": "seed", "eval_fraction": 0.2}, "sets --eval-fraction itself"),
        ({"preset": "seed", "format": "gemini"}, "but --format gemini does not"),
        ({"split": "time"}, "Add --split-date"),
        ({"split": "time", "split_date": "2020-13-01"}, "'2020-13-01' is not a date (use YYYY-MM-DD)"),
        ({"split": "time", "split_date": "2021-01-01", "eval_fraction": 0.1}, "splits by date"),
        ({"split_date": "2021-01-01"}, "cannot be combined with --split hash"),
        ({"eval_fraction": 1.0}, "between 0 and 1"),
        ({"eval_fraction": 0.0}, "between 0 and 1"),
        ({"code": "runs"}, "--code cannot be 'runs'. Choose one of: any, parses"),
        ({"preset": "seed", "code": "parses"}, "sets --code itself"),
        ({"limit": -1}, "--limit cannot be -1"),
        ({"seed": -1}, "--seed cannot be -1"),
        ({"decontaminate": "no/such/file"}, "there is no file no/such/file"),
    ],
)
def test_a_bad_value_or_combination_is_one_clear_line(given: dict[str, object], part: str) -> None:
    with pytest.raises(TuningError) as caught:
        resolve_options(**given)
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_id_follows_from_input_options_build_and_versions() -> None:
    seed, one = SEED.recorded(), resolve_options(preset="seed", limit=1).recorded()
    known = ("digest", seed, {"instruction_template": "template"}, {"orjson": "1"})
    assert dataset_id(*known) == dataset_id(*known)
    others = [
        ("other", seed, {"instruction_template": "template"}, {"orjson": "1"}),
        ("digest", one, {"instruction_template": "template"}, {"orjson": "1"}),
        ("digest", seed | {"code": "parses"}, {"instruction_template": "template"}, {"orjson": "1"}),
        ("digest", seed, {"instruction_template": "other"}, {"orjson": "1"}),
        ("digest", seed, {"instruction_template": "template"}, {"orjson": "2"}),
    ]
    assert len({dataset_id(*known), *(dataset_id(*other) for other in others)}) == 6


def test_a_benchmark_file_counts_by_its_content_and_is_recorded_without_its_path(tmp_path: Path) -> None:
    first, second = tmp_path / "one" / "exam.txt", tmp_path / "two" / "exam.txt"
    for path in (first, second):
        path.parent.mkdir()
        path.write_text("some exam")
    recorded = [resolve_options(decontaminate=str(path)).recorded() for path in (first, second)]
    assert recorded[0] == recorded[1]
    assert str(tmp_path) not in str(recorded)
    second.write_text("another exam")
    assert resolve_options(decontaminate=str(second)).recorded() != recorded[0]
