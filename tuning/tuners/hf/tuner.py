"""Tune any Hugging Face model on this machine with TRL and PEFT: the tuner `hf`."""

import contextlib
import shutil
from pathlib import Path

from tuning.dataset.dataset import Dataset
from tuning.dataset.formats.limits import LOCAL
from tuning.dataset.formats.records import PREFERENCE_FORMATS, Format
from tuning.records import read_record
from tuning.resource_errors import in_one_line
from tuning.settings import Settings
from tuning.storage import locked
from tuning.tuners.hf.environment import set_up_libraries
from tuning.tuners.hf.estimate import estimate
from tuning.tuners.hf.models.adapted import base_of, find_base
from tuning.tuners.hf.models.base_models import find_base_model
from tuning.tuners.hf.train.checkpoints import CHECKPOINTS
from tuning.tuners.hf.train.processes import check_group, count_processes, find_nodes, join, launch
from tuning.tuners.hf.train.recipe import make_recipe
from tuning.tuners.hf.train.rows import ROWS
from tuning.tuners.hf.train.saved import FINISHED
from tuning.tuners.protocol import Estimate, Model, Predictor, Problem, TuneOptions

LOCK_SECONDS = 20.0  # maximum wait for the lock: a step whose runner was killed needs some time to notice that and end


class HfTuner:
    """Tune models on this machine: supervised, or on preferences if the dataset's format has rejected answers."""

    name = "hf"
    formats = LOCAL.formats
    primary_metric = "loss"

    def check(self, dataset: Dataset) -> list[Problem]:
        """Return a problem if the tuner does not support the dataset's format.

        There are no other limits than time and memory, because `tune` leaves out examples longer than --max-length.
        """
        if dataset.manifest.format not in self.formats:
            return [
                Problem(
                    f"the tuner hf does not accept the format {dataset.manifest.format} of dataset {dataset.id}",
                    f"Use one of {', '.join(self.formats)}, for example `invoke dataset --format messages`",
                )
            ]
        return []

    def evaluation_limit(self, dataset_format: Format, train_rows: int) -> int:
        """Return 0, because local tuning accepts any number of evaluation rows."""
        del dataset_format, train_rows
        return 0

    def estimate(self, settings: Settings, dataset: Dataset, options: TuneOptions) -> Estimate:
        """Estimate tokens and seconds of a local tuning.

        Raises TuningError if a number in `options` is impossible or if a line of the train split is invalid.
        """
        return estimate(settings, dataset, make_recipe(options, _is_preference(dataset)), options.base_model)

    def tune(self, settings: Settings, dataset: Dataset, options: TuneOptions, output: Path) -> Model:
        """Tune a model and write it to `output`.

        Writes `merged/` (unless only the adapter is kept), `adapter/` (unless all weights were trained), `README.md`,
        `curves.json`, `curves.svg` and `tensorboard/`. The model's URI names the folder `merged/`, or `adapter/` if
        there is no other. With the same `output`, a killed run resumes from its newest checkpoint, and a finished run
        is returned at once. Raises TuningError if memory or disk space runs out, if the base model cannot be found, if
        no example is short enough, or if another process uses `output`.

        If there are several GPUs, a process is started for each. Processes that torchrun or accelerate started share
        the work: each of them calls this function with the same arguments.
        """
        self._train(settings, dataset, options, output)
        return read_record(output / FINISHED, Model, f"Delete {output} and run the command again to tune again")

    def take_part(self, settings: Settings, dataset: Dataset, options: TuneOptions, output: Path) -> None:
        """Compute the share of this machine in a tuning whose model another machine writes: the chief of CLUSTER_SPEC.

        `output` gets the files of this machine. Raises TuningError as `tune` does.
        """
        self._train(settings, dataset, options, output)

    def _train(self, settings: Settings, dataset: Dataset, options: TuneOptions, output: Path) -> None:
        from tuning.tuners.hf.train.run import Start, run

        preference = _is_preference(dataset)
        recipe = make_recipe(options, preference)
        group, nodes = join(), find_nodes()
        check_group(group, recipe.batch_size, preference)
        output.mkdir(parents=True, exist_ok=True)
        lock = output.parent / f".{output.name}.lock"
        with (
            locked(lock, f"the tuning in {output}", timeout=LOCK_SECONDS)
            if group.is_main
            else contextlib.nullcontext(),
            in_one_line(),
        ):
            if group.tell(not (output / FINISHED).exists()):
                start = Start(Path(options.adapter) if options.adapter else None, options.checkpoints)
                given = (settings, dataset, options.base_model, recipe, output, start)
                if group.size > 1:
                    run(*given, group)
                else:
                    count = count_processes(recipe.batch_size, preference, nodes.size)
                    if nodes.size > 1:  # in a group, transformers writes the weights of the first process only
                        find_base_model(settings, options.base_model, dataset)
                    if count * nodes.size > 1:
                        launch(count, nodes, run, *given)
                    else:
                        run(*given, group)
            if group.is_main:
                for name in (ROWS, CHECKPOINTS):
                    shutil.rmtree(output / name, ignore_errors=True)

    def base(self, settings: Settings, dataset: Dataset, options: TuneOptions) -> Model:
        """Return the untuned base model, or that of `options.adapter` if the adapter names it.

        It is downloaded if needed. Raises TuningError if it cannot be found.
        """
        with in_one_line():
            adapter = Path(options.adapter) if options.adapter else None
            folder = find_base(settings, options.base_model, dataset, adapter)
        return Model(tuner=self.name, base_model=options.base_model, uri=str(folder))

    def predictor(self, settings: Settings, model: Model) -> Predictor:
        """Load the model in the local folder `model.uri`. The base of a kept adapter is downloaded if needed.

        Raises TuningError if it cannot be loaded, or if the base cannot be found.
        """
        set_up_libraries()  # before torch is imported
        from tuning.tuners.hf.answer.predictor import HfPredictor

        with in_one_line():
            return HfPredictor(Path(model.uri), base_of(settings, Path(model.uri)))


def _is_preference(dataset: Dataset) -> bool:
    return dataset.manifest.format in PREFERENCE_FORMATS
