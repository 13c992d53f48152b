"""Test work in threads: results are in order, few inputs are taken ahead, and errors are raised."""

import threading
from collections.abc import Iterator

import pytest

from tuning.dataset.workspace.parallel import Workers


@pytest.mark.parametrize("count", [1, 2, 5])
def test_threads_give_results_in_order_and_take_few_inputs_ahead(count: int) -> None:
    taken = []

    def inputs() -> Iterator[int]:
        for number in range(50):
            taken.append(number)
            yield number

    names = set()

    def square(number: int) -> int:
        names.add(threading.current_thread().name)
        return number**2

    for number, result in enumerate(Workers(count).map_in_threads(square, inputs())):
        assert result == number**2
        assert len(taken) <= number + 1 + count
    assert len(taken) == 50
    assert (threading.current_thread().name in names) == (count == 1)


@pytest.mark.parametrize("count", [1, 2])
def test_what_fails_in_a_thread_fails_where_its_result_is_wanted(count: int) -> None:
    results = Workers(count).map_in_threads(lambda number: 6 // (3 - number), range(9))
    assert [next(results) for _ in range(3)] == [2, 3, 6]
    with pytest.raises(ZeroDivisionError):
        next(results)
