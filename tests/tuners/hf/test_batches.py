from tuning.tuners.hf.train.batches import micro_batch, plan_batches


def test_a_batch_holds_rows_of_like_length() -> None:
    lengths = [10, 200] * 32
    plan = plan_batches(lengths, batch_size=8, steps=8, seed=1)
    batches = [{lengths[row] for row in plan[first : first + 8]} for first in range(0, 64, 8)]
    assert sorted(map(sorted, batches)) == [[10]] * 4 + [[200]] * 4


def test_every_row_comes_once_before_any_comes_again() -> None:
    plan = plan_batches([5] * 16, batch_size=4, steps=8, seed=1)
    assert sorted(plan) == sorted([*range(16), *range(16)])


def test_a_short_run_takes_long_rows_as_often_as_short_ones() -> None:
    lengths = list(range(1000))
    plan = plan_batches(lengths, batch_size=10, steps=20, seed=3)
    assert len(set(plan)) == 200
    assert abs(sum(plan) / 200 - 499.5) < 60  # three standard errors of a mean of 200


def test_the_seed_decides_the_order() -> None:
    assert plan_batches([5] * 50, 5, 4, seed=1) == plan_batches([5] * 50, 5, 4, seed=1)
    assert plan_batches([5] * 50, 5, 4, seed=1) != plan_batches([5] * 50, 5, 4, seed=2)


def test_a_pass_holds_as_many_rows_as_its_tokens_allow() -> None:
    assert micro_batch(batch_size=8, max_length=256, tokens=2048) == 8
    assert micro_batch(batch_size=8, max_length=512, tokens=2048) == 4
    assert micro_batch(batch_size=6, max_length=512, tokens=2048) == 3
    assert micro_batch(batch_size=8, max_length=5000, tokens=2048) == 1
