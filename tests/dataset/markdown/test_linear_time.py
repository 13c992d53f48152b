"""Test that a body takes time linear in its length, also one in which nothing that begins has an end."""

import time

import pytest

from tuning.dataset.filters import check_pair
from tuning.dataset.markdown.convert import convert

_OPENERS = (
    "<!--", "<!-- language: ", "<!", "<![CDATA[", "<?", "<script", "<", "</", "<a ", '<a href="', '<img alt="', "<pre",
    "<code", "<div", "<span", "<em", "<code><!--", "<p><!--", "&", "&#1", "```", "`", "[", "![", "*", "_", "$",
    "<p>Thanks</p>",
)  # fmt: skip


@pytest.mark.parametrize("around", ["{}", "<pre><code>{}</code></pre>"])
@pytest.mark.parametrize("opener", _OPENERS)
def test_what_begins_and_never_ends_takes_linear_time(opener: str, around: str) -> None:
    times = []
    for length in (10_000, 80_000):
        body = around.replace("{}", opener * (length // len(opener)))
        began = time.process_time()
        convert(body, "https://stackoverflow.com")
        check_pair(body, body)
        times.append(time.process_time() - began)
    assert times[1] < 20 * times[0] + 0.1  # 8 times as much for 8 times the text; 64 times would be quadratic


def test_comments_before_one_without_an_end_are_ignored() -> None:
    body = "<p>a <!-- one -->b <span>c</span></p>\n<div><!-- two --><p>d</p></div>"
    assert convert(body, "https://stackoverflow.com") == convert(
        body.replace("<!-- one -->", "").replace("<!-- two -->", ""), "https://stackoverflow.com"
    )
