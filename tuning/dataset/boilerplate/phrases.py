"""Recognize sentences that say nothing about the topic: greetings, thanks, good wishes, edit marks and signatures.

A sentence is recognized by all of its words. One other word ("thanks to the GIL", "I hope this is not what you want")
makes it content.
"""

import re

# What may stand around the words of such a sentence: punctuation and emoticons.
WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
EMOTICON = re.compile(r"(?<!\w)(?:[:;=xX8][-^o']?[)(DPpO3*/\\|]+|<3|\^[_.]?\^|[xX]D)(?!\w)")
_MOST_WORDS = 25

_COMMON_WORDS = """
    a about again all also always am and another any anybody anyhow anyone anything anyway are as at be been but by can
    could do does either else even ever every everybody everyone for from further get gets getting give given giving go
    got great greatly guy guys had has have having here hi hello hey highly how however i i'd i'll i'm i've if in
    is it it'd
    it'll it's its just kind kindly let lot lots many may me might more most much my now of off on one ones or other
    others our out over people please pls plz possible provide provided really so some somebody someone something soon
    still such than that that's that'd the their them there these they this those though to too u up us very was way we
    we'd we'll well were what when which who whoever will with would ya you you'd you'll your yours
    """
COMMON = frozenset(_COMMON_WORDS.split())
_THANKING_WORDS = """
    advance advanced alot advice advices ahead already amazing answer answered answering answers appreciate appreciated
    appreciates appreciation appreciative assist assistance assisting attention awesome aware beforehand best bunch
    cheers clarification clarifications comment comments commenting community contribution contributions dear deeply
    direction directions effort efforts eternally everyone explanation explanations extremely fantastic fast feedback
    folks forward friend friends glad good grateful gratefully gratitude guidance guide guiding happy hear hearing heap
    heaps help helped helpful helpfull helping helps hint hints hugely idea ideas immensely information info input
    inputs insight insights issue kindness ton tons loads look looking massively mate mates matter million nice offer
    patience point pointer pointers pointing problem question questions quick read reading recommendation
    recommendations regards replies reply replying response responses responding right sincerely sir solution solutions
    sort stackoverflow stack overflow stopping suggest suggestion suggestions super support sure taking tackling
    thank thanks thankful thankfully thankyou thanx thnx thx tia tip tips tnx tried trying ty time tremendously
    experience interesting knowledge sharing solve solving understand useful reader readers reviewing
    understanding valuable wait welcome willing wonderful wondering works wish y'all 've
    """
THANKING = frozenset(_THANKING_WORDS.split())
_THANKS = re.compile(
    r"\b(?:thanks?|thankyou|thankful|thx|tnx|thanx|thnx|tia|ty|cheers|appreciat\w*|grateful|gratitude)\b", re.IGNORECASE
)
# "Thanks to this trick" gives a reason, and "I appreciate that" often means "I understand that".
_REASON = re.compile(
    r"\bthanks? to (?!all\b|every|you\b|any|those\b|who|help|the community)|\bappreciate (?:that|there|how|why)\b",
    re.IGNORECASE,
)
_WISHING_WORDS = """
    answer answers answered bit clarifies clarified clarify clear clearer clears cheers coding day enjoy enough explain
    explains everything fine found future good happy have help helped helpful helping helpfull helps hope
    hoped hopefully
    hopes hoping hth idea issue know let light little luck make makes need nice picture point problem programming
    similar somewhat started
    question questions right safe sense solve solved solves somehow sorts thing things time understand use useful week
    weekend wish wishes doing best
    """
_WISHING = frozenset(_WISHING_WORDS.split())
_WISH = re.compile(
    r"\bhop(?:e|es|ed|efully|ing)\b|\bhth\b|\bgood luck\b|\bhappy (?:coding|programming)\b", re.IGNORECASE
)
_WISHED = re.compile(
    r"help|useful|clear|clarif|sense|answer|understand|luck|coding|programming|solve|doing well|hth|explain|nice day|"
    r"picture|point",
    re.IGNORECASE,
)


_SOME = ("thank", "thx", "tnx", "thanx", "cheers", "appreciat", "grat", "tia", "ty", "hop", "hth", "luck", "happy")


def may_say_nothing(text: str) -> bool:
    """Return whether `kind_of_sentence` or a clause can find something in the text."""
    return any(map(text.lower().__contains__, _SOME))


def kind_of_sentence(sentence: str) -> str:
    """Return "thank-you" or "good wish" if the sentence is nothing else, or ''. A question is always content."""
    if "?" in sentence:
        return ""
    is_thanks = _THANKS.search(sentence) is not None
    is_wish = _WISH.search(sentence) is not None and _WISHED.search(sentence) is not None
    if not (is_thanks or is_wish) or _REASON.search(sentence):
        return ""
    if is_wish and "future" in sentence and "help" not in sentence:
        return ""
    words = WORD.findall(EMOTICON.sub(" ", sentence).lower().replace("’", "'"))
    if len(words) > _MOST_WORDS or not all(
        word in COMMON or (is_thanks and word in THANKING) or (is_wish and word in _WISHING) for word in words
    ):
        return ""
    return "thank-you" if is_thanks else "good wish"


def has_words(text: str) -> bool:
    """Return whether the text has more than punctuation and emoticons."""
    return WORD.search(EMOTICON.sub(" ", text)) is not None


# "I am stuck, thanks!", "It is fixed, hope this helps": the group is what may be removed. A comma or a dash
# separates it.
CLAUSE_AT_END = re.compile(
    r"(?P<clause>\s*[,;–—-]+\s*(?:and\s+)?(?:many\s+|much\s+)?(?:thanks|thank\s+you|thx|cheers|tia)"
    r"(?:\s+(?:in\s+advanced?|a\s+lot|so\s+much|very\s+much|all|guys|everyone|again))*"
    r"|\s+(?:and\s+)?(?:many\s+)?(?:thanks|thank\s+you)(?:\s+(?:a\s+lot|so\s+much|very\s+much))?\s+in\s+advanced?"
    r"|\s*[,;–—-]+\s*(?:and\s+)?(?:i\s+)?hope\s+(?:this|that|it)\s+help(?:s|ed)?(?:\s+you)?)"
    r"\s*(?:[.!]*|[:;=]-?[)D])\s*\Z",
    re.IGNORECASE,
)
# "Thanks in advance, here is my code:"
CLAUSE_AT_START = re.compile(
    r"\s*(?:many\s+)?(?:thanks|thank\s+you)(?:\s+(?:a\s+lot|so\s+much|very\s+much|all))?\s+in\s+advanced?"
    r"(?:\s+for\s+(?:your|any|the)\s+(?:help|time|answers?))?\s*[,;]+\s*(?:and\s+)?",
    re.IGNORECASE,
)


# Greetings ------------------------------------------------------------------------------------------------------------

_GROUP = (
    r"(?:there|all|every\s?one|every\s?body|guys|folks|friends|people|team|community|experts?|gurus?|devs?|developers?|"
    r"programmers?|coders?|members?|sirs?|madam|mates?|gents|ladies|gentlemen|dudes?|"
    r"(?:stack\s?overflow|so|python|cardano|plutus)(?:ers?|istas?|ians?)?(?:\s+(?:community|users?|experts?|"
    r"developers?|people|folks|gurus?|team|members?))?|pythonistas?|stackers)"
)
_HELLO = r"(?:hi+|hello+|hey+|hiya|howdy|greetings|hola|good\s+(?:morning|afternoon|evening|day))"
# The end of a greeting, but not the hyphen or the dot within "hi-res" and "hello.py".
_STOP = r"(?!(?<=\w)(?:-|\.(?=(?-i:[a-z])))(?!i\b)\w)[,.!:;…–—-]+"
GREETING = re.compile(
    rf"\s*(?:(?:{_HELLO}|dear)(?:[\s,]+(?:to\s+)?(?:(?:my|dear|fellow|again|the|and|&amp;)\s+)*{_GROUP})+"
    rf"(?:\s*{_STOP}|\s*$|(?<!ython)(?<!rdano)(?<!lutus)\s(?!and\b|&amp;))"
    rf"|{_HELLO}(?!\W*world\b)(?:\s+again)?(?:\s*{_STOP}|\s*$|\s+(?=(?:I|i|I['’]\w+|i['’]\w+|Im|im|So|so|My|my|We|we|am)\s))"
    rf"|(?:{_HELLO}|dear)\s+@[\w.-]+\s*[,.!:]*"
    rf"|welcome\s+to\s+(?:stack\s?overflow|so|the\s+(?:community|site|forum))\s*(?:[,.!]+|$))\s*",
    re.IGNORECASE,
)
NAMED_GREETING = re.compile(rf"\s*(?i:{_HELLO}|dear)\s+(?![Ww]orld)[A-Z][\w.-]*(?:\s[A-Z][\w.-]*)?\s*(?:[,!:]+|$)\s*")
# "Hi, Joe! is what it prints": what follows says something about the greeting, and does not ask ("Hi, is there a …").
_MENTION = re.compile(
    r"(?:[A-Z]\w*\s*[!.,]+\s*)?[\"'”’]?\s*(?:is|was|are|were|gets|appears|means|becomes|will\s+be|should\s+be)\s"
    r"(?!(?:it|there|this|that|these|those|any\w*|some\w*|my|i|you)\b)[^?]*?(?:[.!]|\Z)(?:\s|\Z)"
)


def greeting_end(line: str) -> int:
    """Return where the greeting at the start of a line ends, or 0 if there is none."""
    match = GREETING.match(line) or NAMED_GREETING.match(line)
    return 0 if match is None or _MENTION.match(line, match.end()) else match.end()


# Marks of edits -------------------------------------------------------------------------------------------------------

_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_DATE = (
    rf"(?:\d{{1,4}}[-/.]\d{{1,2}}[-/.]\d{{1,4}}|{_MONTH}\s+\d{{1,2}}(?:st|nd|rd|th)?(?:,?\s+\d{{4}})?|"
    rf"(?:\d{{1,2}}(?:st|nd|rd|th)?\s+)?{_MONTH},?\s+\d{{4}}|(?:19|20)\d\d)"
)
# Groups: the word, a number or date, and what ends the mark.
EDIT = re.compile(
    r"[\s*_~=#/@-]*(?P<bracket>[(\[])?\s*(?P<word>edit(?:ed)?|updated?|upd)(?:\s*(?:/|and|&amp;)\s*(?:edit|update)s?)?"
    rf"(?P<detail>\s*[(\[]?\s*(?:#|no\.?\s*|nr\.?\s*|on\s+|of\s+|as\s+of\s+)?(?:\d{{1,2}}(?![\w./]|:\d)|{_DATE})\s*[)\]]?)*"
    r"\s*(?P<end>[)\]]?\s*(?:[:：]+[\s-]*|[-–—]+(?!\s*(?:>|&gt;))(?=\s|$)|[.…!]+(?=\s|$))?|[)\]])[\s*_=-]*",
    re.IGNORECASE,
)


def is_edit_mark(match: re.Match[str], *, is_apart: bool) -> bool:
    """Return whether a match of EDIT is a mark and not the start of a sentence, such as "Update pip first".

    `is_apart` says that the mark is set apart from the text: it is a line, bold or in brackets.
    """
    if match["word"].lower() == "edited" and not (match["end"].strip() or is_apart):
        return False
    if ":" in match["end"] or "：" in match["end"] or is_apart:
        return True
    return bool(match["end"].strip()) and (match["word"].isupper() or match["detail"] is not None)


# Signatures -----------------------------------------------------------------------------------------------------------

_NAME = r"(?:\s*[-–—~]*\s*[A-Z@][\w.-]*(?:\s[A-Z][\w.-]*){0,2}|\s*[-–—~]*\s*[a-z]\w{1,14})"
_CLOSING = (
    r"(?:(?:(?:kind|kindest|best|warm|warmest|with(?:\s+kind)?|many)\s+)?regards?|best\s+wishes|sincerely(?:\s+yours)?|"
    r"yours(?:\s+(?:truly|sincerely|faithfully))?|respectfully|cheers)"
)
_THANKS_OR_BEST = (
    r"(?:best|br|kr|(?:many\s+)?(?:thanks|thank\s+you|thx)(?:\s+(?:in\s+advance|a\s+lot|(?:so|very)\s+much|again))?)"
)
# The end of a post: a closing with or without a name. A name without a comma or a line before it is capitalized.
SIGNATURE = re.compile(
    rf"\s*(?:(?i:{_CLOSING})\s*[,.!;–—-]*(?:\s*\n{_NAME}|(?<=[,.!;–—-]){_NAME}|\s+[A-Z]\w*(?:\s[A-Z]\w*)?)?"
    rf"|(?i:{_THANKS_OR_BEST})\s*[,.!;–—-]*(?:\s*\n{_NAME}|(?<=[,;–—-]){_NAME})"
    r"|(?:[Bb]est|BR|KR),?)[.!]*\s*\Z"
)
NAME_ALONE = re.compile(r"\s*[-–—~/]*\s*[A-Z][a-z]+(?:\s[A-Z][a-z.]*)?[.!]*\s*")
SIGNED_NAME = re.compile(r"\s*[-–—~]{1,2}\s?[A-Z][a-z]+[.!]?\s*\Z")
