"""Define the groups of options that several commands share and that travel to the code behind them.

None, or an empty list, means "not given".
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from tuning.values import (
    Accelerator,
    Count,
    CountOrZero,
    Date,
    Gpu,
    InputFile,
    InputPath,
    MachineType,
    NotAnOption,
    Tuner,
    Version,
)

Format = Literal[
    "notebook",
    "text-bison",
    "gemini",
    "messages",
    "prompt-completion",
    "sharegpt",
    "alpaca",
    "gemini-preference",
    "trl-preference",
]


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """Group options that several tasks share. A task parameter of this type adds one option for each field.

    Each field is ``Annotated[KIND | None, Meta(description=HELP)] = None``, where None means "not given". `values.py`
    has the kinds. A flag is ``Annotated[bool, Meta(description=HELP)] = False``. With the kind ``bool | None``, the
    option takes true or false. An option of the kind ``list[int]`` can be repeated.
    """

    def given(self) -> dict[str, Any]:
        """Return the options that the user gave, by name."""
        defaults = zip(self.__struct_fields__, self.__struct_defaults__, strict=True)
        values = {name: getattr(self, name) for name, default in defaults if getattr(self, name) is not default}
        return {name: value for name, value in values.items() if value != []}


class BuildOptions(Options, frozen=True, kw_only=True):
    """Group the options of the mart."""

    tag_pattern: Annotated[
        str | None, Meta(description="RE2 pattern that must match a part of at least one tag of a question")
    ] = None
    since: Annotated[Date | None, Meta(description="keep answers that were created on or after this date")] = None
    match_parent: Annotated[
        bool | None, Meta(description="true: an accepted answer must belong to its question; false: join by ID alone")
    ] = None
    instruction_template: Annotated[str | None, Meta(description="text before each question")] = None
    preference_vote_gap: Annotated[
        Count | None, Meta(description="minimum difference in votes between the chosen and the rejected answer")
    ] = None
    minimum_question_score: Annotated[int | None, Meta(description="lowest score of a question")] = None
    minimum_answer_score: Annotated[int | None, Meta(description="lowest score of an accepted or chosen answer")] = None
    minimum_question_length: Annotated[
        CountOrZero | None, Meta(description="fewest characters of a question's text")
    ] = None
    minimum_answer_length: Annotated[CountOrZero | None, Meta(description="fewest characters of an answer's text")] = (
        None
    )
    closed_questions: Annotated[
        Literal["keep", "drop"] | None,
        Meta(description="questions closed for a reason other than being a duplicate"),
    ] = None
    duplicate_questions: Annotated[
        Literal["keep", "drop"] | None,
        Meta(description="questions that are linked as duplicates of another"),
    ] = None
    picture_questions: Annotated[
        Literal["keep", "drop"] | None, Meta(description="questions that show an image instead of text")
    ] = None
    leaning_answers: Annotated[
        Literal["keep", "drop"] | None,
        Meta(description="answers that name comments or other answers as their source"),
    ] = None
    python2_answers: Annotated[
        Literal["keep", "drop"] | None, Meta(description="answers with code that Python 3 refuses")
    ] = None
    exclude_user: Annotated[
        list[int] | None, Meta(description="leave out the posts of the user with this ID; you can repeat the option")
    ] = None
    pairs_per_question: Annotated[
        Count | None, Meta(description="most preference pairs of one question; no answer is in two pairs")
    ] = None


class SplitOptions(Options, frozen=True, kw_only=True):
    """Group the options of the dataset that is made from a mart."""

    format: Annotated[Format | None, Meta(description="format of the examples")] = None
    body: Annotated[Literal["markdown", "html"] | None, Meta(description="text of questions and answers")] = None
    split: Annotated[
        Literal["hash", "time", "random"] | None, Meta(description="how to split; time needs --split-date")
    ] = None
    split_date: Annotated[Date | None, Meta(description="put answers from this date on into the evaluation split")] = (
        None
    )
    eval_fraction: Annotated[
        Annotated[float, Meta(gt=0, lt=1)] | None, Meta(description="share of questions in the evaluation split")
    ] = None
    seed: Annotated[
        Annotated[int, Meta(ge=0, le=2**32 - 1)] | None,
        Meta(description="seed of the split and of the sample of --limit"),
    ] = None
    limit: Annotated[
        CountOrZero | None,
        Meta(description="maximum number of questions, 0 for all; a smaller sample is part of a larger sample"),
    ] = None
    code: Annotated[
        Literal["any", "parses"] | None, Meta(description="parses: only answers with Python code, all of which parses")
    ] = None
    decontaminate: Annotated[
        InputPath | None,
        Meta(description="benchmark (file or folder); drop examples with 13 words in a row, or a short text, of it"),
    ] = None
    redact_rules: Annotated[
        InputFile | None, Meta(description="TOML file with more secrets to replace, each with a name and a pattern")
    ] = None
    parquet: Annotated[bool, Meta(description="write the examples also as Parquet files")] = False
    decisions: Annotated[
        InputFile | None, Meta(description="file of `invoke review`; drop the examples that it rejects")
    ] = None
    tokenizer: Annotated[
        NotAnOption | None,
        Meta(description="model that counts tokens: smollm2, or a Hugging Face name or folder (tune: the base model)"),
    ] = None


class OwnOptions(Options, frozen=True, kw_only=True):
    """Group the options of a user's own data, which takes the place of a mart."""

    train: Annotated[
        list[str] | None,
        Meta(
            description="own examples instead of a mart: JSON Lines, Parquet or a folder of a Hugging Face dataset; "
            "FILE=2 writes each row twice; you can repeat the option"
        ),
    ] = None
    eval_: Annotated[
        list[str] | None,
        Meta(
            description="own examples for the evaluation split (default: a share of --train); you can repeat the option"
        ),
    ] = None


class RunOptions(Options, frozen=True, kw_only=True):
    """Group the options of running the code in answers."""

    run_answers: Annotated[
        Literal["sandboxed", "unprotected", "no"] | None,
        Meta(description="run the code in answers (default: the setting run_answers)"),
    ] = None


class TuningOptions(RunOptions, frozen=True, kw_only=True):
    """Group the options of the tuning. The defaults depend on the tuner and the base model."""

    tuner: Annotated[
        Tuner | None, Meta(description="hf (trains on this machine) or gemini (managed tuning on Google Cloud)")
    ] = None
    base_model: Annotated[
        NotAnOption | None,
        Meta(description="smollm2, tiny (a smoke test), a Hugging Face name or folder, or a Gemini model"),
    ] = None
    steps: Annotated[Count | None, Meta(description="optimizer steps")] = None
    epochs: Annotated[
        Annotated[float, Meta(gt=0, le=10_000)] | None,
        Meta(description="passes over the training split, instead of --steps"),
    ] = None
    learning_rate: Annotated[Annotated[float, Meta(gt=0, le=100)] | None, Meta(description="peak learning rate")] = None
    lora_rank: Annotated[Annotated[int, Meta(ge=1, le=65_536)] | None, Meta(description="rank of the LoRA adapter")] = (
        None
    )
    full: Annotated[bool, Meta(description="train all weights instead of an adapter (tuner hf)")] = False
    max_length: Annotated[
        Count | None, Meta(description="maximum tokens of an example; longer examples are not used for training")
    ] = None
    batch_size: Annotated[
        Annotated[int, Meta(ge=1, le=1_000_000)] | None, Meta(description="examples per optimizer step")
    ] = None
    keep: Annotated[
        Literal["adapter", "merged"] | None,
        Meta(
            description="adapter: keep only the adapter, and load it on the base model; merged: the whole model too "
            "(default: merged up to 5 GB of weights; tuner hf)"
        ),
    ] = None
    quantize: Annotated[
        Literal["4bit", "8bit"] | None,
        Meta(description="train the adapter on weights of so many bits, to save memory (tuner hf; needs bitsandbytes)"),
    ] = None
    shard: Annotated[
        bool, Meta(description="share the weights among the GPUs, also if they fit one of them (tuner hf)")
    ] = False
    machine_cpus: Annotated[
        Annotated[int, Meta(ge=1, le=96)] | None,
        Meta(description="CPUs of the machine that tunes and evaluates (target gcp, tuner hf)"),
    ] = None
    machine_memory: Annotated[
        Annotated[int, Meta(ge=1, le=624)] | None, Meta(description="GB of memory of that machine")
    ] = None
    accelerator: Annotated[Accelerator | None, Meta(description="GPU of that machine")] = None
    accelerator_count: Annotated[Annotated[int, Meta(ge=1, le=16)] | None, Meta(description="number of these GPUs")] = (
        None
    )
    spot: Annotated[
        bool,
        Meta(description="tune on a Spot machine, which costs less and can be taken back (target gcp, tuner hf)"),
    ] = False
    disk_gb: Annotated[
        Annotated[int, Meta(ge=100, le=64_000)] | None,
        Meta(description="GB of disk of the machine that tunes (target gcp, tuner hf)"),
    ] = None
    nodes: Annotated[
        Annotated[int, Meta(ge=1, le=64)] | None,
        Meta(description="number of machines that tune together (target gcp, tuner hf)"),
    ] = None
    budget: Annotated[
        Annotated[float, Meta(ge=0)] | None, Meta(description="maximum cost in US dollars; 0: no limit")
    ] = None


class DeployOptions(Options, frozen=True, kw_only=True):
    """Group the options of deploying a model."""

    model: Annotated[Version | None, Meta(description="model version (default: champion)")] = None
    traffic: Annotated[
        Annotated[int, Meta(ge=1, le=100)] | None,
        Meta(
            description="percent of the requests that the version gets; the current one keeps the rest (default: 100)"
        ),
    ] = None
    machine: Annotated[MachineType | None, Meta(description="machine with one GPU (default: g2-standard-8)")] = None
    accelerator: Annotated[
        Gpu | None, Meta(description="GPU of the machine (default: that of the machine's series)")
    ] = None
    hourly_price: Annotated[
        Annotated[float, Meta(gt=0, le=10_000)] | None,
        Meta(description="US dollars per hour of a machine without a price in prices.py, or with another one"),
    ] = None
    budget: Annotated[
        Annotated[float, Meta(ge=0)] | None,
        Meta(description="maximum cost of the endpoint in US dollars per day; 0: no limit"),
    ] = None
