"""Training a model of Qwen3-0.6B's shape on a GPU: tokens per second, memory, share of the card's peak.

Random weights and generated text: nothing is fetched. `gpu_bench()` is what `invoke bench --gpu` calls. By hand:
python -m tests.bench.gpu_bench
"""

import gc
import random
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from tuning.tuners.chat import chatml
from tuning.tuners.libraries import set_up_libraries
from tuning.tuners.processor import find_processor
from tuning.tuners.recipe import Recipe
from tuning.tuners.rows import Rows

LENGTH = 1024  # tokens of one row
BATCH = 16
STEPS = 12

# Dense bfloat16 operations per second, of NVIDIA's data sheets.
_PEAKS = {"H200": 989e12, "H100": 989e12, "A100": 312e12, "L40S": 362e12, "L4": 121e12, "A10": 125e12}


class Measured(NamedTuple):
    name: str
    tokens_per_second: float
    memory: int  # bytes at the highest
    share: float | None  # of the card's bfloat16 peak; None for a card that is not in the table


def gpu_bench() -> list[Measured]:
    """Adapter and full training, ours and plain `transformers.Trainer`'s; printed. Nothing where there is no GPU."""
    set_up_libraries()
    import torch

    if not torch.cuda.is_available():
        print("no GPU here: `bench --gpu` needs one")
        return []
    processor = find_processor()
    print(f"{processor.name}: Qwen3-0.6B's shape, rows of {LENGTH} tokens, {BATCH} a step, {STEPS} steps")
    measured = []
    for full in (False, True):
        what = "all weights" if full else "adapter"
        measured.append(_measure(f"hf tuner, {what}", _ours, full))
        measured.append(_measure(f"Trainer, {what}", _plain, full))
    for one in measured:
        share = "unknown" if one.share is None else f"{one.share:.1%}"
        print(f"{one.name:24} {one.tokens_per_second:9.0f} tokens/s {one.memory / 2**30:6.1f} GiB {share:>8} of peak")
    return measured


def _measure(name: str, way: Any, full: bool) -> Measured:
    import torch

    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    with tempfile.TemporaryDirectory() as folder:
        seconds, operations = way(full, Path(folder))
    rate = STEPS * BATCH * LENGTH / seconds
    card = torch.cuda.get_device_name(0)
    peak = next((value for part, value in _PEAKS.items() if part in card), None)
    return Measured(name, rate, torch.cuda.max_memory_allocated(), None if peak is None else rate * operations / peak)


def _ours(full: bool, work: Path) -> tuple[float, float]:
    from tuning.tuners.training import train

    recipe = Recipe(
        steps=STEPS, batch_size=BATCH, max_length=LENGTH, lora_rank=0 if full else 16, evaluations=1, development_rows=0
    )
    model, tokenizer = _model(full), _tokenizer()
    rows = Rows(train=_rows(), development=_rows().select([]), total=STEPS * BATCH, too_long=0)
    operations = _operations_per_token(model, full)
    trained = train(model, tokenizer, rows, recipe, find_processor(), work)
    return trained.tokens / trained.tokens_per_second, operations


def _plain(full: bool, work: Path) -> tuple[float, float]:
    """The Trainer with bfloat16 products, since nobody trains in fp32 on such a card; the rest its defaults."""
    from peft import LoraConfig, get_peft_model
    from transformers import DataCollatorForSeq2Seq, Trainer, TrainingArguments

    model = _model(full)
    operations = _operations_per_token(model, full)
    if not full:
        model = get_peft_model(
            model, LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")
        )
    rows = _rows().map(
        lambda row: {"input_ids": row["ids"], "attention_mask": [1] * len(row["ids"]), "labels": row["ids"]},
        remove_columns=["ids", "answer_start", "length", "group"],
    )
    arguments = TrainingArguments(
        str(work), max_steps=STEPS, per_device_train_batch_size=BATCH, bf16=True, save_strategy="no", report_to="none",
        disable_tqdm=True,
    )  # fmt: skip
    trainer = Trainer(
        model=model, args=arguments, train_dataset=rows, data_collator=DataCollatorForSeq2Seq(_tokenizer())
    )
    started = time.monotonic()
    trainer.train()
    return time.monotonic() - started, operations


def _model(full: bool) -> Any:
    """Qwen3-0.6B as its configuration on the hub describes it, with random weights."""
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=151_936,
        hidden_size=1024,
        intermediate_size=3072,
        num_hidden_layers=28,
        num_attention_heads=16,
        num_key_value_heads=8,
        head_dim=128,
        tie_word_embeddings=True,
    )
    return Qwen3ForCausalLM(config).to(torch.float32 if full else torch.bfloat16)


def _rows() -> Any:
    """Generated text: words drawn with a fixed seed; the second half of each row is the answer."""
    import datasets

    drawn = random.Random(0)  # noqa: S311 - a benchmark's text, no secret
    ids = [[drawn.randrange(1000, 100_000) for _ in range(LENGTH)] for _ in range(STEPS * BATCH)]
    count = len(ids)
    return datasets.Dataset.from_dict(
        {"ids": ids, "answer_start": [LENGTH // 2] * count, "length": [LENGTH] * count, "group": list(range(count))}
    )


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


def _operations_per_token(model: Any, full: bool) -> float:
    """Multiplications and additions that the training needs, recomputation not counted.

    Forward 2 for each weight that multiplies (the tied embedding once, as output layer) and the causal half of the
    attention; backward the same again for activations, and again for the gradients of weights where they are trained.
    """
    config = model.config
    weights = model.num_parameters()
    attention = 2 * config.num_hidden_layers * config.num_attention_heads * config.head_dim * LENGTH
    return float((2 * weights + attention) * (3 if full else 2))


if __name__ == "__main__":
    gpu_bench()
