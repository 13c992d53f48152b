"""Reading kfp.local's output."""

import msgspec
import pytest

from tuning.pipelines.local.log import Events
from tuning.pipelines.outcome import Step
from tuning.pipelines.steps.process import ERROR_MARK, NO_CHAMPION
from tuning.tuners.hf.train.recipe import Recipe
from tuning.tuners.hf.train.rows import Rows


def events() -> tuple[Events, list[str]]:
    shown: list[str] = []
    seconds = iter(range(0, 1000, 10))
    return Events(shown.append, clock=lambda: float(next(seconds))), shown


def feed(found: Events, *lines: str) -> None:
    for line in lines:
        found.feed(line + "\n")


BEGUN = "12:00:00.001 - INFO - Executing task \x1b[96m'tune'\x1b[0m"
DONE = "12:00:10.001 - INFO - Task \x1b[96m'tune'\x1b[0m finished with status \x1b[92mSUCCESS\x1b[0m"
FAILED = "12:00:10.001 - ERROR - Task \x1b[96m'tune'\x1b[0m finished with status \x1b[91mFAILURE\x1b[0m"


def test_a_step_that_ran_has_its_time_and_a_cached_one_says_so():
    found, shown = events()
    feed(found, "INFO - Task validate cache hit (key=77398c3da139); skipping execution.", BEGUN, DONE)
    assert found.steps == [
        Step(name="validate", seconds=0.0, cached=True),
        Step(name="tune", seconds=10.0, cached=False),
    ]
    assert [line.split(maxsplit=2) for line in shown] == [
        ["1", "validate", "unchanged, taken from the cache"],
        ["2", "tune", "10.0 s"],
    ]


def test_importers_are_no_steps():
    found, shown = events()
    feed(found, BEGUN.replace("tune", "importer-2"), DONE.replace("tune", "importer-2"))
    assert (found.steps, shown) == ([], [])


def test_how_a_training_stands_reaches_the_person_and_the_rest_does_not():
    found, shown = events()
    feed(found, BEGUN, "    [KFP Executor 2026] INFO: Looking", "step 3/24: loss 2.059, 287 tokens/s, 9 s left")
    assert shown == ["      step 3/24: loss 2.059, 287 tokens/s, 9 s left"]


def test_the_loss_of_the_saved_model_reaches_the_person():
    found, shown = events()
    feed(found, BEGUN, "saved model: development loss 1.900 (the base plus 0.5 of its change)")
    assert shown == ["      saved model: development loss 1.900 (the base plus 0.5 of its change)"]


def test_on_how_many_examples_the_model_is_tuned_reaches_the_person():
    recipe = Recipe(steps=20, batch_size=4, max_length=400)
    rows = Rows(train=range(120), development=range(8), total=171, too_long=43)
    line = (
        "training on 80 of 171 examples: 43 have more than 400 tokens, 8 are held out to watch the training, and 20 "
        "steps of 4 use 80 of the other 120"
    )
    assert rows.announcement(recipe) == line
    few = Rows(train=range(40), development=range(2), total=50, too_long=8)
    assert few.announcement(recipe).startswith("training on 40 of 50 examples: 8 have more than 400 tokens, 2 are held")
    assert few.announcement(recipe).endswith("and 20 steps of 4 use all of the other 40, 2 times each")
    capped = msgspec.structs.replace(recipe, most_epochs=1.5)
    said = "and 15 steps of 4 use all of the other 40, 1.5 times each (--steps or --epochs sets another length)"
    assert few.announcement(capped).endswith(said)
    found, shown = events()
    feed(found, BEGUN, line)
    assert shown == [f"      {line}"]


def test_a_steps_own_error_is_what_the_person_reads():
    found, _ = events()
    feed(found, BEGUN, f"    {ERROR_MARK}there is no base model 'x'. Take tiny.", "Traceback of kfp", FAILED)
    assert str(found.error("log")) == "there is no base model 'x'. Take tiny."


ENDED = (
    "the step tune failed: the system killed it, possibly because memory ran out. "
    "Reduce --max-length or --batch-size, or see log"
)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["Traceback (most recent call last):", "KeyError: 'x'"], "the step tune failed: KeyError: 'x'. See log"),
        (["step 3/24: loss 2.059, 287 tokens/s, 9 s left"], ENDED),
        (["step 3/24: loss 2.059, 287 tokens/s, 9 s left", "    Killed", ""], ENDED),
        (["Segmentation fault (core dumped)"], ENDED),
        (["[KFP Executor 2026] INFO"], ENDED),
        ([], ENDED),
    ],
)
def test_another_failure_names_the_step_its_last_word_and_the_log(lines, message):
    found, _ = events()
    feed(found, BEGUN, *lines, FAILED, "Traceback of kfp", "RuntimeError: Pipeline finished with status FAILURE")
    assert str(found.error("log")) == message


def test_a_failure_before_any_step_names_its_last_word():
    found, _ = events()
    feed(found, "Traceback (most recent call last):", "ImportError: no kfp")
    assert str(found.error("log")) == "the run failed: ImportError: no kfp. See log"


def test_an_error_of_an_earlier_step_is_not_blamed():
    found, _ = events()
    feed(found, BEGUN, f"{ERROR_MARK}old", DONE, BEGUN.replace("tune", "gate"), "boom", FAILED.replace("tune", "gate"))
    assert str(found.error("log")) == "the step gate failed: boom. See log"


def test_what_an_evaluation_asks_and_its_notes_are_shown():
    found, shown = events()
    said = [
        "asking the base model 5 held-out and 96 how-to questions; the loss is of 36 held-out examples",
        "note: the champion is not evaluated: their tokens differ",
    ]
    feed(found, BEGUN, *said, "Loading weights", DONE)
    assert [line.strip() for line in shown[:2]] == said
    assert len(shown) == 3


def test_an_exit_step_after_a_failed_step_hides_neither_its_name_nor_its_message():
    found, _ = events()
    ending = [line.replace("tune", "notify") for line in (BEGUN, DONE, FAILED)]
    feed(found, BEGUN, f"    {ERROR_MARK}there is no base model x", FAILED, ending[0], "no webhook is set", ending[1])
    assert str(found.error("log")) == "there is no base model x."
    feed(found, ending[0], f"    {ERROR_MARK}the webhook did not take the message", ending[2])
    assert (found.failed, str(found.error("log"))) == ("tune", "there is no base model x.")


def test_the_champions_evaluation_is_no_step_after_a_step_that_found_no_champion():
    for said, steps in ((NO_CHAMPION, ["tune"]), ("note: other", ["tune", "evaluate-champion", "evaluate-champion"])):
        found, _ = events()
        ran = [line.replace("tune", "evaluate-champion") for line in (BEGUN, DONE)]
        feed(found, BEGUN, said, DONE, *ran, "INFO - Task evaluate-champion cache hit (key=7); skipping execution.")
        assert [step.name for step in found.steps] == steps
