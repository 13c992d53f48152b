"""The tuner `hf`: TRL and PEFT on this machine, on any Hugging Face model."""

import shutil
from pathlib import Path

import msgspec

from tuning.dataset.dataset import Dataset
from tuning.dataset.formats.records import PREFERENCE_FORMATS, Format
from tuning.resource_errors import in_one_line
from tuning.settings import Settings
from tuning.storage import locked
from tuning.tuners.hf.environment import set_up_libraries
from tuning.tuners.hf.estimate import estimate
from tuning.tuners.hf.models.base_models import find_base_model
from tuning.tuners.hf.train.checkpoints import CHECKPOINTS
from tuning.tuners.hf.train.recipe import make_recipe
from tuning.tuners.hf.train.rows import ROWS
from tuning.tuners.protocol import Estimate, Model, Predictor, Problem, TuneOptions

FINISHED = "finished.json"
LOCK_SECONDS = 20.0  # a step whose runner was killed needs one to notice and end


class HfTuner:
    """Supervised tuning, or preference tuning where the dataset's format has rejected answers."""

    name = "hf"
    formats: tuple[Format, ...] = ("messages", "prompt-completion", "notebook", "trl-preference")
    primary_metric = "loss"

    def check(self, dataset: Dataset) -> list[Problem]:
        """There is no limit but time and memory: examples longer than --max-length are left out when tuning."""
        if dataset.manifest.format not in self.formats:
            return [
                Problem(
                    f"the tuner hf does not take the format {dataset.manifest.format} of dataset {dataset.id}",
                    f"It takes {', '.join(self.formats)}: `invoke dataset --format messages`",
                )
            ]
        return []

    def evaluation_limit(self, dataset_format: Format, train_rows: int) -> int:
        del dataset_format, train_rows
        return 0

    def estimate(self, settings: Settings, dataset: Dataset, options: TuneOptions) -> Estimate:
        return estimate(settings, dataset, make_recipe(options, _is_preference(dataset)), options.base_model)

    def tune(self, settings: Settings, dataset: Dataset, options: TuneOptions, output: Path) -> Model:
        """Tune into `output`: `merged/` (what the model's URI names), `adapter/` unless all weights were trained,
        `README.md`, `curves.json`, `curves.svg` and `tensorboard/`.

        A run that was killed goes on from its newest checkpoint when it is called with the same `output`; a finished
        one is returned at once. Raises TuningError where memory or disk do not suffice.
        """
        from tuning.tuners.hf.train.run import run

        recipe = make_recipe(options, _is_preference(dataset))
        output.mkdir(parents=True, exist_ok=True)
        with (
            locked(output.parent / f".{output.name}.lock", f"the tuning in {output}", timeout=LOCK_SECONDS),
            in_one_line(),
        ):
            if not (output / FINISHED).exists():
                run(settings, dataset, options.base_model, recipe, output, FINISHED)
            for name in (ROWS, CHECKPOINTS):
                shutil.rmtree(output / name, ignore_errors=True)
            return msgspec.json.decode((output / FINISHED).read_bytes(), type=Model)

    def base(self, settings: Settings, dataset: Dataset, options: TuneOptions) -> Model:
        with in_one_line():
            folder = find_base_model(settings, options.base_model, dataset)
        return Model(tuner=self.name, base_model=options.base_model, uri=str(folder))

    def predictor(self, settings: Settings, model: Model) -> Predictor:
        """The model in memory, ready to answer. `model.uri` is a local folder."""
        del settings
        set_up_libraries()  # before torch is imported
        from tuning.tuners.hf.answer.predictor import HfPredictor

        with in_one_line():
            return HfPredictor(Path(model.uri))


def _is_preference(dataset: Dataset) -> bool:
    return dataset.manifest.format in PREFERENCE_FORMATS
