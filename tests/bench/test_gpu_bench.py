"""The benchmark of GPUs, on a processor and small: that it trains what it says and counts right."""

import pytest

from tests.bench.gpu_bench import LARGER, QWEN, Rate, Shape, _measure, gpu_bench, measure, operations_per_token
from tuning.tuners.hf.device import Processor, find_processor

SMALL = Shape(
    "small",
    {
        "vocab_size": 50,
        "hidden_size": 8,
        "intermediate_size": 12,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 6,
        "tie_word_embeddings": True,
    },
    length=16,
    batch=4,
    steps=2,
)
# Weights of a layer: queries 8x24, keys and values 8x12 each, output 24x8, three of 8x12; the output layer 50x8.
SMALL_MATRICES = 3 * (192 + 2 * 96 + 192 + 3 * 96) + 400
# Each of 4 heads multiplies 6 numbers with those of 8 tokens (half of 16), for queries with keys and for the values.
SMALL_ATTENTION = 3 * 4 * 2 * (2 * 6 * 8)


def test_each_way_trains_every_token_and_is_a_row_of_the_table() -> None:
    measured = measure(SMALL, find_processor()._replace(device="cpu", name="NVIDIA H100 80GB HBM3"))
    assert [one.name for one in measured] == [
        "hf tuner, adapter", "TRL, adapter", "hf tuner, all weights", "TRL, all weights",
    ]  # fmt: skip
    for one, full in zip(measured, (False, False, True, True), strict=True):
        assert one.rate.tokens == 2 * 4 * 16
        assert one.share == pytest.approx(one.rate.per_second * operations_per_token(SMALL, full) / 989e12)
        assert 2**27 < one.memory < 2**36  # torch alone takes more than 128 MiB
        assert one.line().startswith(one.name)
        assert one.line().endswith(f" GiB {one.share:>8.1%} of peak")


def test_a_processor_that_is_not_in_the_table_has_no_share() -> None:
    unknown = find_processor()._replace(device="cpu", name="Z80")
    one = _measure("none", lambda *_: Rate(128, 10.0), SMALL, False, unknown)  # the training is that of the test above
    assert one.share is None
    assert one.line().endswith("unknown of peak")


def test_operations_are_those_counted_by_hand() -> None:
    assert SMALL_MATRICES == 2992
    assert operations_per_token(SMALL, full=False) == 4 * SMALL_MATRICES + 3 * SMALL_ATTENTION
    assert operations_per_token(SMALL, full=True) == 6 * SMALL_MATRICES + 3 * SMALL_ATTENTION


def test_the_shapes_are_those_of_models_of_600_million_and_1500_million_weights() -> None:
    assert operations_per_token(QWEN, full=True) == pytest.approx(6 * 596e6 + 6 * 28 * 16 * 128 * 1024, rel=1e-3)
    assert operations_per_token(LARGER, full=False) == pytest.approx(4 * 1543e6 + 6 * 28 * 12 * 128 * 1024, rel=1e-3)


def test_without_a_gpu_it_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("tests.bench.gpu_bench.find_processor", lambda: Processor("cpu", "fp32", "a processor"))
    gpu_bench()
    assert capsys.readouterr().out == "no GPU here: `bench --gpu` needs one\n"
