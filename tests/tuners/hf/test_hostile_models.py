"""Folders of base models that want to run code, to read files elsewhere, or to never come to an end."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tuning.dataset.dataset import Dataset
from tuning.errors import TuningError
from tuning.settings import Settings
from tuning.tuners.hf import limited
from tuning.tuners.hf.models.base_models import find_base_model, load_model, load_tokenizer
from tuning.tuners.hf.train.recipe import make_recipe
from tuning.tuners.protocol import TuneOptions

AUTO_MAP = {"AutoModelForCausalLM": "modeling_evil.Evil", "AutoConfig": "configuration_evil.Evil"}


def add(name: str, **entries: Any) -> Callable[[Path], None]:
    """Set entries of a JSON file of the model."""

    def change(folder: Path) -> None:
        path = folder / name
        known = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps(known | entries))

    return change


def write(name: str, text: str = "raise SystemExit('this ran')", encoding: str = "utf-8") -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding=encoding)

    return change


@pytest.fixture
def changed(local_model: Path, tmp_path: Path) -> Callable[[Callable[[Path], None]], Path]:
    """A copy of a good model, changed by a function."""

    def make(change: Callable[[Path], None]) -> Path:
        folder = tmp_path / "model"
        shutil.copytree(local_model, folder)
        change(folder)
        return folder

    return make


@pytest.mark.parametrize(
    "content", [b"", b'{"r": "\xe4"}', b'{"a":' * 100_000, b"[4]", b'{"r": 10e30}', b'{"r": "4"}', b"{}"]
)
def test_damaged_settings_of_an_adapter_are_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "adapter_config.json").write_bytes(content)
    with pytest.raises(
        TuningError, match=r"adapter_config\.json is damaged .* Restore the model from a backup, or tune"
    ):
        make_recipe(TuneOptions(base_model="tiny", adapter=str(tmp_path)), preference=False)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (add("config.json", auto_map=AUTO_MAP), "names Python code to run (auto_map in config.json)"),
        (add("config.json", text_config={"auto_map": AUTO_MAP}), "names Python code to run (auto_map in config.json)"),
        (
            add("tokenizer_config.json", auto_map={"AutoTokenizer": ["tokenization_evil.Evil", None]}),
            "names Python code to run (auto_map in tokenizer_config.json)",
        ),
        (write("modeling_evil.py"), "contains Python code (modeling_evil.py)"),
        (write("custom_generate/generate.py"), "contains Python code (custom_generate/generate.py)"),
        (add("adapter_config.json", base_model_name_or_path="/elsewhere"), "contains adapter_config.json"),
        (add("tokenizer_config.json", tokenizer_file="/etc/passwd"), "a file outside of it (tokenizer_file"),
        (add("tokenizer_config.json", vocab_file="../../secret.json"), "a file outside of it (vocab_file"),
        (
            add("tokenizer_config.json", fast_tokenizer_files=["C:\\x.json"]),
            "a file outside of it (fast_tokenizer_files",
        ),
        (add("model.safetensors.index.json", weight_map={"a": "../x.safetensors"}), "not a *.safetensors file in it"),
        (add("model.safetensors.index.json", weight_map={"a": "pytorch_model.bin"}), "not a *.safetensors file in it"),
        (write("config.json", "[" * 100_000), "config.json is damaged"),
        (write("generation_config.json", '{"a": "\x80"}', "latin-1"), "generation_config.json is damaged"),
        (
            write("config.json", "\ud83d{".encode("utf-16", "surrogatepass").decode("latin-1")),
            "config.json is damaged",
        ),
    ],
)
def test_a_model_that_is_not_only_data_is_refused_in_one_line(
    change: Callable[[Path], None],
    why: str,
    changed: Callable[[Callable[[Path], None]], Path],
    dataset: Dataset,
    settings: Settings,
) -> None:
    with pytest.raises(TuningError) as caught:
        find_base_model(settings, str(changed(change)), dataset)
    assert why in str(caught.value)
    assert "trust_remote_code" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_weights_in_a_pickle_are_refused(
    changed: Callable[[Callable[[Path], None]], Path], dataset: Dataset, settings: Settings
) -> None:
    folder = changed(lambda folder: (folder / "model.safetensors").rename(folder / "pytorch_model.bin") and None)
    with pytest.raises(TuningError, match=r"does not contain weights as \*\.safetensors"):
        find_base_model(settings, str(folder), dataset)


def test_a_model_of_an_unknown_type_with_code_is_one_line_also_where_the_folder_was_not_checked(
    changed: Callable[[Callable[[Path], None]], Path],
) -> None:
    """As for a model of the hub. transformers would ask the person whether to run the code."""
    folder = changed(add("config.json", model_type="evil", auto_map=AUTO_MAP))
    with pytest.raises(TuningError, match="that transformers can load") as caught:
        load_model(folder, "auto")
    assert "trust_remote_code" not in str(caught.value)


def test_the_path_of_its_author_in_an_unused_entry_is_no_reason_to_refuse_a_model(
    changed: Callable[[Callable[[Path], None]], Path], dataset: Dataset, settings: Settings
) -> None:
    folder = changed(add("tokenizer_config.json", special_tokens_map_file="/home/me/special_tokens_map.json"))
    assert find_base_model(settings, str(folder), dataset) == folder
    assert load_tokenizer(folder)


@pytest.mark.parametrize(
    "template",
    [
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "{% set n = namespace(x='a' * 1000) %}{% for _ in range(60) %}{% set n.x = n.x + n.x %}{% endfor %}{{ n.x }}",
        "{{ 'a' * 10**12 }}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ cycler.__init__.__globals__.os.system('id') }}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{% include '/etc/passwd' %}",
        "{% for message in messages",
    ],
)
def test_a_hostile_chat_template_ends_in_one_line(
    template: str, changed: Callable[[Callable[[Path], None]], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limited, "SECONDS", 1.0)
    folder = changed(write("chat_template.jinja", template))
    with pytest.raises(TuningError, match=r"the chat template of the base model .* cannot be used: ") as caught:
        load_tokenizer(folder)
    assert "\n" not in str(caught.value)
