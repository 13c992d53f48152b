"""Each target has the documented limits."""

from tuning.dataset.formats.limits import GEMINI, TEXT_BISON, example_tokens
from tuning.dataset.formats.records import FORMATS


def test_gemini_takes_evaluation_rows_by_share_only_over_a_thousand() -> None:
    assert [GEMINI.evaluation(rows) for rows in (100, 3_000, 5_000, 100_000)] == [1_000, 1_000, 1_500, 5_000]


def test_the_template_takes_ten_to_250() -> None:
    assert TEXT_BISON.evaluation_rows == (10, 250)
    assert TEXT_BISON.evaluation(100_000) == 250


def test_every_format_has_a_token_limit_that_all_its_targets_take() -> None:
    limits = {format_: example_tokens(format_) for format_ in FORMATS}
    assert limits.pop("gemini") == limits.pop("gemini-preference") == 131_072
    assert limits.pop("text-bison") == 9_216
    assert set(limits.values()) == {8_192}
