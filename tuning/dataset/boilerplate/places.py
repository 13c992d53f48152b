"""Turn places in the text of a segment into places in the HTML that contain complete elements."""

import re
from itertools import pairwise
from typing import NamedTuple

from tuning.dataset.boilerplate.segments import LINE_BREAK, TRANSPARENT, Segment, tags

Place = tuple[str, int, int]  # kind, start and end in the masked text of a segment


class Boilerplate(NamedTuple):
    """Represent a place in the HTML of a post. The elements that it contains are complete."""

    kind: str  # a noun whose plural ends in "s"
    start: int
    end: int  # exclusive, in characters


def settled(html: str, part: Segment, flat: str, places: list[Place]) -> list[Boilerplate]:
    """Return the places in the HTML, extended to whole lines and elements where nothing else is left of them."""
    result: list[Place] = []
    for kind, start, end in places:
        place = _balanced(html, part, flat, kind, start, end)
        if place and result and place[1] < result[-1][2]:  # an image in a line of thanks
            before = result.pop()
            result.append((before[0], before[1], place[1]))
            place = kind, place[1], max(before[2], place[2])
        if place:
            result.append(place)
    if not result:
        return []
    left = flat
    for _, start, end in result:
        left = left[:start] + TRANSPARENT * (end - start) + left[end:]
    if not left.strip() and part.outer_end > part.end:
        end = part.outer_end
        while html[end : end + 1] == "\n":
            end += 1
        bounds = [part.outer_start, *(part.start + start for _, start, _ in result[1:]), end]
        return [Boilerplate(place[0], *bound) for place, bound in zip(result, pairwise(bounds), strict=True)]
    return [
        Boilerplate(kind, part.start + start, part.start + end)
        for kind, start, end in _whole_lines(html, part, flat, result)
    ]


def _whole_lines(html: str, part: Segment, flat: str, places: list[Place]) -> list[Place]:
    """Extend the places to the line breaks next to them, where nothing else is left of a line."""
    result = []
    for position, (kind, start, end) in enumerate(places):
        lower = places[position - 1][2] if position else 0
        upper = places[position + 1][1] if position + 1 < len(places) else len(flat)
        before, after = flat[lower:start], flat[end:upper]
        left, right = before.rstrip(" \t\n\x1f"), after.lstrip(" \t\n\x1f")
        ends_block = not right and upper == len(flat)
        ends_line = ends_block or right[:1] == LINE_BREAK
        if ends_line and left[-1:] == LINE_BREAK and (lower == 0 or left.strip("\x1e \t\n\x1f")):
            wider = lower + len(left.rstrip(" \t\n\x1e\x1f")), end
        elif ends_line and not left and lower == 0 and right:
            wider = start, end + len(after) - len(right.lstrip(" \t\n\x1e\x1f"))
        elif ends_block:
            wider = lower + len(before.rstrip(" \t\n")), len(flat)
        elif flat[start : start + 1].isspace():
            wider = start, end
        else:
            wider = start, end + len(after) - len(after.lstrip(" "))
        result.append(_balanced(html, part, flat, kind, *wider) or (kind, start, end))
    return result


def _balanced(html: str, part: Segment, flat: str, kind: str, start: int, end: int) -> Place | None:
    """Return the place without tags at its edges whose other tag is outside, or None if such a tag is within it."""
    opened: list[re.Match[str]] = []
    loose: list[re.Match[str]] = []
    for tag in tags(html, part.start + start, part.start + end):
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
        if not flat[start:tag_start].strip():
            start = tag_end
        elif not flat[tag_end:end].strip():
            end = tag_start
            break
        else:
            return None
    return (kind, start, end) if flat[start:end].strip() else None
