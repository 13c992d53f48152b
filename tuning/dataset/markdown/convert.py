"""Convert Stack Exchange HTML to Markdown that renders to the same content, or give a reason for dropping the body.

There are two converters. The result of each is rendered and compared with the source. The library html-to-markdown is
fast. Its escaping is off, because a model would learn to write escapes such as `snake\\_case`. Even so, it converts 98
of 100 bodies correctly. If its result differs from the source, the slower writer of this package converts the body. If
both results differ, the body is dropped.
"""

import re
from collections import Counter
from collections.abc import Sequence
from functools import cache, lru_cache
from html import escape, unescape
from typing import Any

import msgspec
from html_to_markdown import _html_to_markdown as native

from tuning.dataset.boilerplate.find import find_boilerplate, without
from tuning.dataset.filters import Reason, has_control_characters
from tuning.dataset.markdown.check import looks_same, plainer, render, says_same
from tuning.dataset.markdown.code_characters import with_readable_code
from tuning.dataset.markdown.elements import simplify
from tuning.dataset.markdown.formulas import hide, show
from tuning.dataset.markdown.inline import TooDeep
from tuning.dataset.markdown.languages import name_languages
from tuning.dataset.markdown.tree import absolute, blocks_from_code, parse
from tuning.dataset.markdown.writer import write_markdown


class Dropped(msgspec.Struct, frozen=True):
    """Hold the reason why a body was not converted."""

    reason: Reason


class Converted(msgspec.Struct, frozen=True):
    """Hold the Markdown of a body and the changes that are no conversion, such as "removed greeting", with counts."""

    markdown: str
    changes: Counter[str]


def to_markdown(html: str, base_url: str) -> str | Dropped:
    """Convert the HTML of one body to Markdown, with all of its text. See `convert`."""
    converted = convert(html, base_url, boilerplate=True)
    return converted if isinstance(converted, Dropped) else converted.markdown


def convert(html: str, base_url: str, *, boilerplate: bool = False) -> Converted | Dropped:
    """Convert the HTML of one body to Markdown, or return the reason for dropping it. See `convert_all`."""
    return convert_all([html], base_url, boilerplate=boilerplate)[0]


def convert_all(bodies: Sequence[str], base_url: str, *, boilerplate: bool = False) -> list[Converted | Dropped]:
    """Convert the HTML of each body to Markdown, or give the reason for dropping it.

    Relative links become absolute: `base_url` is the URL of the site ("https://stackoverflow.com"). Greetings and the
    like are removed (see `find_boilerplate`), unless `boilerplate` is true. Never raises an exception.

    Each step runs over all bodies before the next step begins. That takes a fifth less time than all steps for one body
    after another, because the processor keeps the code of a step in its cache.
    """
    base_url = base_url.rstrip("/") + "/"
    bodies = [_with_delete(html) if "&#" in html else html for html in bodies]
    deletes = [html.count("\x7f") for html in bodies]  # XML allows DEL, so it reaches this place in a dump
    bodies = [html.replace("\x7f", "\ufffd") if count else html for html, count in zip(bodies, deletes, strict=True)]
    are_refused = [has_control_characters(html) for html in bodies]
    htmls = [_prepared(html, base_url) for html, is_refused in zip(bodies, are_refused, strict=True) if not is_refused]
    changes: list[Counter[str]] = [
        Counter({"replaced control character": count}) if count else Counter()
        for count, is_refused in zip(deletes, are_refused, strict=True)
        if not is_refused
    ]
    htmls = [simplify(with_readable_code(html, counts)) for html, counts in zip(htmls, changes, strict=True)]
    if not boilerplate:
        found = [find_boilerplate(html) for html in htmls]
        htmls = [without(*one) for one in zip(htmls, found, changes, strict=True)]
    hidden = [hide(html) for html in htmls]
    drafts = [_by_library(html) for html, _, _ in hidden]
    work = zip(hidden, drafts, changes, strict=True)
    converted = iter([_converted(*one, draft, counts, base_url) for one, draft, counts in work])
    return [Dropped(Reason.CONTROL_CHARACTERS) if is_refused else next(converted) for is_refused in are_refused]


def _converted(
    html: str, formulas: list[str], marks: str, draft: str | None, changes: Counter[str], base_url: str
) -> Converted | Dropped:
    """Return the library's draft if it is right, else what this package's writer makes of the HTML."""
    markdown = draft
    if draft is None or not _is_faithful(html, draft):
        markdown, links = _by_hand(html, base_url)
        if links:
            changes["removed code link"] = links
    if markdown is not None and formulas:
        markdown = show(markdown, formulas, marks)
    return Dropped(Reason.UNFAITHFUL) if markdown is None else Converted(markdown, changes)


def _by_library(html: str) -> str | None:
    """Return the Markdown of html-to-markdown, or None where it is known to be wrong."""
    if not html.isascii() and _WIDE_SPACE.search(html):  # the library sometimes loses such spaces
        return None
    markdown: str = (native.convert(html, _options()).content or "").strip("\n")
    return None if "%" in markdown and _DECODED_LINK.search(markdown) else markdown


def _is_faithful(html: str, markdown: str) -> bool:
    rendered = render(markdown)
    if looks_same(html, rendered):
        return True
    plain = plainer(html)
    return plain != html and looks_same(plain, rendered)


@lru_cache(maxsize=256)  # few bodies need the writer, but many of the long ones are answers of several rows
def _by_hand(html: str, base_url: str) -> tuple[str | None, int]:
    """Return the Markdown of this package's writer if it renders to the same content, else None.

    The number counts links in code blocks, which become plain text.
    """
    source = parse(html)
    blocks_from_code(source)
    links = sum(1 for pre in source.iter("pre") for link in pre.iter("a") if link.get("href"))
    try:
        for tags in (False, True):
            markdown = write_markdown(source, base_url, tags=tags)
            rendered = render(markdown)
            if looks_same(html, rendered) or says_same(source, parse(rendered), base_url):
                return markdown, links
    except TooDeep:
        pass
    return None, 0


_WIDE_SPACE = re.compile("[\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]")
# Markdown with such a link is rejected: some renderers display `<https://…/a%20b>` as `https://…/a b`.
_DECODED_LINK = re.compile(r"<\w+:[^<>\s]*%")


@cache
def _options() -> Any:
    """Return the library's options, which choose its fast tier.

    The library does not choose that tier by itself. It is twice as fast and converts one body in a hundred wrongly,
    which the comparison detects. The options are created once, because `html_to_markdown.convert` translates them in
    every call, which takes as long as the conversion. Escaping is off: it would put escapes such as `snake\\_case` into
    about half of the texts. The comparison detects the texts that need an escape.
    """
    return native.ConversionOptions(extract_metadata=False, tier_strategy=native.TierStrategy.TIER1)


_REFERENCE = re.compile(r"&#(?:\d+|[xX][\da-fA-F]+);")
_LONGEST_REFERENCE = 20  # Python refuses to read a number of thousands of digits


def _with_delete(html: str) -> str:
    """Replace each reference to a forbidden character by DEL. `unescape` would remove most of them."""
    return _REFERENCE.sub(lambda match: "\x7f" if _is_forbidden(match[0]) else match[0], html)


def _is_forbidden(reference: str) -> bool:
    character = unescape(reference) if len(reference) <= _LONGEST_REFERENCE else ""
    if character == "\ufffd":  # the replacement of another character, unless its author typed it
        return reference.lower() not in ("&#65533;", "&#xfffd;")
    return not character or has_control_characters(character)


# All links and images except links whose only attribute is an absolute URL.
_TAG = re.compile(r'<(a|img)\b(?! href="https?://[^"]*">)((?:[^<>"]|"[^"<]*")*)>')
_ATTRIBUTE = re.compile(r'\s+([a-z-]+)="([^"]*)"')
# A `<` that begins no tag is text. For many of these, html-to-markdown takes quadratic time.
_TEXT = re.compile(r"<(?![A-Za-z/!?])")
_ENTITY = re.compile(r"&(?!amp;|lt;|gt;|quot;)(?:#\d+|#[xX][\da-fA-F]+|[A-Za-z][A-Za-z\d]*);")


def _prepared(html: str, base_url: str) -> str:
    """Simplify the HTML without changing its content.

    Links become absolute and lose the attributes that Markdown lacks. Entities become characters. The language of a
    code block, by hint or content, becomes one class. The patterns match only tags and entities. Text and code cannot
    match, because they contain no raw `<` or `&`.
    """
    if "\r" in html:
        html = html.replace("\r\n", "\n").replace("\r", "\n")
    html = _TEXT.sub("&lt;", html)
    if "<pre" in html:
        html = name_languages(html)
    if "<a " in html or "<img" in html:
        html = _TAG.sub(lambda match: _plain_tag(match[1], match[2], base_url), html)
    if "&" in html:
        html = _ENTITY.sub(lambda match: escape(unescape(match[0]), quote=False), html)
    return html


def _plain_tag(tag: str, attributes: str, base_url: str) -> str:
    if _ATTRIBUTE.sub("", attributes).strip(" /"):  # keep an unusual notation, which both converters can read
        return f"<{tag}{attributes}>"
    values = dict(_ATTRIBUTE.findall(attributes))
    source = "href" if tag == "a" else "src"
    url = values.get(source, "")
    if not url.startswith(("http://", "https://", "mailto:")):
        url = escape(absolute(base_url, unescape(url))) if source in values else ""
    plain = f'<{tag} {source}="{url}"' if url else f"<{tag}"
    if tag == "img":
        plain += f' alt="{values.get("alt", "")}"'
    return plain + (f' title="{values["title"]}">' if values.get("title") else ">")
