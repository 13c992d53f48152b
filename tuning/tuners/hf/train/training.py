"""Train with TRL, by the trainer for the dataset's format, and resume a killed run.

Import this module inside functions only, because TRL takes seconds to load.
"""

import contextlib
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from peft import LoraConfig
from torch.distributed.fsdp import MixedPrecisionPolicy
from transformers import PrinterCallback
from transformers.integrations import TensorBoardCallback
from trl import DPOConfig, SFTConfig

from tuning.errors import TuningError
from tuning.progress import progress
from tuning.tuners.hf.device import DEFAULT_KERNELS, Kernels, Processor, apply_liger
from tuning.tuners.hf.train.batches import TOKENS, micro_batch, plan_batches
from tuning.tuners.hf.train.callbacks import (
    CopiedCheckpoints,
    EarlyStopping,
    ProgressLines,
    SkippedSteps,
    stopped_early,
)
from tuning.tuners.hf.train.checkpoints import CHECKPOINTS, SHARED_WEIGHTS, name_best_here, newest_checkpoint
from tuning.tuners.hf.train.dpo_trainer import PreferenceTrainer
from tuning.tuners.hf.train.processes import ALONE, Group
from tuning.tuners.hf.train.recipe import Recipe, steps_of
from tuning.tuners.hf.train.rows import Rows
from tuning.tuners.hf.train.sft_trainer import AnswerCollator, AnswerTrainer
from tuning.tuners.tracking import PROJECT


@dataclass(frozen=True)
class Trained:
    """Hold the result of a training run: the model (with its adapter, not merged) and measurements."""

    model: Any
    history: list[dict[str, float]]  # TRL's log, which for a resumed run begins at the first step
    steps: int  # with those that were skipped
    skipped: int  # steps whose gradients overflowed in fp16, so they changed no weight
    tokens: int  # trained on since this process began, in all processes, without padding
    tokens_per_second: float  # in the training steps, without evaluations and checkpoints
    seconds: float  # of this process, with evaluations
    resumed_from: int  # step; 0: not resumed


class Log(NamedTuple):
    """Say where a training writes.

    Checkpoints and TensorBoard events go to `folder`, curves also to `trackers`, and `copies` copy the checkpoints.
    """

    folder: Path
    trackers: Sequence[str] = ()
    copies: Sequence[CopiedCheckpoints] = ()


def train(
    model: Any,
    tokenizer: Any,
    rows: Rows,
    recipe: Recipe,
    processor: Processor,
    log: Log,
    group: Group = ALONE,
) -> Trained:
    """Train `model` on `rows`, with checkpoints and curves as `log` says.

    Each process of `group` calls this function and trains on its share of every batch. The batches and their order are
    those of one process.
    """
    checkpoints = log.folder / CHECKPOINTS
    steps = steps_of(recipe, len(rows.train))
    lengths = list(rows.train["length"])
    plan = plan_batches(lengths, recipe.batch_size, steps, recipe.seed)
    preference = "rejected_ids" in rows.train.column_names
    checkpoints.mkdir(exist_ok=True)
    newest = newest_checkpoint(checkpoints) if group.is_first_here else None
    if newest:
        name_best_here(newest[0])
    done = group.tell(newest[1] if newest else 0)
    resume = checkpoints / f"checkpoint-{done}" if done else None
    if resume and not resume.is_dir():
        raise TuningError(f"the first machine resumes from step {done}, but there is no {resume} here", "Run it again")
    if resume and group.is_main:
        if (resume / SHARED_WEIGHTS).exists() != recipe.shard:
            raise TuningError(
                f"the training in {log.folder} was killed when GPUs did {'not ' * recipe.shard}share the weights",
                f"Run it again on as many GPUs and with the same --shard, or delete {checkpoints}",
            )
        print(f"resuming from step {done} of {steps}", flush=True)
    arguments = _arguments(recipe, processor, steps, checkpoints, preference, bool(len(rows.development)), group.size)
    if log.trackers:
        arguments.report_to, arguments.project = list(log.trackers), PROJECT
        arguments.run_name = f"training {log.folder.name[:12]}"
    if resume and stopped_early(resume):
        arguments.max_steps = done
        plan = plan[: done * recipe.batch_size]
    # A resumed run already has this evaluation in its log.
    arguments.eval_on_start = arguments.eval_on_start and not resume
    skipped = SkippedSteps()
    watch = ProgressLines(steps, [lengths[row] for row in plan], recipe.batch_size)
    trainer_class: Any = PreferenceTrainer if preference else AnswerTrainer
    collator = {} if preference else {"data_collator": AnswerCollator(tokenizer.pad_token_id)}
    given = {weight: weight.data for weight in model.parameters() if recipe.quantize and weight.requires_grad}
    trainer = trainer_class(
        model=model,
        args=arguments,
        train_dataset=rows.train.select(plan),
        eval_dataset=rows.development if len(rows.development) else None,
        processing_class=tokenizer,
        peft_config=None if recipe.full or recipe.continues else _adapter(model, recipe),
        callbacks=[
            watch,
            *([skipped] if arguments.fp16 else []),
            *([_tensorboard(log.folder, done)] if group.is_main else []),
            *([EarlyStopping(recipe.patience, skipped)] if len(rows.development) else []),
            *log.copies,
        ],
        **collator,
    )
    if recipe.quantize:  # TRL has made the adapter bfloat16, which would round small updates away
        for weight in trainer.model.parameters():
            if weight.requires_grad:
                weight.data = given.get(weight, weight.data).float()
    if not preference:
        trainer.pull = recipe.pull
    if recipe.shard and not trainer.is_fsdp_enabled:
        raise RuntimeError("Accelerate does not share the weights")
    trainer.remove_callback(PrinterCallback)  # `watch` prints the progress instead
    started = time.monotonic()
    shown = progress("training", steps - done, "steps") if group.is_main else contextlib.nullcontext(watch.advance)
    with shown as watch.advance:
        trainer.train(resume_from_checkpoint=str(resume) if resume else None)
    os.environ.pop("ACCELERATE_USE_FSDP", None)  # Accelerate sets it, and would share the weights in the next training
    return Trained(
        model=trainer.model,
        history=trainer.state.log_history,
        steps=trainer.state.global_step,
        skipped=skipped.count,
        tokens=watch.tokens,
        tokens_per_second=watch.tokens_per_second,
        seconds=time.monotonic() - started,
        resumed_from=done,
    )


def _arguments(
    recipe: Recipe, processor: Processor, steps: int, output: Path, preference: bool, evaluated: bool, processes: int
) -> Any:
    share = recipe.batch_size // processes
    micro = micro_batch(share, recipe.max_length, TOKENS[processor.device] // (2 if preference else 1))
    interval = max(1, -(-steps // recipe.evaluations))
    on_gpu = processor.device != "cpu"
    shared = {
        "output_dir": str(output),
        "max_steps": steps,
        "per_device_train_batch_size": micro,
        "gradient_accumulation_steps": share // micro,
        "train_sampling_strategy": "sequential",  # the rows are already in the planned order
        "learning_rate": recipe.learning_rate,
        "lr_scheduler_type": "linear",
        "warmup_steps": round(recipe.warmup * steps),
        "max_grad_norm": 1.0,
        "seed": recipe.seed,
        "data_seed": recipe.seed,
        "use_cpu": not on_gpu,
        "ddp_find_unused_parameters": False,  # every trained weight is used in every step
        "bf16": on_gpu and processor.precision == "bf16",  # a CPU is faster without autocast, on weights in bfloat16
        "fp16": processor.precision == "fp16",  # also scales the gradients, which would else be too small for fp16
        # Saves memory but costs a fifth of the speed. Used on a CPU only if a single row can exceed TOKENS.
        "activation_checkpointing": on_gpu or recipe.max_length > TOKENS["cpu"],
        "logging_steps": max(1, steps // 100),
        "eval_strategy": "steps" if evaluated else "no",
        "eval_steps": interval,
        "eval_on_start": evaluated,
        "save_strategy": "steps",
        "save_steps": interval,
        "save_total_limit": 2,
        "load_best_model_at_end": evaluated,
        "metric_for_best_model": "eval_loss" if evaluated else None,
        "dataloader_pin_memory": processor.device == "cuda",
        "remove_unused_columns": preference,
        "disable_tqdm": True,
        "log_level_replica": "error",  # as `set_up_libraries` sets for the main process
        "report_to": "none",
    }
    if recipe.shard:  # of each decoder layer; a checkpoint has whole weights
        shared |= {"fsdp": True, "fsdp_config": {"version": 2}}
    if preference:
        arguments = DPOConfig(**shared, max_length=None, precompute_ref_log_probs=False)
    else:
        arguments = SFTConfig(**shared, max_length=None, dataset_kwargs={"skip_prepare_dataset": True})
    if recipe.shard and (shared["bf16"] or shared["fp16"]):  # Accelerate would also add up gradients in 16 bits
        arguments.fsdp_plugin_args["mixed_precision_policy"] = MixedPrecisionPolicy(processor.dtype, torch.float32)
    # With several GPUs in one process, transformers would use torch's DataParallel, which makes other batches.
    arguments._n_gpu = min(arguments.n_gpu, 1)
    return arguments


def _adapter(model: Any, recipe: Recipe) -> Any:
    """Return the LoRA settings: all linear layers except the output, in the upper `lora_share` of the blocks."""
    shared = {"r": recipe.lora_rank, "lora_alpha": 2 * recipe.lora_rank, "task_type": "CAUSAL_LM"}
    blocks = model.config.get_text_config().num_hidden_layers
    first = blocks - max(1, round(blocks * recipe.lora_share))
    if first == 0:
        return LoraConfig(target_modules="all-linear", **shared)
    linear = {
        name.rpartition(".")[2]
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and module is not model.get_output_embeddings()
    }
    return LoraConfig(target_modules=sorted(linear), layers_to_transform=list(range(first, blocks)), **shared)


def _tensorboard(output: Path, step: int) -> Any:
    from tensorboardX import SummaryWriter

    # A resumed run logs the steps after its checkpoint again, so hide the earlier entries for these steps.
    return TensorBoardCallback(SummaryWriter(str(output / "tensorboard"), purge_step=step + 1))


def training_model(
    folder: Path, recipe: Recipe, processor: Processor, adapter: Path | None = None, kernels: Kernels = DEFAULT_KERNELS
) -> Any:
    """Load the base model in the data type for training, with the adapter that is trained further, if one is given.

    With an adapter, this is the one of the processor's precision, and the adapter's weights are fp32. If all weights
    are trained, it is fp32 (on a GPU with products in 16 bits), because 16 bits would round small updates away. With
    `recipe.quantize`, the linear layers but the output have fewer bits, and compute in that data type. Other weights
    stay as they are without it: `prepare_model_for_kbit_training` of PEFT would make them fp32, which for Qwen2.5-7B
    takes 2.2 GB more. Raises TuningError if the model cannot be loaded.
    """
    from tuning.tuners.hf.models.adapted import load_adapter
    from tuning.tuners.hf.models.base_models import load_model

    model = load_model(folder, torch.float32 if recipe.full else processor.dtype, recipe.quantize, kernels.attention)
    if kernels.liger:
        apply_liger(model)
    return load_adapter(model, adapter, is_trainable=True) if adapter else model
