"""The hub's own client sends datasets and models to a stand-in of the hub."""

import json
import logging
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.registry.candidates import register
from tests.sharing.conftest import HUB_NAME, REVISION, tuned
from tests.sharing.hub_stand_in import READER, USER, WRITER, Hub
from tests.sharing.test_export_model import PROMPTS, assert_complete, greedy
from tests.test_command_line import invoke
from tuning.dataset.dataset import Dataset
from tuning.errors import TuningError
from tuning.registry import registry
from tuning.registry.predict import load
from tuning.settings import Settings
from tuning.sharing.push import push
from tuning.tuners.hf.environment import set_up_libraries

REPOSITORY = f"{USER}/python-qa"
TO = f"hf://{REPOSITORY}"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """The stand-in, to which this process's client and those of its children speak."""
    from huggingface_hub import constants
    from huggingface_hub.utils import close_session

    with Hub() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)  # the stand-in has no Xet storage
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", "/nowhere/token")
        for name, value in (("HF_ENDPOINT", server.url), ("HF_HUB_DISABLE_XET", "1"), ("HF_TOKEN", WRITER)):
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        yield server
        close_session()
        server.shutdown()


def sent(settings: Settings, name: str, to: str = TO, *, public: bool = False, form: str = "merged") -> list[str]:
    lines: list[str] = []
    lines.append(push(settings, name, to, public=public, form=form, say=lines.append))  # type: ignore[arg-type]
    return lines


def test_a_dataset_goes_to_a_new_private_repository(home: Settings, dataset: Dataset, hub: Hub) -> None:
    result = invoke("push", "d1", "--to", TO, TUNING_HOME=str(home.home))
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    files = hub.files("dataset", REPOSITORY)
    expected = {path.name: path.read_bytes() for path in dataset.folder.iterdir()}
    assert files == expected | {".gitattributes": b""}
    assert "attribution.jsonl" in files
    assert yaml.safe_load(files["README.md"].split(b"---\n")[1])["license"] == "cc0-1.0"
    assert hub.repositories["dataset", REPOSITORY]["private"] is True
    first, second, *each, last = result.stdout.splitlines()
    assert first == f"sending d1 to a new private dataset repository {REPOSITORY} on {hub.url}"
    assert "8 rows in eval.jsonl, 40 rows in train.jsonl, licence cc0-1.0:" in second
    assert f"  train.jsonl {(dataset.folder / 'train.jsonl').stat().st_size:,} bytes" in each
    assert last == f"sent: {hub.url}/{REPOSITORY}"
    assert WRITER not in result.stdout


def test_a_model_goes_with_weights_card_licence_and_attribution_and_again(
    home: Settings, version: str, hub: Hub
) -> None:
    lines = sent(home, version, form="adapter", public=True)
    files = hub.files("model", REPOSITORY)
    adapter = Path(registry.open_version(home, registry.find_version(home, version)).uri).with_name("adapter")
    assert files["adapter_model.safetensors"] == (adapter / "adapter_model.safetensors").read_bytes()
    assert json.loads(files["adapter_config.json"])["base_model_name_or_path"] == HUB_NAME
    assert {"README.md", "NOTICE.md", "training_data/attribution.jsonl", "training_data/NOTICE.md"} <= files.keys()
    assert hub.repositories["model", REPOSITORY]["private"] is False
    assert lines[0] == f"sending {version} to a new public model repository {REPOSITORY} on {hub.url}"
    assert sent(home, version, form="adapter", public=True)[0].startswith(f"sending {version} to the public model")
    with pytest.raises(TuningError, match=r"is public. Add --public"):
        sent(home, version, form="adapter")
    with pytest.raises(TuningError, match=r"has files that would stay beside the new ones: adapter_config.json"):
        sent(home, version, form="merged", public=True)
    assert not list(home.cache_dir.glob(".push-*"))


@pytest.mark.parametrize("form", ["adapter", "merged"])
def test_what_arrives_of_a_version_that_kept_only_its_adapter_loads_and_answers_as_predict_does(
    home: Settings, snapshot: Path, hub: Hub, tmp_path: Path, form: str
) -> None:
    from peft import AutoPeftModelForCausalLM
    from transformers import AutoModelForCausalLM, AutoTokenizer

    work = tmp_path / "kept"
    kept = register(home, tuned(HUB_NAME, snapshot, work, keeps_adapter=True), work)
    sent(home, kept, form=form)
    arrived = tmp_path / "arrived"
    for name, content in hub.files("model", REPOSITORY).items():
        (arrived / name).parent.mkdir(parents=True, exist_ok=True)
        (arrived / name).write_bytes(content)
    assert_complete(arrived, (home.home, snapshot.parents[2], tmp_path))
    set_up_libraries()  # without the hub: the base is in the cache
    tokenizer = AutoTokenizer.from_pretrained(str(arrived))
    if form == "adapter":
        settings = json.loads((arrived / "adapter_config.json").read_bytes())
        assert (settings["base_model_name_or_path"], settings["revision"]) == (HUB_NAME, REVISION)
        assert "base.json" not in {path.name for path in arrived.iterdir()}
        loaded = AutoPeftModelForCausalLM.from_pretrained(str(arrived))
    else:
        loaded = AutoModelForCausalLM.from_pretrained(str(arrived))
    expected = [answer.text for answer in load(home, kept).predictor.generate(PROMPTS, 12)]
    assert [tokenizer.decode(ids, skip_special_tokens=True).strip() for ids in greedy(loaded, tokenizer)] == [
        text.strip() for text in expected
    ]
    assert any(expected)


def test_without_a_token_nothing_is_sent(
    home: Settings, dataset: Dataset, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(TuningError, match=r"no token for the Hugging Face hub. Run `hf auth login`, or set HF_TOKEN"):
        sent(home, "d1")
    for token, said in (
        ("hf_wrong", r"HTTP 401: .*hf auth login"),
        (READER, rf"HTTP 403: .*Use a token that may write to {REPOSITORY}"),
    ):
        monkeypatch.setenv("HF_TOKEN", token)
        with pytest.raises(TuningError, match=said) as refused:
            sent(home, "d1")
        assert token not in str(refused.value)
    assert hub.repositories == {}


def test_names_that_the_hub_refuses_are_one_line(home: Settings, dataset: Dataset, hub: Hub) -> None:
    for to, said in (
        ("hf://me/a--b", "is no name on the hub"),
        ("hf://me/-a", "is no name on the hub"),
        ("hf://me/a.git", "is no name on the hub"),
        ("hf://other/abc", r"the hub refused other/abc \(HTTP 403: .*namespace"),
    ):
        with pytest.raises(TuningError, match=said):
            sent(home, "d1", to)
    assert hub.repositories == {}
    for arguments in (["d1"], ["d1", "--to", "me/a"]):
        result = invoke("push", *arguments, TUNING_HOME=str(home.home))
        assert result.returncode == 1
        assert len(result.stderr.strip().splitlines()) == 1


def test_a_card_without_a_licence_or_with_an_unknown_one_is_refused(home: Settings, dataset: Dataset, hub: Hub) -> None:
    card = dataset.folder / "README.md"
    before = card.read_text()
    try:
        card.write_text("# No metadata\n")
        with pytest.raises(TuningError, match="the card of d1 names no licence"):
            sent(home, "d1")
        assert hub.repositories == {}
        card.write_text("---\nlicense: mine\n---\n")
        with pytest.raises(TuningError, match=r'Invalid metadata in README.md.*"license" must be one of'):
            sent(home, "d1")
        assert hub.commits == 0
    finally:
        card.write_text(before)


def test_a_model_whose_authors_cannot_be_named_is_not_sent(
    home: Settings, dataset: Dataset, version: str, hub: Hub, tmp_path: Path
) -> None:
    dataset.folder.rename(tmp_path / "moved")
    try:
        with pytest.raises(TuningError, match="the authors of the training data cannot be named"):
            sent(home, version)
    finally:
        (tmp_path / "moved").rename(dataset.folder)
    assert hub.repositories == {}


def test_a_hub_that_ends_or_would_get_the_token_unencrypted_is_one_line(
    home: Settings, dataset: Dataset, hub: Hub, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:1")
    caplog.set_level(logging.WARNING, "huggingface_hub")
    with pytest.raises(TuningError, match=r"was not sent to http://127\.0\.0\.1:1") as failed:
        sent(home, "d1")
    assert "\n" not in str(failed.value)
    assert logging.getLogger("huggingface_hub.utils._http").getEffectiveLevel() == logging.ERROR, "no warning before it"
    monkeypatch.setattr(constants, "ENDPOINT", "http://hub.example.com")
    with pytest.raises(
        TuningError, match=re.escape("http://hub.example.com would receive the token without encryption")
    ):
        sent(home, "d1")
