"""Stack Exchange HTML to Markdown that renders back to the same content, or a reason why not.

Two converters, each judged by rendering what it wrote: html-to-markdown, fast and right for about nineteen bodies in
twenty, without escapes that a model would learn (`snake\\_case`); where it fails, our own careful writer. What neither
carries is dropped, not mangled.
"""

import re
from functools import cache
from html import escape, unescape
from typing import Any

import msgspec
from html_to_markdown import _html_to_markdown as native
from lxml import etree

from tuning.dataset.clean_check import looks_same, render, says_same
from tuning.dataset.clean_code import name_languages
from tuning.dataset.clean_tree import absolute, parse
from tuning.dataset.clean_write import TooDeep, write_markdown
from tuning.dataset.filters import Reason, has_control_characters


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
    # html-to-markdown loses a non-breaking space and its like here and there.
    if html.isascii() or not _WIDE_SPACE.search(html):
        markdown = (native.convert(html, _native_options()).content or "").strip("\n")
        if looks_same(html, render(markdown)):
            return markdown
    try:
        source = parse(html)
        markdown = write_markdown(source, base_url)
        rendered = render(markdown)
        faithful = looks_same(html, rendered) or says_same(source, parse(rendered), base_url)
    except (TooDeep, etree.ParserError):
        return Dropped(Reason.UNFAITHFUL)
    return markdown if faithful else Dropped(Reason.UNFAITHFUL)


@cache
def _native_options() -> Any:
    """Made once: `html_to_markdown.convert` translates its options anew for every call, which takes as long as the
    conversion. Without escapes: they put `snake\\_case` into every other text, and the check finds where one is needed.
    """
    return native.ConversionOptions(extract_metadata=False)


_TAG = re.compile(r'<(a|img)\b((?:[^>"]|"[^"]*")*)>')
_ATTRIBUTE = re.compile(r'([a-z]+)\s*=\s*"([^"]*)"')
_ENTITY = re.compile(r"&(?!amp;|lt;|gt;|quot;)(?:#\d+|#[xX][\da-fA-F]+|[A-Za-z][A-Za-z\d]*);")
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_SPAN = re.compile(r"</?span\b[^>]*>")
_WRAPPER = re.compile(r"</?div\b[^>]*>\s*(?=</?(?:div|p|pre|table|[uo]l|h\d|blockquote)\b|$)")
_WIDE_SPACE = re.compile("[\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]")


def _prepared(html: str, base_url: str) -> str:
    """The same body, more plainly: whole links and no attributes that Markdown lacks, entities as characters, languages
    as one class, no comments, no wrappers. Each pattern starts at a tag or an entity, which text and code cannot hold.
    """
    if "\r" in html:
        html = html.replace("\r\n", "\n").replace("\r", "\n")
    if "<pre " in html or "<code " in html or "<!--" in html:
        html = name_languages(html)
    if "<!--" in html:
        html = _COMMENT.sub("", html)
    if "<a " in html or "<img" in html:
        html = _TAG.sub(lambda match: _plain_tag(match[1], match[2], base_url), html)
    if "<span" in html:
        html = _SPAN.sub("", html)
    if "<div" in html:
        html = _WRAPPER.sub("", html)
    if "/>" in html:
        html = (
            html.replace("<br/>", "<br>").replace("<hr/>", "<hr>").replace("<br />", "<br>").replace("<hr />", "<hr>")
        )
    if "&" in html:
        html = _ENTITY.sub(lambda match: escape(unescape(match[0]), quote=False), html)
    return html


def _plain_tag(tag: str, attributes: str, base_url: str) -> str:
    found = dict(_ATTRIBUTE.findall(attributes))
    source = "href" if tag == "a" else "src"
    url = found.get(source, "")
    if not url.startswith(("http://", "https://", "mailto:")):
        url = escape(absolute(base_url, unescape(url))) if source in found else ""
    plain = f'<{tag} {source}="{url}"' if url else f"<{tag}"
    if tag == "img":
        plain += f' alt="{found.get("alt", "")}"'
    return plain + (f' title="{found["title"]}">' if found.get("title") else ">")
