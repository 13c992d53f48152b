"""Find pleas for help and apologies at the end of a post, and sentences that only point to a removed image.

As in `phrases`, a sentence is found by all of its words: one other word makes it content.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import islice

from tuning.dataset.boilerplate.phrases import COMMON, EMOTICON, THANKING, WORD
from tuning.dataset.boilerplate.places import Boilerplate
from tuning.dataset.boilerplate.segments import BLOCK, LINE_BREAK, OPAQUE, TRANSPARENT, masked

_MOST_WORDS = 20
_MOST_PLEAS = 4  # at the end of one post
_LONGEST = 160  # characters of a plea
_TAIL = 240  # characters at the end of a post in which a plea is searched
_WORDS_OF_PLEAS = """
    achieve advise advised apologies apologise apologize appriciated bad because beginner broken cause causes causing
    correct correctly cope desperate desperately english error errors excuse figure first fix fixed fixing formatting
    grammar guide happen happening happens having inexperience lack language mistake mistakes native needed need newbie
    noob not perfect poor post ps quickly resolve resolved resolving silly sorry speaker spelling stuck stupid suggested
    task there thoughts trouble troubles typos understand urgent urgently useful want why working work wrong worked
    advices dumb accomplish here's what's i've can't cannot don't doesn't isn't won't couldn't
    """
_PLEADING = COMMON | THANKING | frozenset(_WORDS_OF_PLEAS.split())
_HELP = (
    r"(?:help|assist(?:ance)?|advi[cs]es?|suggest(?:ions?)?|guid(?:e|ance)|ideas?|hints?|tips?|pointers?|thoughts?"
    r"|input)"
)
_PLEA = re.compile(
    rf"\b(?:please|pls|plz|kindly)\s+(?:\w+\s+)?{_HELP}\b|\b{_HELP}\s*,?\s+(?:me|us|please|pls|plz|needed|out)\b"
    rf"|\b(?:any|some|your|needs?|ur)\s+(?:\w+\s+)?{_HELP}\b"
    r"|\b(?:sorry|apolog\w+|excuse)\b.*\b(?:english|formatting|grammar|language|typos|mistakes|noob|newbie"
    r"|(?:dumb|stupid|silly)\s+question)\b"
    r"|\bnot\s+my\s+(?:native|first)\s+language\b",
    re.IGNORECASE,
)
# One of these is in each plea.
SIGNS = (
    "help", "idea", "suggest", "advi", "thought", "guid", "hint", "tip", "pointer", "input", "assist", "sorry",
    "apolog", "excuse", "language",
)  # fmt: skip
_BEFORE = ("<p>", "\n", ". ", "? ", "! ")  # a sentence begins after the last of these, or later
_GLUED = re.compile(r"\w\w[.!?]\w")  # two sentences without a space between them
_PS = re.compile(r"(?:\A|(?<=[\s\x1e\x1f]))P\.?\s?S\.?[:.,-]*\s*\Z", re.IGNORECASE)
_THE = r"(?:(?:the|this|my|an?|attached|following|above|below|these|those|some|here|is|are)\s+)*"
_PICTURE = r"(?:images?|pictures?|pics?|photos?|screen\s?-?shots?|screen\s?captures?|figures?)"
_POINTS_TO_IMAGE = re.compile(
    rf"[\s(\[*_]*(?:(?:please\s+|kindly\s+)?(?:see|check|look\s+at|refer\s+to|view|find)\s+{_THE}{_PICTURE}"
    rf"|(?:here|below|above|attached|following)(?:\s*['’]s|\s+is|\s+are)?\s+{_THE}{_PICTURE}|{_THE}{_PICTURE})"
    r"(?:\s+(?:attached|below|above|here|for\s+(?:reference|clarity|details|more\s+details)))*\s*[\s)\].:;!,*_-]*",
    re.IGNORECASE,
)
_LONGEST_POINTER = 80  # characters
_ENDS_OF_LINES = ("</p>", "<br>", "<br/>", "<br />")
_END = re.compile(r"[.!?…\n\x1e](?:(?<=[\n\x1e])|[.!?…]*[\"'”’)\]*]*(?=[\s\x1e\x1f]|\Z))")
_CLOSE = re.compile(r"</p>\n*")
_TAG = re.compile(r"<(/?)[^<>]*>")


def may_plead(html: str) -> bool:
    """Return whether `pleas` can find something at the end of the post."""
    return _has_sign(html[-_TAIL:])


def pleas(html: str, found: Sequence[Boilerplate]) -> list[Boilerplate]:
    """Return the pleas at the end of the post, in order. Nothing but boilerplate follows them."""
    return list(_pleas_from_the_end(html, found))[::-1]


def _pleas_from_the_end(html: str, found: Sequence[Boilerplate]) -> Iterator[Boilerplate]:
    end = len(html)
    for _ in range(_MOST_PLEAS + len(found)):
        end = _before_space(html, end, found)
        last = html[max(0, end - _LONGEST) : end]
        if not _has_sign(last[max(map(last.rfind, _BEFORE)) + 1 :]):
            return
        sentence = _last_sentence(html, end)
        if sentence is None or not _is_plea(sentence[0]):
            return
        _, start, stop = sentence
        if start <= 0 or any(start < one.end and one.start < end for one in found):  # it is all that the post says
            return
        yield Boilerplate("plea", start, stop)
        end = start


def image_pointers(html: str, found: Sequence[Boilerplate]) -> Iterator[Boilerplate]:
    """Yield the sentences before removed images that only point to the image."""
    for image in found:
        if image.kind != "image":
            continue
        end = _before_space(html, image.start, [])
        sentence = _last_sentence(html, end)
        if sentence and len(sentence[0]) <= _LONGEST_POINTER and _POINTS_TO_IMAGE.fullmatch(sentence[0]):
            _, start, stop = sentence
            if not any(start < one.end and one.start < stop for one in found):
                yield Boilerplate("image pointer", start, stop)


def _has_sign(html: str) -> bool:
    lower = html.lower()
    return any(map(lower.__contains__, SIGNS))


def _is_plea(sentence: str) -> bool:
    if len(sentence) > _LONGEST or not _PLEA.search(sentence) or _GLUED.search(sentence):
        return False
    words = list(islice(WORD.finditer(EMOTICON.sub(" ", sentence)), _MOST_WORDS + 1))
    return len(words) <= _MOST_WORDS and all(word[0].lower().replace("’", "'") in _PLEADING for word in words)


def _before_space(html: str, end: int, found: Sequence[Boilerplate]) -> int:
    """Return the place before the white space, ends of paragraphs and boilerplate that end at `end`."""
    while True:
        before = end
        end = min((one.start for one in found if one.start < end <= one.end), default=end)
        while end and html[end - 1].isspace():
            end -= 1
        if html.endswith(_ENDS_OF_LINES, 0, end):
            end = html.rindex("<", 0, end)
        if end == before:
            return end


def _last_sentence(html: str, end: int) -> tuple[str, int, int] | None:
    """Return the sentence of a paragraph that ends at `end`, and what to remove: it alone, or the whole paragraph."""
    paragraph = html.rfind("<p>", 0, end)
    content = html[paragraph + 3 : end]
    if paragraph < 0 or BLOCK.search(content):
        return None
    flat = masked(content)
    start = 0
    for match in _END.finditer(flat):
        if flat[match.end() :].strip():
            start = match.end()
    sentence = flat[start:]
    if OPAQUE in sentence or not sentence.strip():
        return None
    if TRANSPARENT in sentence:
        tags = [tag[1] for tag in _TAG.finditer(content, start)]
        if tags.count("/") * 2 != len(tags) or (tags and tags[0] == "/"):
            return None
    if mark := _PS.search(flat, 0, start):
        start = mark.start()
    while start and flat[start - 1] in f"{LINE_BREAK} \t\n":
        start -= 1
    if start == 0 and (close := _CLOSE.match(html, end)):
        return sentence, paragraph, close.end()
    return sentence, paragraph + 3 + start, end
