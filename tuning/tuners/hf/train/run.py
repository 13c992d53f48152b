"""Run a local tuning: encode, train, save, and record what was done."""

import dataclasses
import shutil
import time
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from tuning.dataset.dataset import Dataset
from tuning.dataset.formats.records import PREFERENCE_FORMATS
from tuning.records import write_record
from tuning.settings import Settings
from tuning.storage import write_bytes
from tuning.tuners.hf.device import Processor, evaluation_dtype, find_kernels, find_processor
from tuning.tuners.hf.models.adapted import find_base, name_of
from tuning.tuners.hf.models.base_models import (
    describe_base,
    hub_base,
    license_of,
    load_outline,
    load_tokenizer,
)
from tuning.tuners.hf.models.quantized import check_installed
from tuning.tuners.hf.train.checkpoints import CHECKPOINTS, fetch_checkpoints
from tuning.tuners.hf.train.curves import Curves, read_history, write_curves
from tuning.tuners.hf.train.memory import check_memory, measure
from tuning.tuners.hf.train.model_card import model_card
from tuning.tuners.hf.train.processes import ALONE, Group
from tuning.tuners.hf.train.recipe import Recipe, keeps_adapter
from tuning.tuners.hf.train.rows import ROWS, Rows, read_rows
from tuning.tuners.hf.train.saved import ADAPTER, FINISHED, MERGED
from tuning.tuners.hf.train.saving import put_together, save_adapter, save_full
from tuning.tuners.protocol import Model
from tuning.tuners.tracking import set_up_trackers


class Start(NamedTuple):
    """Say from where a training starts.

    If the folder `adapter` is given, that adapter is trained further. If the address `checkpoints` in Cloud Storage is
    given, checkpoints are copied to it, and a run on another machine, whose `output` has the same path, resumes from
    them.
    """

    adapter: Path | None = None
    checkpoints: str = ""


FRESH = Start()


def run(
    settings: Settings,
    dataset: Dataset,
    base_model: str,
    recipe: Recipe,
    output: Path,
    start: Start = FRESH,
    group: Group = ALONE,
) -> None:
    """Tune a model and write it to `output`. The file FINISHED, a Model as JSON, is written last.

    All processes of `group` call this function, and the main one writes. `output` is a folder of each machine.

    Raises TuningError if the base model cannot be found or loaded, if it is too large for the memory, if a line is
    invalid, or if no example is short enough.
    """
    started = time.monotonic()
    wanted = (settings, base_model, dataset, start.adapter)
    outline = group.tell_here(find_base(*wanted, weights=False) if group.is_first_here else None)
    tokenizer = load_tokenizer(outline)
    check_installed(recipe.quantize)
    processor = find_processor()
    structure = load_outline(outline)
    shape, kernels = measure(structure), find_kernels(processor, structure, recipe.full)
    shared = check_memory(shape, recipe, processor, group.local_size, group.size)
    recipe = msgspec.structs.replace(recipe, shard=shared)
    base = group.tell_here(find_base(*wanted) if group.is_first_here else None)
    encoded = output / ROWS
    if group.is_first_here:
        shutil.rmtree(encoded, ignore_errors=True)  # from a killed run
    rows = read_rows(tokenizer, dataset, recipe, encoded, group)
    if group.is_main:
        print(rows.announcement(recipe), flush=True)
        if shared:
            print(f"{group.size} processes share the weights (FSDP2)", flush=True)
        if processor.device != "cpu":
            print(f"training on {processor.name} in {processor.precision} with {kernels}", flush=True)
    from tuning.tuners.hf.train.callbacks import CopiedCheckpoints
    from tuning.tuners.hf.train.training import Log, train, training_model

    if start.checkpoints:
        if group.is_first_here:
            fetch_checkpoints(settings, start.checkpoints, output / CHECKPOINTS)
        group.wait()  # the other processes of this machine look for a checkpoint too
    model = training_model(base, recipe, processor, start.adapter, kernels)
    copies = [CopiedCheckpoints(settings, start.checkpoints)] if start.checkpoints else []
    log = Log(output, set_up_trackers(settings) if group.is_main else (), copies)
    trained = train(model, tokenizer, rows, recipe, processor, log, group)
    if recipe.shard:
        del model
        whole = put_together(trained.model, lambda: training_model(base, recipe, processor, start.adapter), group)
        trained = dataclasses.replace(trained, model=whole)
    if not group.is_main:
        group.wait()  # until the main process has saved the model
        return
    curves = read_history(trained.history)
    facts = _facts(rows, recipe, trained, curves, shape.parameters) | {
        "processor": processor.name,
        "kernels": str(kernels),
        "license": license_of(base_model, base),
        "base": describe_base(base_model),
    }
    given = (trained.model, tokenizer, base, output, recipe.step_size)
    kept = name_of(base_model, base, dataset.id) if keeps_adapter(recipe, shape.parameters, base_model) else None
    saved = save_full(*given) if recipe.full else save_adapter(*given, hub_base(base_model, base), kept)
    if curves.development and recipe.step_size != 1:  # the curves are of the whole step, which is not saved
        loss = facts["development_loss"] = _development_loss(saved, rows, processor)
        print(
            f"saved model: development loss {loss:.3f} (the base plus {recipe.step_size:g} of its change)", flush=True
        )
    write_curves(output, curves)
    facts["seconds"] = round(time.monotonic() - started, 1)
    preference = dataset.manifest.format in PREFERENCE_FORMATS
    card = model_card(base_model, str(facts["license"]), dataset, recipe, facts, preference)
    write_bytes(output / "README.md", card.encode())
    uri = output / (ADAPTER if kept else MERGED)
    tuned = Model(tuner="hf", base_model=base_model, uri=str(uri), facts=facts)
    write_record(output / FINISHED, tuned)
    group.wait()


def _development_loss(model: Any, rows: Rows, processor: Processor) -> float:
    from tuning.tuners.hf.answer.scoring import example_losses

    model = model.to(device=processor.device, dtype=evaluation_dtype(processor, model.num_parameters()))
    losses = example_losses(model, [(row["ids"], row["answer_start"]) for row in rows.development])
    return round(sum(loss for loss, _ in losses) / len(losses), 4)


def _facts(rows: Rows, recipe: Recipe, trained: Any, curves: Curves, parameters: int) -> dict[str, Any]:
    """Return the numbers for the report, the model card and the registry. The base has this number of parameters."""
    changed = sum(weight.numel() for weight in trained.model.parameters() if weight.requires_grad)
    used = min(len(rows.train), trained.steps * recipe.batch_size)
    facts = {
        "recipe": msgspec.to_builtins(recipe),
        "trained": recipe.trained,
        "rows_total": rows.total,
        "rows_left_out": rows.too_long,
        "rows_development": len(rows.development),
        "rows_used": used,
        "max_length": recipe.max_length,
        "steps": trained.steps,
        "epochs": round(trained.steps * recipe.batch_size / len(rows.train), 3),
        "tokens": trained.tokens,
        "tokens_per_second": round(trained.tokens_per_second, 1),
        "training_seconds": round(trained.seconds, 1),
        "parameters": parameters if recipe.full else parameters + changed,
        "parameters_trained": changed,
        "resumed_from_step": trained.resumed_from,
    }
    if trained.skipped:
        facts["steps_skipped"] = trained.skipped
    if curves.development:
        facts["development_loss_before"] = round(curves.development[0].loss, 4)
        # Leave out step 0, the loss of the untuned model, because that model is never saved.
        facts["development_loss"] = round(min(point.loss for point in curves.development[1:]), 4)
    rewards = [row for row in trained.history if "eval_rewards/margins" in row]
    if rewards:  # DPO's mean reward margin and the share of correctly ranked held-out pairs; noisy with few pairs
        facts["development_margin"] = round(rewards[-1]["eval_rewards/margins"], 4)
        facts["development_accuracy"] = round(rewards[-1]["eval_rewards/accuracies"], 4)
    return facts
