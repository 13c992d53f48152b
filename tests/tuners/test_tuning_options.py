"""What the tuning options of the command line become."""

from typing import Any

import msgspec
import pytest

from tuning.command_line.options import TuningOptions
from tuning.errors import TuningError
from tuning.settings import Settings
from tuning.tuners.options import tuning_settings
from tuning.tuners.protocol import TuneOptions


def test_what_is_given_goes_into_the_settings_or_the_tuners_options() -> None:
    settings, options = tuning_settings(Settings(), TuningOptions(base_model="tiny", budget=2.0, full=True, steps=3))
    assert (settings.base_model, settings.budget) == ("tiny", 2.0)
    assert options == TuneOptions(base_model="tiny", full=True, steps=3)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"lora_rank": 8}, "--full trains all weights and --lora-rank trains an adapter. Use only one of them"),
        ({"tuner": "gemini"}, "the tuner gemini trains adapters only. Leave out --full or use --tuner hf"),
        (
            {"tuner": "gemini", "lora_rank": 8},
            "--full trains all weights and --lora-rank trains an adapter. Use only one of them",
        ),
    ],
)
def test_a_full_training_takes_no_rank_and_no_managed_tuner(given: dict[str, Any], said: str) -> None:
    with pytest.raises(TuningError) as caught:
        tuning_settings(Settings(), TuningOptions(full=True, **given))
    assert str(caught.value) == said


def test_what_is_kept_is_checked_before_anything_is_made() -> None:
    assert tuning_settings(Settings(), TuningOptions(keep="merged"))[1] == TuneOptions(keep="merged")
    for settings, given, said in (
        (Settings(), TuningOptions(base_model="tiny", keep="adapter"), "but all weights are trained"),
        (Settings(), TuningOptions(tuner="gemini", keep="merged"), "--keep is for the tuner hf only"),
        (
            Settings(target="gcp"),
            TuningOptions(base_model="tiny", lora_rank=4, keep="adapter"),
            "tiny is made on one machine",
        ),
    ):
        with pytest.raises(TuningError, match=said):
            tuning_settings(settings, given)


def test_a_machine_is_for_local_training_on_vertex_ai() -> None:
    given = TuningOptions(machine_cpus=16, accelerator="NVIDIA_L4")
    cloud = Settings(target="gcp")
    settings, options = tuning_settings(cloud, given)
    assert (settings.machine_cpus, settings.accelerator, options) == (16, "NVIDIA_L4", TuneOptions())
    with pytest.raises(TuningError, match="--machine-cpus is about a machine on Vertex AI"):
        tuning_settings(Settings(), given)
    with pytest.raises(TuningError, match="trains on Google's own machines, without --accelerator"):
        tuning_settings(cloud, TuningOptions(tuner="gemini", accelerator="NVIDIA_L4"))
    with pytest.raises(TuningError, match=r"a batch of 4 cannot be divided among 3 machines.*multiple of 3"):
        tuning_settings(cloud, TuningOptions(nodes=3))
    for given, name in (
        (TuningOptions(spot=True), "--spot"),
        (TuningOptions(disk_gb=200), "--disk-gb"),
        (TuningOptions(nodes=2), "--nodes"),
    ):
        assert tuning_settings(cloud, given)[0] == msgspec.structs.replace(cloud, **given.given())
        with pytest.raises(TuningError, match=f"{name} is about a machine on Vertex AI"):
            tuning_settings(Settings(), given)
        with pytest.raises(TuningError, match=f"trains on Google's own machines, without {name}"):
            tuning_settings(cloud, msgspec.structs.replace(given, tuner="gemini"))
        with pytest.raises(TuningError, match=f"{name} is for the tuner hf only"):
            tuning_settings(
                cloud, msgspec.structs.replace(given, tuner="tests.pipelines.character_tuner:CharacterTuner")
            )
