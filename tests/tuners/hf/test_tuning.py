import dataclasses
import json
import math
from pathlib import Path

import msgspec
import pytest
import torch

from tests.tuners.tuner_datasets import question, write_dataset
from tuning.dataset.dataset import Dataset
from tuning.dataset.formats.codec import parse_line
from tuning.settings import Settings
from tuning.tuners.hf.answer.scoring import answer_logits, collate
from tuning.tuners.hf.models.base_models import load_model
from tuning.tuners.hf.train.model_card import model_card
from tuning.tuners.hf.train.recipe import Recipe
from tuning.tuners.hf.train.run import run
from tuning.tuners.hf.tuner import HfTuner
from tuning.tuners.protocol import Model, StreamingPredictor, TuneOptions

TUNER = HfTuner()


@pytest.fixture(scope="module")
def adapted(dataset: Dataset, local_model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Model, Path]:
    """The local model, tuned by an adapter."""
    home = tmp_path_factory.mktemp("adapted")
    options = TuneOptions(base_model=str(local_model), steps=12, batch_size=8, learning_rate=0.01, max_length=256)
    return TUNER.tune(Settings(home=home), dataset, options, home / "out"), home / "out"


def test_the_merged_model_gives_the_logits_of_base_and_adapter(adapted: tuple[Model, Path], local_model: Path) -> None:
    from peft import PeftModel

    model, output = adapted
    merged = load_model(Path(model.uri), torch.float32)
    base = PeftModel.from_pretrained(load_model(local_model, torch.float32), str(output / "adapter"))
    ids = torch.arange(5, 60).unsqueeze(0)
    with torch.no_grad():
        difference = merged(ids).logits - base(ids).logits
        untuned = load_model(local_model, torch.float32)(ids).logits
    assert difference.abs().max() < 1e-4
    assert (merged(ids).logits - untuned).abs().max() > 0.1  # the adapter did something


def test_tuning_lowers_the_loss_on_examples_it_never_saw(
    adapted: tuple[Model, Path], dataset: Dataset, local_model: Path, settings: Settings
) -> None:
    examples = [parse_line("messages", line) for line in dataset.file("eval").read_bytes().splitlines()]
    before = Model(tuner="hf", base_model=str(local_model), uri=str(local_model))
    losses = {
        name: [loss for loss, _ in TUNER.predictor(settings, model).losses(examples, 256) or []]
        for name, model in (("base", before), ("tuned", adapted[0]))
    }
    assert all(tuned < base - 0.5 for base, tuned in zip(losses["base"], losses["tuned"], strict=True))


def test_the_output_holds_card_curves_and_events(adapted: tuple[Model, Path], dataset: Dataset) -> None:
    model, output = adapted
    assert sorted(path.name for path in output.iterdir()) == [
        "README.md", "adapter", "curves.json", "curves.svg", "finished.json", "merged", "tensorboard",
    ]  # fmt: skip
    curves = json.loads((output / "curves.json").read_text())
    assert [point["step"] for point in curves["train"]] == list(range(1, 13))
    assert curves["development"][0]["step"] == 0
    assert curves["development"][-1]["loss"] < curves["development"][0]["loss"]
    assert (output / "curves.svg").read_text().count("<polyline") == 2
    card = (output / "README.md").read_text()
    assert f"Dataset `{dataset.id}` (messages), built from Invented questions: 80 training examples" in card
    assert "on questions of Invented questions and their accepted answers." in card
    assert "| learning rate | 0.01 |" in card
    assert f"| development loss | {model.facts['development_loss']:.3f} |" in card


def test_the_card_of_a_model_of_own_data_claims_no_licence_and_no_accepted_answers(dataset: Dataset) -> None:
    facts = dict.fromkeys(("rows_total", "rows_left_out", "rows_development", "rows_used"), 1)
    build = {**dataset.manifest.build, "kind": "own", "name": "own data"} | {"license": ""}
    own = dataclasses.replace(dataset, manifest=msgspec.structs.replace(dataset.manifest, build=build))
    card = model_card("tiny", "none", own, Recipe(), facts, preference=False)
    assert "Supervised fine-tuning with a LoRA adapter of rank 16, on own data." in card
    assert "The licence of the training text is not known here." in card
    assert "attribution.jsonl" not in card


def test_tensorboard_finds_every_step(adapted: tuple[Model, Path]) -> None:
    from tensorboardX.proto.event_pb2 import Event

    (events,) = (adapted[1] / "tensorboard").iterdir()
    content, found, position = events.read_bytes(), [], 0
    while position < len(content):  # records: length (8 bytes), its check (4), the event, its check (4)
        length = int.from_bytes(content[position : position + 8], "little")
        event = Event.FromString(content[position + 12 : position + 12 + length])
        found += [(event.step, value.tag) for value in event.summary.value]
        position += 16 + length
    assert [step for step, tag in found if tag == "train/loss"] == list(range(1, 13))
    assert next(step for step, tag in found if tag == "eval/loss") == 0


def test_facts_count_rows_and_tokens(adapted: tuple[Model, Path]) -> None:
    facts = adapted[0].facts
    assert (facts["rows_total"], facts["rows_left_out"], facts["rows_development"]) == (80, 0, 4)
    assert facts["rows_used"] == 76
    assert facts["steps"] == 12
    assert 0 < float(str(facts["parameters_trained"])) < 0.3 * float(str(facts["parameters"]))


def test_a_finished_tuning_is_returned_at_once(
    adapted: tuple[Model, Path], dataset: Dataset, settings: Settings
) -> None:
    model, output = adapted
    again = TUNER.tune(settings, dataset, TuneOptions(base_model="/no/longer/there"), output)
    assert again == model


def test_the_same_input_gives_the_same_model(dataset: Dataset, settings: Settings, tmp_path: Path) -> None:
    options = TuneOptions(base_model="tiny", steps=4, batch_size=4, max_length=256)
    losses = [TUNER.tune(settings, dataset, options, tmp_path / name).facts["development_loss"] for name in "ab"]
    assert losses[0] == pytest.approx(losses[1], rel=0.02)


def test_answers_do_not_depend_on_the_prompts_beside_them(adapted: tuple[Model, Path], settings: Settings) -> None:
    predictor = TUNER.predictor(settings, adapted[0])
    prompts = [question(number)[: 1 + number % 2] for number in range(5)]  # two lengths
    together = predictor.generate(prompts, max_new_tokens=12)
    assert together == [predictor.generate([prompt], max_new_tokens=12)[0] for prompt in prompts]


def test_a_streamed_answer_is_the_whole_answer(adapted: tuple[Model, Path], settings: Settings) -> None:
    from tuning.tuners.hf.answer.predictor import HfPredictor

    predictor = HfPredictor(Path(adapted[0].uri))
    assert isinstance(predictor, StreamingPredictor)
    *pieces, answer = predictor.stream(question(3), max_new_tokens=12)
    assert "".join(map(str, pieces)).strip() == predictor.generate([question(3)], max_new_tokens=12)[0].text
    assert answer == predictor.generate([question(3)], max_new_tokens=12)[0]


def test_training_ends_early_when_held_out_rows_get_worse(
    local_model: Path, settings: Settings, tmp_path: Path
) -> None:
    dataset = write_dataset(tmp_path / "set", train=40)
    # At this rate the loss is worse after each later evaluation. At 3.0 it hardly moves, up or down by the machine.
    options = TuneOptions(base_model=str(local_model), steps=200, batch_size=4, learning_rate=10.0, max_length=256)
    facts = TUNER.tune(settings, dataset, options, tmp_path / "out").facts
    curves = json.loads((tmp_path / "out" / "curves.json").read_text())
    best = min(curves["development"][1:], key=lambda point: float(point["loss"]))
    assert (
        facts["steps"] == best["step"] + 60 < 200
    )  # an evaluation every 20 steps, three of them without a better loss
    assert facts["development_loss"] == round(best["loss"], 4)


def test_an_estimate_costs_nothing_and_knows_the_time(dataset: Dataset, settings: Settings) -> None:
    estimate = TUNER.estimate(settings, dataset, TuneOptions(base_model="smollm2", steps=10))
    assert (estimate.examples, estimate.dollars) == (10 * 4, 0.0)
    assert estimate.seconds == pytest.approx(estimate.tokens / 300 + 25, abs=0.1)
    full = TUNER.estimate(settings, dataset, TuneOptions(base_model="smollm2", steps=10, full=True))
    assert full.tokens == estimate.tokens
    assert full.seconds > estimate.seconds
    unknown = TUNER.estimate(settings, dataset, TuneOptions(base_model="some/model", epochs=2))
    assert unknown.examples == 160
    assert math.isnan(unknown.seconds)
    assert "no speed was measured for some/model" in unknown.notes[-1]


def test_a_dataset_of_another_format_is_a_problem(dataset: Dataset) -> None:
    other = Dataset(dataset.folder, msgspec.structs.replace(dataset.manifest, format="gemini"))
    (problem,) = TUNER.check(other)
    assert problem.fatal
    assert problem.what == "the tuner hf does not accept the format gemini of dataset invented"
    assert TUNER.check(dataset) == []


@pytest.mark.parametrize("rank", [0, 4])
def test_the_development_loss_is_that_of_the_saved_part_of_the_change(
    dataset: Dataset,
    local_model: Path,
    settings: Settings,
    tmp_path: Path,
    rank: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    losses = {}
    for step_size in (1.0, 0.5, 0.01):
        recipe = Recipe(steps=4, batch_size=4, max_length=256, lora_rank=rank, learning_rate=0.01, step_size=step_size)
        output = tmp_path / str(step_size)
        output.mkdir()
        run(settings, dataset, str(local_model), recipe, output)
        facts = json.loads((output / "finished.json").read_text())["facts"]
        losses[step_size] = facts["development_loss"]
        said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("saved model: ")]
        expected = f"saved model: development loss {losses[step_size]:.3f} (the base plus {step_size:g} of its change)"
        assert said == ([] if step_size == 1 else [expected])
    assert losses[1.0] < losses[0.5] < losses[0.01] < facts["development_loss_before"]


def test_a_pull_adds_the_divergence_from_the_base_to_the_training_loss_and_keeps_the_model_near_it(
    dataset: Dataset, local_model: Path, settings: Settings, tmp_path: Path
) -> None:
    batch = collate([(range(5, 60), 20), (range(9, 40), 12)], 0)
    with torch.no_grad():
        base = answer_logits(load_model(local_model, torch.float32), batch).log_softmax(-1)
    divergence, curves = {}, {}
    for pull in (0.0, 1e-9, 10.0):
        output = tmp_path / str(pull)
        output.mkdir()
        recipe = Recipe(steps=6, batch_size=4, max_length=256, lora_rank=4, learning_rate=0.01, pull=pull)
        run(settings, dataset, str(local_model), recipe, output)
        with torch.no_grad():
            tuned = answer_logits(load_model(output / "merged", torch.float32), batch).log_softmax(-1)
        divergence[pull] = float((tuned.exp() * (tuned - base)).sum(-1).mean())
        curves[pull] = [point["loss"] for point in json.loads((output / "curves.json").read_text())["train"]]
    assert curves[1e-9] == pytest.approx(curves[0.0], abs=1e-3)  # without a pull, both ways give the same loss
    assert curves[10.0][0] == pytest.approx(curves[0.0][0], abs=1e-3)  # before the first step the model is the base
    assert curves[10.0][-1] > curves[0.0][-1]
    assert 0 < divergence[10.0] < divergence[0.0] / 2
