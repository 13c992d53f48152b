"""Stack Exchange HTML to Markdown that renders back to the same content, or a reason why not.

Two converters, each judged by rendering what it wrote. html-to-markdown is fast, and right for 98 bodies in a hundred
without the escapes that a model would learn (`snake\\_case`). Where it fails, our own careful writer has a try. What
neither carries is dropped, not mangled.
"""

import re
from functools import cache, lru_cache
from html import escape, unescape
from typing import Any

import msgspec
from html_to_markdown import _html_to_markdown as native

from tuning.dataset.filters import Reason, has_control_characters
from tuning.dataset.markdown.check import looks_same, plainer, render, says_same
from tuning.dataset.markdown.inline import TooDeep
from tuning.dataset.markdown.languages import name_languages
from tuning.dataset.markdown.tree import absolute, parse
from tuning.dataset.markdown.writer import write_markdown


class Dropped(msgspec.Struct, frozen=True):
    """Why a body became no Markdown."""

    reason: Reason


def to_markdown(html: str, base_url: str) -> str | Dropped:
    """The Markdown of one body. Links are absolute: `base_url` is the site's ("https://stackoverflow.com").

    Inline elements that Markdown lacks (`<kbd>`, `<sup>`, `<s>`) stay as the HTML that CommonMark allows. Never raises
    for any text.
    """
    if has_control_characters(html):
        return Dropped(Reason.CONTROL_CHARACTERS)
    base_url = base_url.rstrip("/") + "/"
    html = _prepared(html, base_url)
    markdown = _by_library(html)
    if markdown is None:
        markdown = _by_hand(html, base_url)
    return Dropped(Reason.UNFAITHFUL) if markdown is None else markdown


def _by_library(html: str) -> str | None:
    """html-to-markdown's Markdown where it is right."""
    if not html.isascii() and _WIDE_SPACE.search(html):  # loses a non-breaking space and its like here and there
        return None
    plain = ""
    for options in _options() if _AS_HTML.search(html) else _options()[:1]:
        markdown: str = (native.convert(html, options).content or "").strip("\n")
        if "%" in markdown and _DECODED_LINK.search(markdown):
            return None
        rendered = render(markdown)
        if looks_same(html, rendered):
            return markdown
        plain = plain or plainer(html)
        if plain != html and looks_same(plain, rendered):
            return markdown
    return None


@lru_cache(maxsize=256)  # of the few bodies that come here, many a long one is an answer that is given again and again
def _by_hand(html: str, base_url: str) -> str | None:
    """Our own writer's Markdown where it is right."""
    source = parse(html)
    try:
        for tags in (False, True):
            markdown = write_markdown(source, base_url, tags=tags)
            rendered = render(markdown)
            if looks_same(html, rendered) or says_same(source, parse(rendered), base_url):
                return markdown
    except TooDeep:
        pass
    return None


_AS_HTML = re.compile(r"<(?:su[bp]|kbd|s|strike|del|ins|small|u)>")  # Markdown has no form for them
_WIDE_SPACE = re.compile("[\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]")
# Some renderers show `<https://…/a%20b>` as `https://…/a b`.
_DECODED_LINK = re.compile(r"<\w+:[^>\s]*%")


@cache
def _options() -> tuple[Any, Any]:
    """The library's quick way, and its sure way that keeps elements which Markdown has no form for as HTML.

    It would not choose the quick way itself: twice as fast, it gets one body in a hundred wrong, which the check finds.
    Made once: `html_to_markdown.convert` translates its options anew for every call, which takes as long as the
    conversion. Without escapes: they put `snake\\_case` into every other text, and the check finds where one is needed.
    """
    quick = native.ConversionOptions(extract_metadata=False, tier_strategy=native.TierStrategy.TIER1)
    kept = ["sub", "sup", "kbd", "s", "strike", "del", "ins", "small", "u"]
    return quick, native.ConversionOptions(extract_metadata=False, preserve_tags=kept)


_TAG = re.compile(r'<(a|img)\b(?! href="https?://[^"]*">)((?:[^>"]|"[^"]*")*)>')  # but the plainest link
_ATTRIBUTE = re.compile(r'\s+([a-z-]+)="([^"]*)"')
_ENTITY = re.compile(r"&(?!amp;|lt;|gt;|quot;)(?:#\d+|#[xX][\da-fA-F]+|[A-Za-z][A-Za-z\d]*);")


def _prepared(html: str, base_url: str) -> str:
    """The same body, more plainly: whole links without attributes that Markdown lacks, entities as characters, each
    language as one class. Each pattern starts at a tag or an entity, which text and code cannot hold.
    """
    if "\r" in html:
        html = html.replace("\r\n", "\n").replace("\r", "\n")
    if "<pre " in html or "<!--" in html:
        html = name_languages(html)
    if "<a " in html or "<img" in html:
        html = _TAG.sub(lambda match: _plain_tag(match[1], match[2], base_url), html)
    if "&" in html:
        html = _ENTITY.sub(lambda match: escape(unescape(match[0]), quote=False), html)
    return html


def _plain_tag(tag: str, attributes: str, base_url: str) -> str:
    if _ATTRIBUTE.sub("", attributes).strip(" /"):  # written in some other way: the library and the writer cope
        return f"<{tag}{attributes}>"
    found = dict(_ATTRIBUTE.findall(attributes))
    source = "href" if tag == "a" else "src"
    url = found.get(source, "")
    if not url.startswith(("http://", "https://", "mailto:")):
        url = escape(absolute(base_url, unescape(url))) if source in found else ""
    plain = f'<{tag} {source}="{url}"' if url else f"<{tag}"
    if tag == "img":
        plain += f' alt="{found.get("alt", "")}"'
    return plain + (f' title="{found["title"]}">' if found.get("title") else ">")
