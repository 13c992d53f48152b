"""Training models of Qwen's shapes on a GPU beside TRL's defaults: tokens per second, memory, share of the card's peak.

Random weights and generated text: nothing is fetched. `gpu_bench()` is what `invoke bench --gpu` calls. By hand:
python -m tests.bench.gpu_bench
"""

import gc
import random
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from tuning.tuners.hf.chat import chatml
from tuning.tuners.hf.device import Processor, find_processor
from tuning.tuners.hf.environment import set_up_libraries
from tuning.tuners.hf.train.recipe import Recipe
from tuning.tuners.hf.train.rows import Rows

_RANK = 16

# Dense bfloat16 operations per second, of NVIDIA's data sheets. A longer name stands before the one that it contains.
_PEAKS = {"H200": 989e12, "H100": 989e12, "A100": 312e12, "L40S": 362e12, "L4": 121e12, "A10": 125e12}


@dataclass(frozen=True)
class Shape:
    """A model by its Qwen3 configuration, and the rows that it is trained on."""

    name: str
    model: dict[str, Any]
    length: int  # tokens of a row
    batch: int  # rows of a step
    steps: int
    both: bool = True  # an adapter, and all weights, which take 16 bytes each


# As their configurations on the hub describe them.
QWEN = Shape(
    "Qwen3-0.6B",
    {
        "vocab_size": 151_936,
        "hidden_size": 1024,
        "intermediate_size": 3072,
        "num_hidden_layers": 28,
        "num_attention_heads": 16,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "tie_word_embeddings": True,
    },
    length=1024,
    batch=16,
    steps=12,
)
# Qwen2.5-1.5B-Instruct, but for the biases of its queries, keys and values, which Qwen3 does not have.
LARGER = Shape(
    "Qwen2.5-1.5B",
    {
        "vocab_size": 151_936,
        "hidden_size": 1536,
        "intermediate_size": 8960,
        "num_hidden_layers": 28,
        "num_attention_heads": 12,
        "num_key_value_heads": 2,
        "head_dim": 128,
        "tie_word_embeddings": True,
    },
    length=1024,
    batch=16,
    steps=12,
    both=False,
)


class Rate(NamedTuple):
    """Tokens that were trained on, and of those per second in the training steps alone."""

    tokens: int
    per_second: float


class Measured(NamedTuple):
    name: str
    rate: Rate
    memory: int  # bytes: on a GPU at their highest, else what this process holds in the end
    share: float | None  # of the processor's bfloat16 peak; None for one that is not in the table

    def line(self) -> str:
        share = "unknown" if self.share is None else f"{self.share:.1%}"
        return f"{self.name:24} {self.rate.per_second:9.0f} tokens/s {self.memory / 2**30:6.1f} GiB {share:>8} of peak"


def gpu_bench() -> None:
    """Print a table for each shape. Only says so where there is no GPU."""
    processor = find_processor()
    if processor.device != "cuda":
        print("no GPU here: `bench --gpu` needs one")
        return
    for shape in (QWEN, LARGER):
        size = f"rows of {shape.length} tokens, {shape.batch} a step, {shape.steps} steps"
        print(f"{processor.name}: {shape.name}'s shape, {size}")
        print("\n".join(one.line() for one in measure(shape, processor)))


def measure(shape: Shape, processor: Processor) -> list[Measured]:
    """Adapter and full training, each by the tuner and by TRL's trainer."""
    return [
        _measure(f"{name}, {'all weights' if full else 'adapter'}", way, shape, full, processor)
        for full in ((False, True) if shape.both else (False,))
        for name, way in (("hf tuner", _ours), ("TRL", _trl))
    ]


def _measure(
    name: str, way: Callable[[Shape, bool, Processor, Path], Rate], shape: Shape, full: bool, processor: Processor
) -> Measured:
    import torch

    gc.collect()
    on_gpu = processor.device == "cuda"
    if on_gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    with tempfile.TemporaryDirectory() as folder:
        rate = way(shape, full, processor, Path(folder))
    memory = torch.cuda.max_memory_allocated() if on_gpu else psutil.Process().memory_info().rss
    peak = next((value for card, value in _PEAKS.items() if card in processor.name), None)
    operations = operations_per_token(shape, full)
    return Measured(name, rate, memory, None if peak is None else rate.per_second * operations / peak)


def operations_per_token(shape: Shape, full: bool) -> int:
    """Multiplications and additions that the training needs, without recomputation and the adapter's own.

    Forward 2 for each weight of a matrix (the tied embedding once, as output layer), backward the same for what went
    in, and again for the weights where they are trained. The attention's two products take, of the tokens before, half
    a row on average, and backward twice as many, since both of their factors were computed.
    """
    import torch

    with torch.device("meta"):
        model = _model(shape)
    matrices = sum(weight.numel() for weight in model.parameters() if weight.dim() > 1)
    one = model.config
    attention = 2 * one.num_hidden_layers * one.num_attention_heads * one.head_dim * shape.length
    return int(2 * matrices * (3 if full else 2) + 3 * attention)


def _ours(shape: Shape, full: bool, processor: Processor, work: Path) -> Rate:
    from tuning.tuners.hf.train.training import Log, train

    recipe = Recipe(
        steps=shape.steps,
        batch_size=shape.batch,
        max_length=shape.length,
        lora_rank=0 if full else _RANK,
        evaluations=1,
    )
    rows = _rows(shape)
    trained = train(
        _typed_model(shape, full, processor),
        _tokenizer(),
        Rows(train=rows, development=rows.select([]), total=len(rows), too_long=0),
        recipe,
        processor,
        Log(work),
    )
    return Rate(trained.tokens, trained.tokens_per_second)


def _trl(shape: Shape, full: bool, processor: Processor, work: Path) -> Rate:
    """TRL's trainer with its defaults, on the same rows in the same steps, with the same adapter."""
    from peft import LoraConfig
    from trl import SFTConfig, SFTTrainer

    from tuning.tuners.hf.train.callbacks import ProgressLines

    adapter = LoraConfig(r=_RANK, lora_alpha=2 * _RANK, target_modules="all-linear", task_type="CAUSAL_LM")
    rows = _rows(shape)
    watch = ProgressLines(shape.steps, rows["length"], shape.batch)
    arguments = SFTConfig(
        str(work),
        max_steps=shape.steps,
        per_device_train_batch_size=shape.batch,
        dataset_kwargs={"skip_prepare_dataset": True},  # they are token IDs already
        bf16=processor.precision == "bf16",
        fp16=processor.precision == "fp16",
        use_cpu=processor.device == "cpu",
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
    trainer = SFTTrainer(
        model=_typed_model(shape, full, processor),
        args=arguments,
        train_dataset=rows.map(_as_plain, remove_columns=rows.column_names),
        processing_class=_tokenizer(),
        peft_config=None if full else adapter,
        callbacks=[watch],
    )
    trainer.train()
    return Rate(watch.tokens, watch.tokens_per_second)


def _model(shape: Shape) -> Any:
    set_up_libraries()
    from transformers import Qwen3Config, Qwen3ForCausalLM

    return Qwen3ForCausalLM(Qwen3Config(**shape.model))


def _typed_model(shape: Shape, full: bool, processor: Processor) -> Any:
    """Random weights, in the type that `training_model` would load them in."""
    import torch

    torch.manual_seed(0)
    return _model(shape).to(torch.float32 if full else processor.dtype)


def _rows(shape: Shape) -> Any:
    """Generated text: words drawn with a fixed seed; the second half of each row is the answer."""
    import datasets

    drawn = random.Random(0)  # noqa: S311 - a benchmark's text, no secret
    count = shape.steps * shape.batch
    ids = [[drawn.randrange(3, shape.model["vocab_size"]) for _ in range(shape.length)] for _ in range(count)]
    start = [shape.length // 2] * count
    return datasets.Dataset.from_dict(
        {"ids": ids, "answer_start": start, "length": [shape.length] * count, "group": list(range(count))}
    )


def _as_plain(row: dict[str, Any]) -> dict[str, Any]:
    ids, start = row["ids"], row["answer_start"]
    return {"input_ids": ids, "labels": [-100] * start + ids[start:]}


def _tokenizer() -> Any:
    """TRL wants one for its padding token; the rows are token ids already."""
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    words = {"<|endoftext|>": 0, "<|im_start|>": 1, "<|im_end|>": 2}
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel(words, unk_token="<|endoftext|>")),
        pad_token="<|endoftext|>",
        eos_token="<|im_end|>",
        chat_template=chatml("You answer"),
    )


if __name__ == "__main__":
    gpu_bench()
