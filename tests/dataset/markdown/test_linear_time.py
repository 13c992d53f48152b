"""Test that a body takes time linear in its length, also one in which nothing that begins has an end."""

import gc
import time

import pytest

from tuning.dataset.filters import check_pair
from tuning.dataset.markdown.convert import convert

_OPENERS = (
    "<!--", "<!-- language: ", "<!", "<![CDATA[", "<?", "<script", "<", "< ", "<1", "<<p>", "</", "<a ", '<a href="',
    '<img alt="', "<pre", "<code", "<div", "<span", "<em", "<code><!--", "<p><!--", "&", "&#1", "```", "`", "[", "![",
    "*", "_", "$", "<p>Thanks</p>",
)  # fmt: skip


@pytest.mark.parametrize("around", ["{}", "<pre><code>{}</code></pre>"])
@pytest.mark.parametrize("opener", _OPENERS)
def test_what_begins_and_never_ends_takes_linear_time(opener: str, around: str) -> None:
    # 16 times the text takes 16 times as long, or 256 times where the time is quadratic. Other work on the machine can
    # only add to one of two measurements, so one good one of three is enough.
    assert any(_growth(opener, around, 10_000, 160_000) < 40 for _ in range(3))


def _growth(opener: str, around: str, *lengths: int) -> float:
    """Return how many times as much processor time the last length in characters takes as the first one."""
    times = []
    gc.disable()
    try:
        for length in lengths:
            body = around.replace("{}", opener * (length // len(opener)))
            began = time.process_time()
            convert(body, "https://stackoverflow.com")
            check_pair(body, body)
            times.append(max(time.process_time() - began, 0.001))
    finally:
        gc.enable()
    return times[-1] / times[0]


def test_comments_before_one_without_an_end_are_ignored() -> None:
    body = "<p>a <!-- one -->b <span>c</span></p>\n<div><!-- two --><p>d</p></div>"
    assert convert(body, "https://stackoverflow.com") == convert(
        body.replace("<!-- one -->", "").replace("<!-- two -->", ""), "https://stackoverflow.com"
    )
