"""Find whole blocks and images that say nothing: banners of duplicates, and images that only a person can see."""

import re
from collections.abc import Iterator

from tuning.dataset.boilerplate.segments import OPAQUE

_TAG_OR_SPACE = re.compile(r"<[^<>]*>|\s+")
_LINK = re.compile(r"<a\b[^<>]*>[^<]*(?:<(?!/a>)[^<]*)*</a>")
_BANNER_START = re.compile(
    r"<(?P<tag>blockquote|div|aside)\b(?P<attributes>[^<>]*)>|<p>(?=\s*<(?:strong|b)>\s*possible\s+duplicate"
    r"|\s*(?:<(?:strong|b)>)?\s*this\s+question\s+already\s+has)",
    re.IGNORECASE,
)
_BANNER_CLASS = re.compile(r'class="[^"]*\b(?:question-status|question-originals-of-duplicate|s-notice)\b')
_TITLE = re.compile(
    r"(?:possible\s*duplicates?(?:\s*of)?|thisquestion(?:already)?has(?:an)?answers?(?:already)?here)[:.\W]*",
    re.IGNORECASE,
)
_ANSWERS = re.compile(r"\(?\d+answers?\)?", re.IGNORECASE)
_LONGEST_BANNER = 4_000  # characters


def banners(html: str) -> Iterator[tuple[int, int]]:
    """Yield the places of banners: "Possible Duplicate" or "This question already has an answer here", and links."""
    done = 0
    for match in _BANNER_START.finditer(html):
        start = match.start()
        if start < done:
            continue
        tag = match["tag"].lower() if match["tag"] else "p"
        end = _end_of(html, tag, match.end())
        if end < 0:
            continue
        if tag == "p" and (rest := re.compile(r"\s*<ul>").match(html, end)) and not _LINK.search(html, start, end):
            end = _end_of(html, "ul", rest.end())
        if end < 0:
            continue
        is_marked = match["attributes"] is not None and _BANNER_CLASS.search(match["attributes"]) is not None
        text = _TAG_OR_SPACE.sub("", _LINK.sub("", html[match.end() : end]))
        if _TITLE.fullmatch(_ANSWERS.sub("", text)) or (
            is_marked and re.match(r"this\s*question\s*already", text, re.I)
        ):
            yield start, end
            done = end


def _end_of(html: str, tag: str, start: int) -> int:
    """Return where the element ends whose content begins at `start`, or -1."""
    depth = 1
    for match in re.compile(rf"<(/?){tag}\b[^<>]*>", re.IGNORECASE).finditer(html, start, start + _LONGEST_BANNER):
        depth += -1 if match[1] else 1
        if not depth:
            return match.end()
    return -1


_IMAGE = re.compile(
    r"(?P<link><a\b[^<>]*>\s*)?<img\b(?P<attributes>[^<>]*)>(?(link)\s*</a>)"
    r"|(?P<named><a\b[^<>]*>)\s*enter image description here\s*</a>",
    re.IGNORECASE,
)
_IMAGE_LINK = re.compile(r"imgur\.com/|\.(?:png|jpe?g|gif|bmp|svg|webp)\b|/images?/", re.IGNORECASE)
_ALT = re.compile(r"""\balt\s*=\s*(?:"([^"]*)"|'([^']*)')""", re.IGNORECASE)
# Texts that say only that there is an image: the editor's own, generic words with numbers, and names of files.
_USELESS = re.compile(
    r"(?:enter (?:image|link) description(?: here)?|(?:an? |the |my |this )?(?:alt(?: text)?|(?:image )?description|"
    r"images?|img|pics?|picture|photo|screen ?(?:shot|capture|grab)|capture|snapshot|snip|figure|fig|untitled|link|"
    r"here|file)?[\s_.:#-]*\d*|\S+\.(?:png|jpe?g|gif|bmp|svg|webp)|https?://\S*)\W*",
    re.IGNORECASE,
)


def images(content: str, flat: str) -> Iterator[tuple[str, int, int]]:
    """Yield the kind and place of each image in inline HTML whose text says nothing. `flat` is the masked HTML.

    Within a sentence, an image can stand for a word. There only its text is found, if the site's editor wrote it.
    """
    for match in _IMAGE.finditer(content):
        if content.rfind("<code", 0, match.start()) > content.rfind("</code", 0, match.start()):
            continue
        alt = None if match["named"] else _ALT.search(match["attributes"])
        text = (alt[1] or alt[2] or "") if alt else ""
        if not match["named"] and not _USELESS.fullmatch(text.strip()):
            continue
        before = flat[: match.start()].rstrip(" \t\x1f")
        after = flat[match.end() :].lstrip(" \t\x1f")
        starts = not before or before[-1] in '\n\x1e.:;,!?)”"' or before[-1] == OPAQUE
        ends = not after or after[0] in "\n\x1e" or after[0].isupper() or after[0] == OPAQUE
        link = match["link"] or match["named"]
        is_image = not link or _IMAGE_LINK.search(link) is not None
        if (starts or ends) and is_image:
            yield "image", match.start(), match.end()
        elif alt and text.strip().lower().startswith("enter "):
            at = match.start("attributes") + alt.start() + alt[0].index(text)
            yield "image description", at, at + len(text)
