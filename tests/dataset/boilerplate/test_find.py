"""Test which greetings, thanks, marks, banners and images are removed from a post, and what is never touched."""

import re
import time
from collections import Counter

import pytest

from tuning.dataset.boilerplate.find import find_boilerplate, without
from tuning.dataset.markdown.convert import Converted, convert, to_markdown

SITE = "https://stackoverflow.com"
IMAGE = (
    '<a href="https://i.stack.imgur.com/x.png">'
    '<img src="https://i.stack.imgur.com/x.png" alt="enter image description here"></a>'
)
BANNER = (
    "<blockquote>\n  <p><strong>Possible Duplicate:</strong><br>\n  "
    '<a href="https://stackoverflow.com/q/1">How to sort &amp; why?</a>  </p>\n</blockquote>\n\n'
)
CLOSED = (
    '<div class="question-status question-originals-of-duplicate">\n<p>This question already has an answer here:</p>\n'
    '<ul>\n<li>\n<a href="/q/1">Sort it</a>\n<span class="question-originals-answer-count">'
    "\n 8 answers\n</span>\n</li>\n"
    "</ul>\n</div>\n"
)


def cleaned(html: str) -> tuple[str, dict[str, int]]:
    changes: Counter[str] = Counter()
    left = without(html, find_boilerplate(html), changes)
    return left, {kind.removeprefix("removed "): count for kind, count in changes.items()}


@pytest.mark.parametrize(
    ("html", "left", "kinds"),
    [
        # Banners
        (BANNER + "<p>How?</p>", "\n\n<p>How?</p>", {"duplicate banner": 1}),
        (CLOSED + "<p>How?</p>", "\n<p>How?</p>", {"duplicate banner": 1}),
        (
            "<p><strong>Possible Duplicate:</strong> <a href='/q/1'>Sort</a></p><p>How?</p>",
            "<p>How?</p>",
            {"duplicate banner": 1},
        ),
        # Greetings
        ("<p>Hi all,</p>\n<p>How?</p>", "<p>How?</p>", {"greeting": 1}),
        ("<p>Hello everyone! I sort a list.</p>", "<p>I sort a list.</p>", {"greeting": 1}),
        ("<p>Hi, I sort.</p>", "<p>I sort.</p>", {"greeting": 1}),
        ("<p>Hi I sort.</p>", "<p>I sort.</p>", {"greeting": 1}),
        ("<p>Hey Bob, use a set.</p>", "<p>use a set.</p>", {"greeting": 1}),
        ("<p><strong>Good morning guys,</strong><br><br>How?</p>", "<p>How?</p>", {"greeting": 1}),
        (BANNER + "<p>Dear all,</p><p>How?</p>", "\n\n<p>How?</p>", {"duplicate banner": 1, "greeting": 1}),
        # Thanks and good wishes
        ("<p>How?</p>\n<p>Thanks in advance!</p>\n", "<p>How?</p>\n", {"thank-you": 1}),
        ("<p>How? Any help would be greatly appreciated. Thank you so much :)</p>", "<p>How?</p>", {"thank-you": 2}),
        ("<p>How?\nThanks</p>", "<p>How?</p>", {"thank-you": 1}),
        ("<p>How?<br>\n<em>Many thanks</em></p>", "<p>How?</p>", {"thank-you": 1}),
        ("<p>I am stuck, thanks in advance.</p>", "<p>I am stuck.</p>", {"thank-you": 1}),
        ("<p>(Tell me if it fails. Thanks!)</p>", "<p>(Tell me if it fails.)</p>", {"thank-you": 1}),
        ("<p>Use a set. Hope this helps you out!</p>", "<p>Use a set.</p>", {"good wish": 1}),
        (
            "<p>Use a set.</p><p>I hope that answers your question. Good luck!</p>",
            "<p>Use a set.</p>",
            {"good wish": 2},
        ),
        ("<p>Thanks in advance, here is my code:</p>", "<p>here is my code:</p>", {"thank-you": 1}),
        ("<p>Is a regex faster thanks in advance :)</p>", "<p>Is a regex faster :)</p>", {"thank-you": 1}),
        ("<p>Is it so??Thanks in advance</p>", "<p>Is it so??</p>", {"thank-you": 1}),
        ("<p>Use a set, hope this helps.</p>", "<p>Use a set.</p>", {"good wish": 1}),
        # Signatures
        ("<p>How?</p>\n<p>Best regards,<br>\nAnn Lee</p>", "<p>How?</p>\n", {"signature": 1}),
        ("<p>How?</p><p>Thanks, Bob</p>", "<p>How?</p>", {"signature": 1}),
        ("<p>How?</p><p>Cheers</p>", "<p>How?</p>", {"signature": 1}),
        ("<p>How?</p><p>-Dan</p>", "<p>How?</p>", {"signature": 1}),
        ("<p>How?</p><p>Hope this helps,</p><p>Ann</p>", "<p>How?</p>", {"good wish": 1, "signature": 1}),
        ("<p>Use a set.<br>\n- Bob</p>", "<p>Use a set.</p>", {"signature": 1}),
        ("<p>" + "Use a set. " * 20 + "<br>~Ann</p>", "<p>" + ("Use a set. " * 20)[:-1] + "</p>", {"signature": 1}),
        (
            "<p>" + "Use it. " * 30 + "<br>Best regards,<br>Ann</p>",
            "<p>" + ("Use it. " * 30)[:-1] + "</p>",
            {"signature": 1},
        ),
        # Pleas and excuses at the end
        ("<p>How?</p>\n<p>Please help!</p>\n", "<p>How?</p>\n", {"plea": 1}),
        ("<p>How? Any help appreciated.</p>", "<p>How?</p>", {"thank-you": 1}),
        ("<p>It fails.</p>\n<p>Any ideas?</p>\n<p>Thanks</p>", "<p>It fails.</p>\n", {"plea": 1, "thank-you": 1}),
        ("<p>It fails. Any ideas? Thanks in advance.</p>", "<p>It fails.</p>", {"plea": 1, "thank-you": 1}),
        ("<p>It fails. Can you help me, thank you</p>", "<p>It fails.</p>", {"thank-you": 1}),
        ("<p>How?</p><p>P.S. sorry for my English</p>", "<p>How?</p>", {"plea": 1}),
        ("<p>How?<br>\nPS: Sorry for my bad English.</p>", "<p>How?</p>", {"plea": 1}),
        ("<p>How?</p><p><em>Can anyone please help me fix this?</em></p>", "<p>How?</p>", {"plea": 1}),
        ("<p>How?</p><p>Please help me.</p><p>I am stuck, any idea?</p>", "<p>How?</p>", {"plea": 2}),
        # Edit marks
        ("<p>EDIT: It fails.</p>", "<p>It fails.</p>", {"edit mark": 1}),
        ("<p><strong>Update:</strong> It fails.</p>", "<p>It fails.</p>", {"edit mark": 1}),
        ("<p><strong>EDIT 2</strong></p>\n<p>It fails.</p>", "<p>It fails.</p>", {"edit mark": 1}),
        ("<p><em>Edit: it fails</em></p>", "<p><em>it fails</em></p>", {"edit mark": 1}),
        ("<h2>UPDATE</h2><p>It fails.</p>", "<p>It fails.</p>", {"edit mark": 1}),
        ("<p>It works.<br>[EDIT] It fails.</p>", "<p>It works.<br>It fails.</p>", {"edit mark": 1}),
        ("<p>It works. Edit: it fails. (EDIT: why?)</p>", "<p>It works. it fails. (why?)</p>", {"edit mark": 2}),
        ("<p>Update (2019-03-01): It fails.</p>", "<p>It fails.</p>", {"edit mark": 1}),
        ("<p>Edit: Thanks everyone!</p><p>x</p>", "<p>x</p>", {"edit mark": 1, "thank-you": 1}),
        ("<p>//edit2:</p><p>**EDITED**</p><p>x</p>", "<p>x</p>", {"edit mark": 2}),
        # Images
        (f"<p>It prints:</p>\n<p>{IMAGE}</p>\n", "<p>It prints:</p>\n", {"image": 1}),
        (f"<p>It prints:\n{IMAGE}</p>", "<p>It prints:</p>", {"image": 1}),
        ("<p><img src='https://x.y/1.png' alt='screenshot 1'></p><p>x</p>", "<p>x</p>", {"image": 1}),
        (
            "<p><a href='https://i.stack.imgur.com/x.png'>enter image description here</a></p><p>x</p>",
            "<p>x</p>",
            {"image": 1},
        ),
        (
            f"<p>It prints. See image below:</p>\n<p>{IMAGE}</p>",
            "<p>It prints.</p>\n",
            {"image": 1, "image pointer": 1},
        ),
        (
            f"<p>It prints this. (see the image)<br>{IMAGE}</p>",
            "<p>It prints this.</p>",
            {"image": 1, "image pointer": 1},
        ),
        (f"<p>x</p><p>Screenshot:</p>\n<p>{IMAGE}</p><p>y</p>", "<p>x</p><p>y</p>", {"image": 1, "image pointer": 1}),
        (f"<p>Thanks{IMAGE}</p><p>x</p>", "<p>x</p>", {"image": 1, "thank-you": 1}),
        (
            "<p>Click the <img src='https://x.y/1.png' alt='enter image description here'> button.</p>",
            "<p>Click the <img src='https://x.y/1.png' alt=''> button.</p>",
            {"image description": 1},
        ),
    ],
)
def test_what_says_nothing_is_removed_and_counted(html: str, left: str, kinds: dict[str, int]) -> None:
    assert cleaned(html) == (left, kinds)


@pytest.mark.parametrize(
    "html",
    [
        "<p>This is fast thanks to the GIL. Thanks to this it is possible. Thankfully there is a way to do this.</p>",
        "<p>Thanks for the <code>set</code> hint, it is 3 times as fast.</p>",
        "<p>I hope this is not what you want. I hope the list is sorted.</p>",
        "<p>I appreciate that there are other ways. Any help on decorators?</p>",
        "<p>Hopefully this will be clear in future versions.</p>",
        "<p>I give my\nthanks\nto the interpreter.</p>",
        "<p>Hello World, is printed.</p>",
        "<p>Please help</p>",
        "<p>How?</p><p>Any ideas how to do this in Python 3?</p>",
        "<p>Please help me. It prints 3.</p>",
        "<p>How?</p><p>Please help.</p><pre><code>x</code></pre>",
        "<p>It says</p><blockquote><p>Please help me.</p></blockquote>",
        "<p>It says</p><ul><li>Please help me.</li></ul>",
        "<p>It <b>fails. Please help</b></p>",
        "<p>It calls</p><p><code>help</code> please help me</p>",
        "<p>Use the help function, it suggests names. Use argparse, which prints help.</p>",
        "<p>How do I sort it.Please help me</p>",
        "<p>See the picture below: <img src='https://x.y/1.png' alt='a tree with three leaves'></p>",
        "<p>a<br>- Bob<br>- Ann</p>",
        "<p>Hello program, how does it work?</p>",
        "<p>Edit the file. Update pip first. Edit -&gt; Preferences. Edit (Python 3): use <code>print()</code>.</p>",
        "<p>UPDATE t SET x = 1</p>",
        "<p>Edited command:</p>",
        "<p>Run it.</p><p>Best practices</p>",
        "<blockquote><p>Simple is better.</p></blockquote><p>-Tim</p>",
        "<blockquote><p>Possible duplicates are removed by <a href='/q/1'>set</a>.</p></blockquote>",
        "<p>Possible duplicate of <a href='/q/1'>Sort</a></p>",
        "<p><img src='https://x.y/1.png' alt='a tree with three leaves'></p>",
        "<pre><code>Hi all,\nEDIT: x\nThanks in advance!\n</code></pre>",
        "<p><code>Thanks in advance</code> and <code>EDIT:</code></p>",
        "<table><tr><td>Thanks</td></tr></table>",
        "<p>It prints <a href='/q/1'>Thanks in advance</a>.</p>",
    ],
)
def test_content_is_never_touched(html: str) -> None:
    assert cleaned(html) == (html, {})


def test_the_conversion_removes_boilerplate_and_its_check_knows_it() -> None:
    html = f"<p>Hi all,</p>\n\n<p>How do I <em>sort</em>?</p>\n\n<p>{IMAGE}</p>\n\n<p>Thanks!</p>\n"
    converted = convert(html, SITE)
    assert isinstance(converted, Converted)
    assert converted.markdown == "How do I *sort*?"
    assert converted.changes == {"removed greeting": 1, "removed image": 1, "removed thank-you": 1}
    assert "Thanks!" in str(to_markdown(html, SITE))


def test_places_are_whole_elements_in_order() -> None:
    html = (
        BANNER
        + "<p>Hi all,<br>see <strong>x</strong>. <em>Thanks<br>Bob</em></p>" * 3
        + f"<p>EDIT: <b>y {IMAGE}</b></p>"
    )
    found = find_boilerplate(html)
    assert found
    end = 0
    for one in found:
        assert one.start >= end
        end = one.end
        piece = html[one.start : one.end]
        for tag in ("p", "em", "strong", "b", "a", "blockquote"):
            assert len(re.findall(rf"<{tag}\b", piece)) == piece.count(f"</{tag}>"), piece


@pytest.mark.parametrize(
    "piece",
    [
        "<p>Thanks. ",
        "<p>EDIT: ",
        "Thanks in advance! ",
        "<img alt=''",
        "<a href='x'>",
        "<blockquote>",
        "Hi all, ",
        "<br>EDIT",
        "(((",
        "edit " * 3,
        "<code>",
        "<pre>",
        "<s>",
        "<br><br>",
        "$a_1",
        "\\(a_1",
        "<sup>",
        "$$",
        "<em>$a</em>",
        "<p>Please help. ",
        "Any ideas?<br>",
        "sorry ",
        "<p>See image:</p><img alt=''>",
    ],
)
def test_a_hostile_post_takes_no_longer_than_its_length_allows(piece: str) -> None:
    """A quadratic search took more than a minute for 100 KB, and so more than ten seconds for 40 KB."""
    start = time.process_time()
    convert(piece * (40_000 // len(piece)), SITE)
    assert time.process_time() - start < 4
