"""Collect what the comparison of two runs shows: what each run is, all its options, and its results."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import yaml

from tuning.command_line.run_file import RUN_FILE, WRONG_YAML
from tuning.dataset.dataset import Dataset
from tuning.dataset.options import resolve_options
from tuning.errors import TuningError
from tuning.evaluation.report import show
from tuning.settings import Settings, shared_kinds
from tuning.site.records import SiteRun
from tuning.tuners.hf.train.model_card import value_in_words
from tuning.tuners.protocol import TuneOptions
from tuning.warehouse.variables import Variables

RUN, OPTIONS, RESULTS = "Run", "Options", "Results"
OF_BASE = ", base"  # ends the names of the results of the base
_NONE = "none"
_WITHOUT_LIMIT = {"limit": "all", "max length": "no limit"}  # what 0 means
_DECIDED_BY_TUNER = ("steps or epochs", "learning rate", "lora rank")  # by one that records no recipe, unless given


class Fact(NamedTuple):
    """Hold a value as text. It is the default if nobody gave it, or if without the option it would be the same."""

    text: str
    is_default: bool = False


Facts = dict[str, Fact]


def compare_runs(runs: Sequence[SiteRun], datasets: Mapping[str, Dataset]) -> dict[str, Any]:
    """Return the facts of the runs, and the names of all facts by part, in the order in which the page shows them.

    `datasets` are those of this home by ID. Raises TuningError if the file of options of a run is damaged.
    """
    found = [facts(run, datasets.get(run.record.dataset_id)) for run in runs]
    names = {part: list(dict.fromkeys(name for one in found for name in one[part])) for part in (RUN, OPTIONS, RESULTS)}
    names[OPTIONS] = sorted(name for name in names[OPTIONS] if any(_says(one[OPTIONS].get(name)) for one in found))
    for run, one in zip(runs, found, strict=True):
        missing = [name for name in names[OPTIONS] if name not in one[OPTIONS]]
        one[OPTIONS] |= {name: fact for name in missing if (fact := _default_setting(run, name))}
    return {
        "parts": names,
        "ofBase": [name for name in names[RESULTS] if name.endswith(OF_BASE)],
        "runs": [
            {"name": _name(run), "base": run.base_model, "facts": one} for run, one in zip(runs, found, strict=True)
        ],
    }


def facts(run: SiteRun, dataset: Dataset | None) -> dict[str, Facts]:
    """Return the facts of a run by part. `dataset` is that of the run, or None if it is not in this home.

    Raises TuningError if the run's file of options is damaged.
    """
    record = run.record
    about = {
        "state": record.status,
        "started (UTC)": record.started_at[:16].replace("T", " "),
        "time": run.took,
        "pipeline": record.pipeline,
        "dataset": record.dataset_id,
        "model": record.version,
    }
    return {
        RUN: {name: Fact(text) for name, text in about.items() if text},
        OPTIONS: _options(run, dataset),
        RESULTS: {name: Fact(text) for name, text in _results(run).items() if text},
    }


def _name(run: SiteRun) -> str:
    return " ".join(filter(None, (run.id, run.base_model, run.record.verdict or run.record.status)))


def _says(fact: Fact | None) -> bool:
    return fact is not None and fact.text != _NONE


def _default_setting(run: SiteRun, name: str) -> Fact | None:
    """Return the default of a setting of which the run's file of options says nothing, or None if it is no setting."""
    key = name.replace(" ", "_")
    return Fact(_in_words(key, getattr(Settings(), key)), True) if run.run_file and key in shared_kinds() else None


def _options(run: SiteRun, dataset: Dataset | None) -> Facts:
    """Return all options of a run: those that were given, and those of its mart, its dataset and its training.

    An option of the dataset says so if the training has an option of the same name, so that a name means the same for
    each run.
    """
    given = _given(run)
    found = {_words(name): Fact(_in_words(name, value)) for name, value in given.items()}
    length = _length(found.pop("steps", Fact("")).text, found.pop("epochs", Fact("")).text)
    found |= {"steps or epochs": Fact(length)} if length else {}
    if found.pop("full", None):
        found["lora rank"] = Fact(_rank(0))
    found |= _of_dataset(run, dataset, given) if dataset else {}
    return found | _of_training(run, given)


def _of_dataset(run: SiteRun, dataset: Dataset, given: Mapping[str, Any]) -> Facts:
    """Return the options of the dataset and of its mart. The defaults are those of this version of the project."""
    build = dataset.manifest.build
    options = resolve_options(tuner=run.version.tuner if run.version else Settings().tuner)
    recorded = options.settled(build.get("kind")).recorded()
    # A manifest names these only if somebody gave them.
    optional = {name: getattr(options, name) for name in ("redact_rules", "decisions", "parquet")}
    defaults = optional | recorded | Variables().all()
    made = optional | dataset.manifest.options | json.loads(str(build.get("variables") or "{}"))
    # Else the run does not say which options of its dataset somebody gave.
    says_all = bool(run.run_file) and not given.keys() & {"dataset", "preset"}
    found = {}
    for name, value in made.items():
        is_default = name in defaults and (value == defaults[name] or (says_all and name not in given))
        shown = f"{_words(name)} of the dataset" if name in TuneOptions.__struct_fields__ else _words(name)
        found[shown] = Fact(_in_words(name, value), is_default)
    return found


def _of_training(run: SiteRun, given: Mapping[str, Any]) -> Facts:
    """Return the options with which the model was trained: with the values that the training used, if it noted them."""
    version, recipe = run.version, run.recipe
    if version is None:
        return {}
    chosen = {name: value for name, value in version.options.items() if value}

    def unless_given(name: str, text: str, default: object) -> Fact:
        return Fact(text, text == default or (bool(run.run_file) and name not in given))

    found = {
        "tuner": unless_given("tuner", version.tuner, Settings().tuner),
        "base model": unless_given("base_model", version.base_model, Settings().base_model),
        "seed": unless_given("seed", str(version.options.get("seed", "")), str(TuneOptions().seed)),
        "from": Fact(str(chosen.get("continues", _NONE)), "continues" not in chosen),
    }
    if not recipe:
        length = _length(chosen.get("steps"), chosen.get("epochs"))
        numbers = {_words(name): str(value) for name, value in chosen.items() if type(value) in (int, float)}
        numbers = {name: text for name, text in numbers.items() if name not in ("steps", "epochs")}
        numbers |= {"steps or epochs": length} if length else {}
        untold = {name: Fact("chosen by the tuner", True) for name in _DECIDED_BY_TUNER}
        return untold | {name: Fact(text) for name, text in numbers.items()} | found
    used = {
        "steps or epochs": (_length(recipe.steps, recipe.epochs, recipe.most_epochs), ("steps", "epochs")),
        "lora rank": (_rank(recipe.lora_rank), ("lora_rank", "full")),
        "learning rate": (str(recipe.learning_rate), ("learning_rate",)),
        "max length": (str(recipe.max_length), ("max_length",)),
        "batch size": (str(recipe.batch_size), ("batch_size",)),
        "quantize": (recipe.quantize or "no", ("quantize",)),
        "keep": (run.kept, ("keep",)),
    }
    return found | {name: Fact(text, not chosen.keys() & {*names}) for name, (text, names) in used.items()}


def _length(steps: Any, epochs: Any, most_epochs: float = 0) -> str:
    """Return how long a training is, in steps or, without them, in epochs: passes over the examples."""
    if steps:
        return f"{steps} steps" + f", at most {most_epochs:g} epochs" * bool(most_epochs)
    return f"{epochs} epochs" if epochs else ""


def _rank(rank: int) -> str:
    return str(rank) if rank else "none: all weights are trained"


def _results(run: SiteRun) -> dict[str, str]:
    trained = run.model.facts if run.model else {}
    found = {"verdict": run.record.verdict}
    if run.curves and (points := [*run.curves.train, *run.curves.development]):
        found["steps trained"] = str(max(point.step for point in points))
    if {"rows_used", "rows_total", "rows_left_out"} <= trained.keys():
        used, total, too_long = (trained[name] for name in ("rows_used", "rows_total", "rows_left_out"))
        found["examples trained on"] = f"{used} of {total}; {too_long} are too long"
    if run.comparison:
        for what, figures in (("how-to", run.comparison.suite.figures), ("held-out", run.comparison.figures)):
            for figure in figures:
                is_judged = figure.metric in ("executed", run.metric)  # what the verdict is about
                if is_judged:
                    found[f"{what} {figure.metric}{OF_BASE}"] = show(figure.models.get("base"), figure.metric)
                found[f"{what} {figure.metric}, tuned"] = show(figure.models.get("tuned"), figure.metric)
                if is_judged:
                    change = show(figure.differences.get("base"), figure.metric, True)
                    found[f"{what} {figure.metric}, change from base"] = change
    return found


def _given(run: SiteRun) -> dict[str, Any]:
    """Return the options that the person gave, from the file that repeats the run."""
    try:
        found = yaml.safe_load(run.run_file) or {}
        return {str(name).replace("-", "_"): value for name, value in found.items()}
    except (yaml.YAMLError, *WRONG_YAML) as error:
        raise TuningError(
            f"{RUN_FILE} of the run {run.id} is damaged ({' '.join(str(error).split())})", "Delete it to do without it"
        ) from None


def _words(name: str) -> str:
    return name.replace("_", " ")


def _in_words(name: str, value: Any) -> str:
    """Return the value of an option as text."""
    if isinstance(value, dict):  # a file that the option names, or the deny list
        return " ".join(str(value[part])[:40] for part in ("name", "posts", "sha256") if part in value)
    if value == 0 and not isinstance(value, bool) and _words(name) in _WITHOUT_LIMIT:
        return _WITHOUT_LIMIT[_words(name)]
    return value_in_words(value) or _NONE
