"""Adapt TRL's DPOTrainer to encoded rows.

Import this module inside functions only, because TRL takes seconds to load.
"""

from typing import Any

from trl import DPOTrainer

from tuning.tuners.hf.train.checkpoints import mark_complete
from tuning.tuners.hf.train.rows import Row


class PreferenceTrainer(DPOTrainer):  # type: ignore[misc]
    """Train by direct preference optimization (https://arxiv.org/abs/2305.18290) against the untuned model."""

    def _prepare_dataset(self, dataset: Any, *_: Any) -> Any:
        """Add TRL's columns. The rows are already encoded, by the same code as for supervised tuning."""
        return dataset.map(_as_trl)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        super()._save_checkpoint(model, trial)
        mark_complete(self.args.output_dir, self.state.global_step)


def _as_trl(row: Row) -> dict[str, list[int]]:
    start = row["answer_start"]
    return {
        "prompt_ids": row["ids"][:start],
        "chosen_ids": row["ids"][start:],
        "rejected_ids": row["rejected_ids"][start:],
    }
