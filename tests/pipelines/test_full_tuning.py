"""The tune step with `--full`, on a model in a local folder."""

from pathlib import Path

import torch

from tests.pipelines.artifacts import FakeArtifact, request
from tuning.pipelines.steps import tune as tune_step
from tuning.pipelines.steps.requests import TuningRequest, step_settings
from tuning.registry.model_folder import open_model
from tuning.tuners.hf.models.base_models import load_model
from tuning.tuners.hf.models.tiny import make_tiny
from tuning.tuners.protocol import TuneOptions


def test_the_model_has_no_adapter_and_transformers_loads_weights_that_all_moved(settings, dataset, tmp_path):
    base = make_tiny(settings, dataset)
    options = TuneOptions(base_model=str(base), full=True, steps=2, batch_size=4, max_length=256)
    asked = TuningRequest(settings=step_settings(settings), tuner="hf", options=options)
    data, checked, made = FakeArtifact(dataset.folder, sha256="0"), FakeArtifact(tmp_path / "c"), tmp_path / "made"
    tune_step.validate(data, "hf", checked)
    tune_step.tune_here(
        data, checked, request(tmp_path / "t.json", asked), "code", FakeArtifact(made), FakeArtifact(tmp_path / "m")
    )

    model = open_model(made)
    assert model.facts["trained"] == "all weights"
    assert model.facts["parameters_trained"] == model.facts["parameters"]
    assert model.uri == str(made / "weights" / "merged")
    assert not list(made.rglob("adapter*"))
    assert "with all weights" in (made / "weights" / "README.md").read_text()
    tuned, untuned = (load_model(Path(folder), torch.float32).state_dict() for folder in (model.uri, base))
    assert tuned.keys() == untuned.keys()
    assert [name for name in tuned if torch.equal(tuned[name], untuned[name])] == []
