"""Test that the quick search at the start holds back no post with boilerplate, wherever code stands in it."""

import pytest

from tuning.dataset.boilerplate.find import find_boilerplate

CODE = "<pre><code>x &lt; 1</code></pre>\n"
GREETINGS = [
    "Hi all,", "HELLO!", "Hey guys,", "hiya there,", "Howdy,", "Greetings everyone.", "Hola,", "Dear community,",
    "Good morning,", "Welcome to Stack Overflow!", "\u3000<em>Hi</em> all,", "Hİ,",
]  # fmt: skip
GOODBYES = [
    "Best regards, Bob", "BR, Bob", "kr,<br>\nBob", "TIA", "ty!", "Tnx", "HTH", "Hopefully this helps.", "Good luck!",
    "Happy coding!", "Regards", "Sincerely yours", "Yours faithfully", "- Bob", "~Ann.",
]  # fmt: skip
ANYWHERE = [
    "Thanks!", "Thx.", "Cheers!", "I appreciate any help.", "I am grateful for any help.", "Hope this helps.",
    "EDIT: it works", "Update: it works", "UPD: it works", '<img src="a.png" alt="enter image description here">',
    '<a href="https://i.imgur.com/x">enter image description here</a>',
    '<strong>Possible Duplicate:</strong><br><a href="/q/1">Why?</a>',
]  # fmt: skip


@pytest.mark.parametrize("text", [*GREETINGS, *ANYWHERE])
def test_boilerplate_at_the_start_is_found_before_and_after_code(text: str) -> None:
    assert find_boilerplate(f"<p>{text}</p>\n\n<p>Why?</p>")
    assert find_boilerplate(f"{CODE}\n<p>{text}</p>\n\n<p>Why?</p>")


@pytest.mark.parametrize("text", [*GOODBYES, *ANYWHERE])
def test_boilerplate_at_the_end_is_found_after_code(text: str) -> None:
    assert find_boilerplate(f"<p>Why?</p>\n\n<p>{text}</p>\n")
    assert find_boilerplate(f"<p>Why?</p>\n\n{CODE}\n<p>{text}</p>")


def test_a_post_without_boilerplate_has_none() -> None:
    assert find_boilerplate(f"<p>I edit a hidden file. The best way?</p>\n\n{CODE}") == []
