"""Tune Gemini on Vertex AI with google-genai: the tuner `gemini`."""

import hashlib
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from tuning.dataset.dataset import Dataset, bucket_address
from tuning.dataset.formats.limits import GEMINI
from tuning.dataset.formats.records import Format
from tuning.errors import TuningError
from tuning.gcs.access import backoff, google_errors
from tuning.gcs.object_file import Source
from tuning.gcs.storage import find_storage
from tuning.settings import Settings
from tuning.storage import unmounted, write_json
from tuning.tuners.gemini.check import check_limits
from tuning.tuners.gemini.client import connect
from tuning.tuners.gemini.models import ADAPTER_SIZES, Plan, base_model, make_plan
from tuning.tuners.protocol import Estimate, Model, Predictor, Problem, TuneOptions

if TYPE_CHECKING:
    from google.genai import Client
    from google.genai.types import CreateTuningJobConfig, TuningJob

JOB = "tuning_job.json"
KEY_LABEL = "tuning_key"  # the job label that a restarted step searches to find the job that it started before
_ALIVE_OR_DONE = frozenset({"JOB_STATE_QUEUED", "JOB_STATE_PENDING", "JOB_STATE_RUNNING", "JOB_STATE_SUCCEEDED"})


class GeminiTuner:
    """Tune models on Vertex AI: supervised, or on preferences if the dataset's format has rejected answers."""

    name = "gemini"
    formats: tuple[Format, ...] = GEMINI.formats
    primary_metric = "chrf"  # not the loss: Gemini gives no token probabilities for given answers

    def check(self, dataset: Dataset) -> list[Problem]:
        """Return the problems of a dataset: fatal if Vertex AI would refuse it, otherwise advice."""
        return check_limits(dataset)

    def evaluation_limit(self, dataset_format: Format, train_rows: int) -> int:
        """Return the maximum number of evaluation rows that Vertex AI accepts for `train_rows` training rows."""
        del dataset_format
        return GEMINI.evaluation(train_rows)

    def estimate(self, settings: Settings, dataset: Dataset, options: TuneOptions) -> Estimate:
        """Estimate tokens, seconds and dollars of a tuning job.

        Raises TuningError if Vertex AI would refuse the options, if a budget is set and the price of the model is not
        known, or if the service fails to count tokens.
        """
        from tuning.tuners.gemini.estimate import estimate

        return estimate(settings, dataset, options)

    def tune(self, settings: Settings, dataset: Dataset, options: TuneOptions, output: Path) -> Model:
        """Start one tuning job and wait for its end. Write the service's description of it to `tuning_job.json`.

        If you call this again with the same options and dataset, it waits for the job that the first call started.
        Raises TuningError if Vertex AI refuses the options or if the job fails.
        """
        rows = dataset.manifest.files["train.jsonl"].rows
        plan = make_plan(settings, options, dataset.manifest.format, rows)
        key = _key(plan, dataset)
        client = connect(settings, settings.region)
        with google_errors(f"tuning {plan.base_model}"):
            train = _address(settings, dataset, dataset.file("train"))
            evaluation = _address(settings, dataset, dataset.file("eval"))
            job = _find(client, key) or _start(settings, client, plan, dataset, key, train, evaluation)
            job = _wait(client, job, settings.poll_seconds)
        write_json(output / JOB, job.model_dump(mode="json", exclude_none=True))
        return _model(plan, job)

    def base(self, settings: Settings, dataset: Dataset, options: TuneOptions) -> Model:
        """Return the untuned Gemini model. Raises TuningError if Google has retired it."""
        del dataset
        name = base_model(settings, options)
        return Model(tuner=self.name, base_model=name, uri=f"publishers/google/models/{name}")

    def predictor(self, settings: Settings, model: Model) -> Predictor:
        """Return a predictor that queries `model` on Vertex AI."""
        from tuning.tuners.gemini.predictor import GeminiPredictor

        return GeminiPredictor(settings, model)


def _key(plan: Plan, dataset: Dataset) -> str:
    """Return a key of the plan and the data, so that the same job is not paid for twice."""
    files = [dataset.sha256(dataset.file("train")), dataset.sha256(dataset.file("eval"))]
    return hashlib.sha256(repr((plan, files)).encode()).hexdigest()[:32]


def _address(settings: Settings, dataset: Dataset, source: Source) -> str:
    """Return the gs:// address from which Vertex AI reads a file.

    A file under /gcs, where a pipeline step sees the bucket, is used in place. Other files are uploaded or copied
    unless they are already in the bucket.
    """
    address = f"{bucket_address(settings, dataset.id)}/{source.name}"
    return unmounted(str(source)) or find_storage(settings).put(source, address).uri


def _find(client: "Client", key: str) -> "TuningJob | None":
    """Return the job that an earlier call started, unless it failed."""
    from google.genai.types import ListTuningJobsConfig

    jobs = backoff()(client.tunings.list)(config=ListTuningJobsConfig(filter=f'labels.{KEY_LABEL}="{key}"'))
    for job in jobs:
        if (job.labels or {}).get(KEY_LABEL) == key and job.state in _ALIVE_OR_DONE:
            return job
    return None


def _start(
    settings: Settings, client: "Client", plan: Plan, dataset: Dataset, key: str, train: str, evaluation: str
) -> "TuningJob":
    """Create the job once. The API has no request ID to reject duplicates, so each retry first looks for the job."""
    from google.genai.types import TuningDataset

    config = tuning_config(settings, plan, dataset, key, evaluation)
    tries = 0

    def attempt() -> "TuningJob":
        nonlocal tries
        tries += 1
        if tries > 1 and (earlier := _find(client, key)):
            return earlier
        data = TuningDataset(gcs_uri=train)
        job: TuningJob = client.tunings.tune(base_model=plan.base_model, training_dataset=data, config=config)
        return job

    return backoff()(attempt)()


def tuning_config(
    settings: Settings, plan: Plan, dataset: Dataset, key: str, evaluation: str
) -> "CreateTuningJobConfig":
    """Return the typed configuration of the job. In a dict, the library would silently drop unknown fields."""
    from google.genai import types

    preference = dataset.manifest.format == "gemini-preference"
    values: dict[str, Any] = {
        "method": types.TuningMethod.PREFERENCE_TUNING if preference else types.TuningMethod.SUPERVISED_FINE_TUNING,
        "tuned_model_display_name": f"python-qa-{dataset.id}"[:128],
        "description": f"tuned on dataset {dataset.id}",
        "validation_dataset": types.TuningValidationDataset(gcs_uri=evaluation),
        "epoch_count": plan.epochs,
        "labels": {KEY_LABEL: key},
    }
    if plan.adapter_size:
        values["adapter_size"] = types.AdapterSize[f"ADAPTER_SIZE_{ADAPTER_SIZES[plan.adapter_size]}"]
    if plan.learning_rate:
        values["learning_rate_multiplier"] = plan.learning_rate
    if settings.kms_key:
        values["encryption_spec"] = types.EncryptionSpec(kms_key_name=settings.kms_key)
    return types.CreateTuningJobConfig(**values)


def _wait(client: "Client", job: "TuningJob", seconds: float) -> "TuningJob":
    name = str(job.name)
    while not job.has_ended:
        time.sleep(seconds)
        job = backoff()(client.tunings.get)(name=name)
    if not job.has_succeeded:
        state = job.state.value.removeprefix("JOB_STATE_") if job.state else "unknown"
        why = job.error.message if job.error and job.error.message else "no reason given"
        raise TuningError(f"the tuning job {name} ended as {state}: {why}", "See its page in the Google Cloud console")
    return backoff()(client.tunings.get)(name=name)


def _model(plan: Plan, job: "TuningJob") -> Model:
    tuned = job.tuned_model
    facts: dict[str, object] = {"tuning_job": str(job.name), "epochs": plan.epochs}
    if job.tuning_data_stats and job.tuning_data_stats.supervised_tuning_data_stats:
        stats = job.tuning_data_stats.supervised_tuning_data_stats
        facts["rows_used"] = stats.tuning_dataset_example_count or 0
        facts["tokens_billed"] = stats.total_billable_token_count or 0
        facts["rows_cut"] = stats.total_truncated_example_count or 0
    if tuned:
        facts["registered_as"] = tuned.model or ""
        facts["checkpoints"] = [
            msgspec.to_builtins(one.model_dump(exclude_none=True)) for one in tuned.checkpoints or []
        ]
    uri = tuned.endpoint if tuned else None
    if not uri:
        raise TuningError(f"the tuning job {job.name} has no endpoint", "See its page in the Google Cloud console")
    return Model(tuner=GeminiTuner.name, base_model=plan.base_model, uri=uri, facts=facts)
