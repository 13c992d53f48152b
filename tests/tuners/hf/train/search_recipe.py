"""Try training settings of smollm2 on the development part of the how-to questions. The judging part is not asked.

``python -m tests.tuners.hf.train.search_recipe ID WORK steps=26 steps=20,pull=0`` tunes on the dataset ID in the home
once for each group of settings and each seed, and prints a row of a table for each. The folder WORK keeps the tuned
models and the answers, with what their code did, to be read. `base` as a group asks the base model.
`invoke tune --preview 1` in an empty home makes the dataset of the first run. Its numbers are in the comment on the
recipe of smollm2.
"""

import sys
import time
from pathlib import Path

import msgspec

from tuning.answers import sandbox
from tuning.answers.ask import run_answers
from tuning.answers.loops import loops
from tuning.answers.suite import DEVELOPMENT, find_suite
from tuning.dataset.dataset import Dataset, find_dataset
from tuning.dataset.formats.codec import as_question
from tuning.evaluation.options import EvaluationOptions
from tuning.settings import Settings, load_settings
from tuning.storage import write_json
from tuning.tuners.hf.environment import set_up_libraries
from tuning.tuners.hf.models.smollm2 import fetch
from tuning.tuners.hf.train.recipe import RECIPES
from tuning.tuners.hf.train.run import run
from tuning.tuners.hf.train.saved import FINISHED, MERGED

BASE = "smollm2"
SEEDS = (42, 1, 2)
TABLE = "| {:30} | {:>4} | {:>6} | {:>4} | {:>5} | {:>5} | {:>10} | {:>11} |"


def main() -> None:
    set_up_libraries()  # before torch is imported
    settings = load_settings()
    dataset, work = find_dataset(settings, sys.argv[1]), Path(sys.argv[2])
    print(TABLE.format("settings", "seed", "solved", "runs", "loops", "words", "training s", "answering s"), flush=True)
    for group in sys.argv[3:]:
        for seed in SEEDS if group != "base" else (0,):
            folder = work / f"{group}-{seed}"
            began = time.monotonic()
            model = tuned(settings, dataset, group, seed, folder) if seed else fetch(settings)
            trained = time.monotonic()
            counts = ask(model, dataset, folder)
            seconds = (f"{trained - began:.0f}", f"{time.monotonic() - trained:.0f}")
            print(TABLE.format(group, seed, *counts, *seconds), flush=True)


def tuned(settings: Settings, dataset: Dataset, group: str, seed: int, folder: Path) -> Path:
    """The folder of a model that is tuned with these settings in place of the recipe's."""
    given = dict(one.split("=") for one in group.split(",")) | {"seed": seed}
    recipe = msgspec.convert(msgspec.to_builtins(RECIPES[BASE]) | given, type(RECIPES[BASE]), strict=False)
    if not (folder / FINISHED).exists():
        run(settings, dataset, BASE, recipe, folder)
    return folder / MERGED


def ask(model: Path, dataset: Dataset, folder: Path) -> tuple[int, int, int, str]:
    """How many answers do what was asked, run and repeat themselves, and their mean number of words."""
    from tuning.tuners.hf.answer.predictor import HfPredictor

    questions, facts = find_suite(DEVELOPMENT).questions, dataset.manifest
    prompts = [as_question(facts.format, facts.template, one.title, one.body, facts.body) for one in questions]
    answers = [one.text for one in HfPredictor(model).generate(prompts, EvaluationOptions().max_new_tokens)]
    outcomes = run_answers(questions, answers, sandbox.protection())
    rows = [
        {"topic": question.topic, "answer": answer, "outcome": msgspec.to_builtins(outcome)}
        for question, answer, outcome in zip(questions, answers, outcomes, strict=True)
    ]
    write_json(folder / "answers.json", rows)
    words = sum(len(answer.split()) for answer in answers) / len(answers)
    executed, runs = sum(one.executed for one in outcomes), sum(one.runs for one in outcomes)
    return executed, runs, sum(map(loops, answers)), f"{words:.0f}"


if __name__ == "__main__":
    main()
