"""Find the boilerplate of a post: greetings, thanks, good wishes, pleas, edit marks, signatures, banners and images.

Only whole sentences, lines, marks and blocks are found, never a part of a sentence, and nothing in code, links and
tables. The result is a list of places in the HTML, so that the check of the conversion knows exactly what is missing.
"""

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

from tuning.dataset.boilerplate.blocks import banners, images
from tuning.dataset.boilerplate.phrases import (
    CLAUSE_AT_END,
    CLAUSE_AT_START,
    EDIT,
    NAME_ALONE,
    SIGNATURE,
    SIGNED_NAME,
    greeting_end,
    has_words,
    is_edit_mark,
    kind_of_sentence,
    may_say_nothing,
)
from tuning.dataset.boilerplate.places import Boilerplate, Place, settled
from tuning.dataset.boilerplate.pleas import SIGNS, image_pointers, may_plead, pleas
from tuning.dataset.boilerplate.segments import LINE_BREAK, OPAQUE, TRANSPARENT, Segment, masked, segments
from tuning.dataset.sieve import SPACE, Sieve

_TRIGGERS = (
    "thank", "thx", "cheers", "appreciat", "grateful", "hope", "edit", "upd", "<img", "description here", "duplicate",
    "question already",
)  # fmt: skip
_LONGEST_SIGNATURE = 80  # characters
_LONGEST_LAST = 160  # characters of a last paragraph that is searched for a signature without other triggers
_HELLO = "(?:hi|hello|hey|hiya|howdy|greetings|hola|dear|good|welcome)"
_BYE = "(?:best|br|kr|tia|ty|tnx|hth|hopefully|luck|happy|regards|sincerely|yours)"
_FIRST = re.compile(rf"\s*(?:<[^<>]*>\s*)*{_HELLO}\b")
_LAST = re.compile(rf"[-–—~]\s?[a-z]{{2,15}}[.!]?\s*</p>\s*\Z|\b{_BYE}\b")
# What a post with boilerplate contains. Code can be anywhere in it, because it is only removed later.
_SIEVE = Sieve(
    {
        **{trigger: f"(?i){trigger}" for trigger in _TRIGGERS},
        "first": rf"(?i)(?:\A|</pre>){SPACE}*(?:<[^<>]*>{SPACE}*)*(?:{_HELLO}\b|hİ)",  # İ begins with i in lower case
        "last": rf"(?i)[-–—~]{SPACE}?[a-z]+[.!]?{SPACE}*(?:</p>{SPACE}*(?:\z|<pre)|<pre)"
        rf"|\b{_BYE}\b(?:[^<]|<+(?:[^<p]|p[^>]))*(?:<*p?\z|<pre)",
        "plea": rf"(?i)(?:{'|'.join(SIGNS)})(?:[^<]|<+(?:[^<p]|p[^r]))*(?:<*p?\z)",
    }
)
_BEFORE_NAMES = ("thank-you", "good wish")
_IMAGES = ("image", "image description")
_IN_QUOTATIONS = (*_IMAGES, "edit mark")  # authors also put their own edits into quotations
_TAG = re.compile(r"<[^<>]*>")
_SIGNATURE_START = re.compile(r"\n+|[.!?…]\s")
_DASHED_LINE = re.compile(r"(?:\A|\n)[ \t]*[-–—~]")
_LONGEST_SIGNED = 2_000  # characters of a paragraph with a signature


def find_boilerplate(html: str) -> list[Boilerplate]:
    """Return the boilerplate in a post, in order and without overlaps."""
    hints = _SIEVE.search(html)
    if not hints:
        return []
    is_pleading = "plea" in hints and may_plead(html)
    if len(hints) == 1 and "plea" in hints:
        return pleas(html, []) if is_pleading else []
    lower = _without_code(html).lower()
    triggers = [hint for hint in hints if hint in _TRIGGERS and hint in lower]
    is_greeted = "first" in hints and _FIRST.match(lower) is not None
    last = _last_line(lower) if "last" in hints else -1
    is_signed = last >= 0 and _LAST.search(lower, last) is not None
    if not (triggers or is_greeted or is_signed):
        return pleas(html, []) if is_pleading else []
    found: list[Boilerplate] = []
    if "duplicate" in triggers or "question already" in triggers:
        for start, end in banners(html):
            found.append(Boilerplate("duplicate banner", start, end))
            html = html[:start] + " " * (end - start) + html[end:]
        is_greeted = _FIRST.match(_without_code(html).lower()) is not None
    start, is_first = 0, True
    for chunk in html.split("<p>"):
        end = start + len(chunk)
        is_last = end == len(html)
        if (is_first and is_greeted) or (is_last and is_signed) or _has_any(chunk, triggers):
            parts = list(segments(html, max(0, start - len("<p>")), end))
            for position, part in enumerate(parts):
                found += _in_segment(
                    html, part, is_first=is_first and position == 0, is_last=is_last and position == len(parts) - 1
                )
        elif (
            is_last
            and found
            and (found[-1].kind, found[-1].end) in [(kind, start - len("<p>")) for kind in _BEFORE_NAMES]
            and NAME_ALONE.fullmatch(chunk.rstrip().removesuffix("</p>"))
        ):
            found.append(Boilerplate("signature", start - len("<p>"), end))
        is_first = is_first and not _TAG.sub("", _without_code(chunk)).strip()
        start = end + len("<p>")
    if is_pleading:
        found += pleas(html, found)
    if "<img" in triggers or "description here" in triggers:
        found += list(image_pointers(html, found))
    return _apart(found) if len(found) > 1 else found


def _apart(found: list[Boilerplate]) -> list[Boilerplate]:
    """Return the places in order. The line breaks between two places belong to the first one."""
    ordered = sorted(found, key=lambda one: one.start)
    later = [one._replace(start=max(before.end, one.start)) for before, one in pairwise(ordered)]
    return [ordered[0], *later]


def _last_line(lower: str) -> int:
    """Return where the last paragraph or line of the HTML starts, or -1 if it is long."""
    start = max(0, len(lower) - _LONGEST_LAST)
    return max(lower.rfind("<p>", start), lower.rfind("<br", start))


def _has_any(html: str, triggers: Sequence[str]) -> bool:
    """Return whether one of the triggers is in the HTML outside code blocks."""
    lower = _without_code(html).lower()
    return any(map(lower.__contains__, triggers))


def _without_code(html: str) -> str:
    """Return the HTML without its code blocks."""
    if "<pre" not in html:
        return html
    first, *others = html.split("<pre")
    return first + "\n".join(other.partition("</pre>")[2] for other in others)


def without(html: str, found: Sequence[Boilerplate], changes: Counter[str]) -> str:
    """Return the HTML without these places. Each is counted in `changes`, as "removed greeting" for example."""
    if not found:
        return html
    changes.update(f"removed {one.kind}" for one in found)
    bounds = [0, *(bound for one in found for bound in (one.start, one.end)), len(html)]
    return "".join(html[start:end] for start, end in list(pairwise(bounds))[::2])


def _in_segment(html: str, part: Segment, *, is_first: bool, is_last: bool) -> list[Boilerplate]:
    places: list[Place] = []
    content = html[part.start : part.end]
    flat = text = masked(content)
    if "<img" in content or "description here" in content:
        for kind, start, stop in images(content, flat):
            places.append((kind, start, stop))
            text = text[:start] + TRANSPARENT * (stop - start) + text[stop:]
    start = 0
    for line in text.split(LINE_BREAK) if LINE_BREAK in text else (text,):
        offset, start = start, start + len(line) + 1
        if is_first and not text[:offset].strip() and (end := greeting_end(line)):
            places.append(("greeting", offset, offset + end))
            offset, line = offset + end, line[end:]
        places += _in_line(line, offset, is_heading=part.tag[:1] == "h")
    if is_last and len(text) < _LONGEST_SIGNED:
        is_quoted = html[: part.outer_start].rstrip().endswith("</blockquote>")
        places = _signed(text, places, is_quoted=is_quoted)
    if places:
        places = _outside_content(html, part.start, text, places)
    return settled(html, part, flat, sorted(places, key=lambda place: place[1:])) if places else []


def _outside_content(html: str, at: int, text: str, places: list[Place]) -> list[Place]:
    """Return the places without what is content: the words of a quoted mail, and what begins an item of a list."""
    if _is_within("blockquote", html, at):
        return [place for place in places if place[0] in _IN_QUOTATIONS]
    if _is_within("ul", html, at) or _is_within("ol", html, at):
        return [
            place
            for place in places
            if place[0] in _IMAGES or text[: place[1]].strip() or text[place[1] : place[2]].lstrip()[:1] in ("(", "[")
        ]
    return places


def _is_within(tag: str, html: str, at: int) -> bool:
    start, end = f"<{tag}", f"</{tag}>"
    return bisect_right(_places(start, html), at - len(start)) > bisect_right(_places(end, html), at - len(end))


@lru_cache(maxsize=8)  # of the post that is searched: each of its places asks for the same lists
def _places(tag: str, html: str) -> list[int]:
    return [match.start() for match in re.finditer(tag, html)]


# The end of a sentence, or of a line in the source. A pattern that begins with a set of characters is searched fast.
_END = re.compile(r"[.!?…\n](?:(?<=\n)|[.!?…]*[\"'”’)\]*]*(?=[\s\x1f]|\Z|(?:Thank|Hope)[ s]))")
_CLOSING_BRACKET = re.compile(r"[\w.!]\)\Z")
_LONGEST_SENTENCE = 300  # characters
_NEAR_END = 60  # characters at the end of a sentence in which thanks and good wishes are searched


def _in_line(text: str, offset: int, *, is_heading: bool) -> list[Place]:
    """Return the edit marks and the sentences of thanks and good wishes in the text between two line breaks."""
    places: list[Place] = []
    has_thanks = not is_heading and may_say_nothing(text)
    lower = text.lower()
    has_edit = "edit" in lower or "upd" in lower
    if not (has_thanks or has_edit):
        return places
    was_removed = False
    for start, end in pairwise([0, *(match.end() for match in _END.finditer(text)), len(text)]):
        sentence = text[start:end]
        if has_edit and (mark := EDIT.match(sentence)):
            before = text[:start].rstrip()
            is_plain = ":" in mark["end"] and mark["word"][0].isupper()
            starts_line = text[start - 1 : start] != "\n" or before[-1:] in ("", *".!?:)") or is_plain
            if starts_line and _is_mark(mark, sentence):
                is_bracket_open = mark["bracket"] and mark["end"][:1] not in (")", "]")
                first = mark.end("bracket") if is_bracket_open else len(sentence) - len(sentence.lstrip(" \t\n"))
                places.append(("edit mark", offset + start + first, offset + start + mark.end()))
                start += mark.end()
                sentence = text[start:end]
        if not has_thanks:
            continue
        if was_removed and OPAQUE not in sentence and not has_words(sentence):  # an emoticon after thanks
            if sentence.strip():
                places[-1] = (*places[-1][:2], offset + end)
            continue
        was_removed = False
        if not may_say_nothing(sentence) or len(sentence) > _LONGEST_SENTENCE:
            continue
        if sentence.endswith("\n") and text[end : end + 80].lstrip()[:1].islower():  # the sentence may go on
            continue
        if OPAQUE not in sentence and (kind := kind_of_sentence(sentence)):
            was_removed = True
            stripped = sentence.rstrip()
            if _CLOSING_BRACKET.search(stripped) and "(" not in sentence:  # it belongs to the text before
                end = start + len(stripped) - 1
            places.append((kind, offset + start, offset + end))
        else:
            places += _clauses(sentence, offset + start)
    return places


def _clauses(sentence: str, offset: int) -> list[Place]:
    """Return thanks at the start, and thanks or good wishes at the end, of a sentence that says something else."""
    places: list[Place] = []
    if (head := CLAUSE_AT_START.match(sentence)) and has_words(sentence[head.end() :]):
        places.append(("thank-you", offset, offset + head.end()))
    skipped = max(0, len(sentence) - _NEAR_END)
    tail = CLAUSE_AT_END.search(sentence[skipped:])
    if tail and has_words(sentence[: skipped + tail.start()]):
        kind = "good wish" if "hope" in tail["clause"].lower() else "thank-you"
        places.append((kind, offset + skipped + tail.start(), offset + skipped + tail.end("clause")))
    return places


def _is_mark(mark: re.Match[str], sentence: str) -> bool:
    is_bracketed = bool(mark["bracket"]) and mark["end"][:1] in (")", "]")
    is_bold = TRANSPARENT in mark[0][: mark.start("word")] and TRANSPARENT in mark[0][mark.end("word") :]
    is_line = not sentence[mark.end() :].strip()
    return is_edit_mark(mark, is_apart=is_bracketed or is_bold or is_line)


def _signed(flat: str, places: list[Place], *, is_quoted: bool) -> list[Place]:
    """Add the signature at the end of the post, if there is one. `is_quoted` says that a quotation comes before."""
    text = flat.replace(LINE_BREAK, "\n").replace(TRANSPARENT, " ")
    for start in [0, *(match.end() for match in _SIGNATURE_START.finditer(text))][-4:]:
        if len(text) - start <= _LONGEST_SIGNATURE and (
            SIGNATURE.match(text, start) or _is_signed_line(text, flat, start)
        ):
            return [place for place in places if place[2] <= start] + [("signature", start, len(flat))]
    if SIGNED_NAME.fullmatch(text) and not is_quoted:
        return [("signature", 0, len(flat))]
    if places and places[-1][0] in _BEFORE_NAMES and NAME_ALONE.fullmatch(text, places[-1][2]):
        return [*places, ("signature", places[-1][2], len(flat))]
    return places


def _is_signed_line(text: str, flat: str, start: int) -> bool:
    """Return whether a name with a dash is the last line, after a line break. Several such lines are a list."""
    return (
        not flat[flat.rfind(LINE_BREAK, 0, start) : start].strip()
        and LINE_BREAK in flat[:start]
        and SIGNED_NAME.match(text, start) is not None
        and len(_DASHED_LINE.findall(text)) == 1
    )
