"""Test that content stays that only looks like a greeting, thanks, an edit mark or a signature."""

from collections import Counter

import pytest

from tuning.dataset.boilerplate.find import find_boilerplate, without


@pytest.mark.parametrize(
    "html",
    [
        # Words that begin like a greeting
        "<p>Hi-res images are slow</p>",
        "<p>Hey-ho is printed</p>",
        "<p>hello.py has the code</p>",
        # Texts that a program prints
        "<p>Hello, World! is printed by this program.</p>",
        "<p>Hello, world! I am here: this is the output.</p>",
        "<p>Hi, Joe! is what the program prints.</p>",
        "<p>Hi there! is the default of the template</p>",
        "<p>Hello Joe, is the text of the label.</p>",
        # Items of lists
        "<ul><li>Thanks</li><li>Bye</li></ul><p>are the classes</p>",
        "<ul><li>Hello</li><li>Bye</li></ul><p>are the classes</p>",
        "<ul><li>Update: changes a row</li><li>Insert: adds one</li></ul>",
        "<ol>\n<li>INSERT: adds a row</li>\n<li>UPDATE: changes it</li>\n</ol>",
        "<ul><li><p>Edit: opens the editor</p></li><li><p>Thanks.</p></li></ul>",
        "<p>The labels are</p><ul><li>Edit</li><li>Cheers</li></ul>",
        # Quoted mails
        "<p>The mail is:</p><blockquote><p>Hi Bob,</p><p>see you.</p><p>Best regards,<br>Ann</p></blockquote>",
        "<blockquote><p>Hi all,</p><p>Thanks!</p></blockquote>",
        "<p>It sends</p><blockquote><p>Dear Ann, it works, thanks in advance.</p></blockquote>",
    ],
)
def test_content_stays(html: str) -> None:
    assert not find_boilerplate(html)


@pytest.mark.parametrize(
    ("html", "left"),
    [
        ("<p>Hi, is there a way to sort it?</p>", "<p>is there a way to sort it?</p>"),
        ("<p>Hi Joe, is the code right?</p>", "<p>is the code right?</p>"),
        ("<p>Hi-I have a list.</p>", "<p>I have a list.</p>"),
        ("<p>Hello.I have a list.</p>", "<p>I have a list.</p>"),
        ("<p>Hi -- how do I sort it?</p>", "<p>how do I sort it?</p>"),
        ("<ul><li>How? Thanks in advance!</li></ul>", "<ul><li>How?</li></ul>"),
        ("<ul><li>[EDIT] Sort it</li></ul>", "<ul><li>Sort it</li></ul>"),
        ("<blockquote><p>EDIT: It works.</p></blockquote>", "<blockquote><p>It works.</p></blockquote>"),
        ("<ul><li>One</li></ul><p>Thanks!</p>", "<ul><li>One</li></ul>"),
        ("<blockquote><p>One</p></blockquote><p>Thanks,<br>Ann</p>", "<blockquote><p>One</p></blockquote>"),
    ],
)
def test_boilerplate_beside_it_is_removed(html: str, left: str) -> None:
    found = find_boilerplate(html)
    assert found
    assert without(html, found, Counter()) == left
