"""Find the boilerplate of a post: greetings, thanks, good wishes, edit marks, signatures, banners and images.

Only whole sentences, lines, marks and blocks are found, never a part of a sentence, and nothing in code, links and
tables. The result is a list of places in the HTML, so that the check of the conversion knows exactly what is missing.
"""

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from tuning.dataset.boilerplate.blocks import banners, images
from tuning.dataset.boilerplate.phrases import (
    EDIT,
    GREETING,
    NAMED_GREETING,
    SIGNATURE,
    SIGNED_NAME,
    THANKS_AT_END,
    has_words,
    is_edit_mark,
    kind_of_sentence,
)
from tuning.dataset.boilerplate.segments import LINE_BREAK, OPAQUE, TRANSPARENT, Segment, segments


class Boilerplate(NamedTuple):
    """Represent a place in the HTML of a post. The elements that it contains are complete."""

    kind: str  # a noun whose plural ends in "s"
    start: int
    end: int  # exclusive, in characters


_TRIGGERS = (
    "thank", "thx", "tnx", "cheers", "appreciat", "grateful", "hope", "hoping", "hth", "good luck", "happy coding",
    "edit", "update", "upd:", "regards", "sincerely", "<img", "description here", "duplicate", "question already",
)  # fmt: skip
_FIRST = re.compile(r"\s*(?:<[^<>]*>\s*)*(?:hi|hello|hey|hiya|howdy|greetings|hola|dear|good|welcome)\b")
_LAST = re.compile(r"[-–—~]\s?[a-z]{2,15}[.!]?\s*</p>\s*\Z|\b(?:best|br|kr|tia|ty)\b")


def find_boilerplate(html: str) -> list[Boilerplate]:
    """Return the boilerplate in a post, in order and without overlaps."""
    lower = html.lower()
    triggers = [trigger for trigger in _TRIGGERS if trigger in lower]
    is_greeted, is_signed = _FIRST.match(lower) is not None, _LAST.search(lower[-80:]) is not None
    if not (triggers or is_greeted or is_signed):
        return []
    has_banner = "duplicate" in triggers or "question already" in triggers
    found = [Boilerplate("duplicate banner", start, end) for start, end in banners(html)] if has_banner else []
    ends = [0, *(banner.end for banner in found)]
    covered = iter(found)
    banner = next(covered, None)
    parts = []
    for part in segments(html):
        while banner and banner.end <= part.start:
            banner = next(covered, None)
        if not (banner and banner.start <= part.start):
            parts.append(part)
    for position, part in enumerate(parts):
        is_first, is_last = position == 0, position == len(parts) - 1
        text = lower[part.start : part.end] if len(lower) == len(html) else part.flat.lower()
        if is_first or is_last or any(trigger in text for trigger in triggers):
            found += _in_segment(part, is_first=is_first, is_last=is_last and part.start >= ends[-1])
    return sorted(found, key=lambda one: one.start)


def without(html: str, found: Sequence[Boilerplate], changes: Counter[str]) -> str:
    """Return the HTML without these places. Each is counted in `changes`, as "removed greeting" for example."""
    if not found:
        return html
    changes.update(f"removed {one.kind}" for one in found)
    bounds = [0, *(bound for one in found for bound in (one.start, one.end)), len(html)]
    return "".join(html[start:end] for start, end in list(pairwise(bounds))[::2])


Place = tuple[str, int, int]  # kind, start and end in the flat text of a segment


def _in_segment(part: Segment, *, is_first: bool, is_last: bool) -> list[Boilerplate]:
    places: list[Place] = []
    end = 0
    flat = part.flat
    for kind, start, stop in images(part):
        places.append((kind, start, stop))
        flat = flat[:start] + TRANSPARENT * (stop - start) + flat[stop:]
    for line in re.finditer(f"[^{LINE_BREAK}]+", flat):
        start = line.start()
        if is_first and not flat[:start].strip() and (match := GREETING.match(line[0]) or NAMED_GREETING.match(line[0])):
            places.append(("greeting", start, start + match.end()))
            start += match.end()
        places += _in_line(flat[start : line.end()], start, is_heading=part.tag[:1] == "h")
    if is_last:
        places = _signed(part, flat, places)
    return _settled(part, sorted(places, key=lambda place: place[1:]))


# The end of a sentence, or of a line in the source.
_END = re.compile(r"[.!?…]+[\"'”’)\]*]*(?=[\s\x1f]|\Z)|\n")


def _in_line(text: str, offset: int, *, is_heading: bool) -> list[Place]:
    """Return the edit marks and the sentences of thanks and good wishes in the text between two line breaks."""
    places: list[Place] = []
    starts = [0]
    for match in _END.finditer(text):
        starts.append(match.end())
    was_removed = False
    for start, end in pairwise([*starts, len(text)]):
        sentence = text[start:end]
        is_hard = start == 0 or text[start - 1] != "\n" or not text[:start].strip() or text[:start].rstrip()[-1] in ".!?:)"
        mark = EDIT.match(sentence)
        if mark and _is_mark(mark, sentence, is_hard=is_hard):
            is_bracket_open = mark["bracket"] and mark["end"][:1] not in (")", "]")
            first = mark.end("bracket") if is_bracket_open else len(sentence) - len(sentence.lstrip(" \t\n"))
            places.append(("edit mark", offset + start + first, offset + start + mark.end()))
            start += mark.end()
            sentence = text[start:end]
            if not sentence.strip():
                continue
        if is_heading:
            continue
        if not has_words(sentence) and OPAQUE not in sentence:
            if was_removed and sentence.strip():  # an emoticon after thanks
                places[-1] = (*places[-1][:2], offset + end)
            continue
        was_removed = False
        if len(sentence) > 300:
            continue
        kind = "" if OPAQUE in sentence else kind_of_sentence(sentence)
        follows = text[end:].lstrip(" \t\x1f")
        ends_soft = sentence.rstrip(" \t\x1f")[-1:] == "\n" and bool(follows.strip()) and not follows.lstrip()[0].isupper()
        if kind and (is_hard or not ends_soft) and not ends_soft:
            was_removed = True
            places.append((kind, offset + start, offset + end))
        elif not kind and (tail := THANKS_AT_END.search(sentence[-60:])) and not ends_soft:
            shift = offset + start + max(0, len(sentence) - 60)
            if has_words(sentence[: max(0, len(sentence) - 60) + tail.start()]):
                places.append(("thank-you", shift + tail.start(), shift + tail.end("thanks")))
    return places


def _is_mark(mark: re.Match[str], sentence: str, *, is_hard: bool) -> bool:
    rest = sentence[mark.end() :]
    is_bracketed = bool(mark["bracket"]) and mark["end"][:1] in (")", "]")
    is_bold = TRANSPARENT in mark[0][: mark.start("word")] and TRANSPARENT in mark[0][mark.end("word") :]
    is_line = not rest.strip()
    return is_hard and is_edit_mark(mark, is_apart=is_bracketed or is_bold or is_line)


def _signed(part: Segment, flat: str, places: list[Place]) -> list[Place]:
    """Add the signature at the end of the post, if there is one."""
    text = flat.replace(LINE_BREAK, "\n").replace(TRANSPARENT, " ")
    starts = [0, *(match.end() for match in re.finditer(r"\n+|[.!?…]\s", text))][-4:]
    for start in starts:
        if len(text) - start <= 80 and SIGNATURE.match(text, start):
            return [place for place in places if place[2] <= start] + [("signature", start, len(flat))]
    before = part.html[: part.outer_start].rstrip()
    if SIGNED_NAME.fullmatch(text) and not before.endswith("</blockquote>"):
        return [("signature", 0, len(flat))]
    return places


def _settled(part: Segment, places: list[Place]) -> list[Boilerplate]:
    """Return the places in the HTML, extended to whole lines and elements where nothing else is left of them."""
    settled: list[Place] = []
    for kind, start, end in places:
        place = _balanced(part, kind, start, end)
        if place and settled and place[1] < settled[-1][2]:  # an image in a line of thanks
            before = settled.pop()
            settled.append((before[0], before[1], place[1]))
            place = kind, place[1], max(before[2], place[2])
        if place:
            settled.append(place)
    if not settled:
        return []
    flat = part.flat
    for kind, start, end in settled:
        flat = flat[:start] + TRANSPARENT * (end - start) + flat[end:]
    if not flat.strip() and part.outer_end > part.end:
        kinds = [kind for kind, _, _ in settled]
        bounds = [part.outer_start, *(part.start + start for _, start, _ in settled[1:]), part.outer_end]
        return [Boilerplate(kind, *bound) for kind, bound in zip(kinds, pairwise(bounds), strict=True)]
    return [Boilerplate(kind, part.start + start, part.start + end) for kind, start, end in _whole_lines(part, settled, flat)]


def _whole_lines(part: Segment, settled: list[Place], flat: str) -> list[Place]:
    """Extend the places to the line breaks next to them, where nothing else is left of a line."""
    result = []
    for position, (kind, start, end) in enumerate(settled):
        lower = settled[position - 1][2] if position else 0
        upper = settled[position + 1][1] if position + 1 < len(settled) else len(flat)
        before, after = flat[lower:start], flat[end:upper]
        left = before.rstrip(" \t\n\x1f")
        right = after.lstrip(" \t\n\x1f")
        ends_line = not right and upper == len(flat) or right[:1] == LINE_BREAK
        if ends_line and left[-1:] == LINE_BREAK and (lower == 0 or left.strip("\x1e \t\n\x1f")):
            wider = lower + len(left.rstrip(" \t\n\x1e\x1f")), end
        elif ends_line and not left and lower == 0 and right:
            wider = start, end + len(after) - len(right.lstrip(" \t\n\x1e\x1f"))
        else:
            wider = start, end + len(after) - len(after.lstrip(" "))
        result.append(_balanced(part, kind, *wider) or (kind, start, end))
    return result


def _balanced(part: Segment, kind: str, start: int, end: int) -> Place | None:
    """Return the place without tags at its edges whose other tag is outside, or None if such a tag is within it."""
    opened: list[re.Match[str]] = []
    loose: list[re.Match[str]] = []
    for tag in part.tags(start, end):
        if tag[2].lower() in ("br", "img"):
            continue
        if not tag[1]:
            opened.append(tag)
        elif opened and opened[-1][2] == tag[2]:
            opened.pop()
        else:
            loose.append(tag)
    for tag in sorted(loose + opened, key=lambda one: one.start()):
        tag_start, tag_end = tag.start() - part.start, tag.end() - part.start
        if not part.flat[start:tag_start].strip():
            start = tag_end
        elif not part.flat[tag_end:end].strip():
            end = tag_start
            break
        else:
            return None
    return (kind, start, end) if part.flat[start:end].strip() else None
