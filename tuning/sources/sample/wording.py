"""Write a question about one entry in natural language. The result is the same on every run."""

import hashlib
import re
from dataclasses import dataclass

from tuning.sources.sample.docs import Entry
from tuning.sources.sample.markup import code, inline, plain, pre

# If a docstring starts with one of these verbs, it says what the function does. "Return the …" becomes "How do I get
# the …?".
_VERB_LIST = """
    abort accept acquire add adjust allocate append apply arrange assign associate attach authenticate begin bind
    block build calculate call cancel capture change check choose clean clear close collapse combine compare compile
    compress compute concatenate configure connect construct control convert copy count create cut decode decompress
    decrement delete deserialize detach determine disable disassemble discard dispatch display divide download draw
    dump duplicate emit enable encode encrypt end ensure enter enumerate escape evaluate execute exit expand export
    extend extract fail feed fetch fill filter find finish flatten flush force fork format generate get group guess
    handle hash import increment indicate initialize insert install interpret invoke issue iterate join kill launch
    list load locate lock log look make map mark match merge modify mount move multiply negate normalize obtain open
    pack pad parse pass perform place pop prepare prepend print process produce push put query quote raise read
    receive record reformat register reject release reload remove rename repeat replace report request require reset
    resize resolve restore resume retrieve return reverse rewind rotate round run save scale scan schedule search
    select send separate serialize serve set shift show shuffle shut sort split start stop store strip substitute
    subscribe subtract suspend swap switch synchronize take terminate test time trace transform translate transmit
    traverse trim truncate try turn unescape unlock unpack unquote unregister unsubscribe unwrap update upgrade upload
    use validate verify visit wait wake walk warn wrap write yield
"""
_VERBS = frozenset(_VERB_LIST.split())
_LONGEST_TITLE = 150  # characters, as on Stack Overflow
_SENTENCE_END = re.compile(r"(?<!e\.g)(?<!i\.e)(?<!etc)[.:](?=\s|\Z)")

_TASK_TITLES = (
    "How do I {task} in Python?",
    "How can I {task}?",
    "How to {task} with {module}?",
    "What is the right way to {task}?",
    "Python: {task} using the {module} module",
    "Is there something in {module} to {task}?",
)
_NAME_TITLES = (
    "What is {name} for?",
    "When would one use {name}?",
    "What does {name} do in Python?",
    "How should I understand {name}?",
    "{name}: what is it and how is it used?",
)
_TASK_BODIES = (
    "I am writing a script with {module} and need to {task}. What does the call look like?",
    "My program has to {task}. I looked at {module}, but could not find where this is described.",
    "{module} probably has this already: I would like to {task}. Which arguments does it take?",
    "Suppose I want to {task}. Does the standard library help, or do I write it myself?",
    "Coming from another language, I wonder how people {task} here. I would rather not add a dependency.",
    "For a small tool I have to {task}. Somebody mentioned {module}; an explanation would be welcome.",
)
_NAME_BODIES = (
    "I came across {name} while reading code that uses {module}. What is it there for?",
    "A colleague's patch uses {name} and I do not want to approve it blindly. Could you explain it?",
    "The list of names in {module} includes {name}. I am not sure what I would do with it.",
    "Can somebody describe {name} in a few words, ideally with its arguments?",
    "I keep seeing {name} in examples of {module}. How does it behave?",
)
_ATTEMPTS = (
    "This is as far as I got:",
    "So far I only have this:",
    "I started like this:",
)


@dataclass(frozen=True)
class Question:
    """Hold a question. `title` is plain text, and `body` is HTML as in Stack Overflow posts."""

    title: str
    body: str


def question(entry: Entry) -> Question:
    """Write a question about the entry: about its task, or about its name if the docstring names no task."""
    pick = Picker(entry.dotted)
    task = _task(entry)
    if task and len(task) <= _LONGEST_TITLE - 50:
        title, text = pick.of(_TASK_TITLES), pick.of(_TASK_BODIES)
    else:
        title, text, task = pick.of(_NAME_TITLES), pick.of(_NAME_BODIES), ""
    title = title.format(task=task, module=entry.module, name=entry.dotted)
    # The template needs no escaping. inline() and code() escape the values.
    body = f"<p>{text.format(task=inline(task), module=code(entry.module), name=code(entry.dotted))}</p>\n"
    if task and pick.one_in(4):
        body += f"<p>{pick.of(_ATTEMPTS)}</p>\n{pre(_attempt(entry))}"
    return Question(title=plain(title), body=body)


class Picker:
    """Make pseudo-random choices that depend only on a name, so they are the same on every run and machine."""

    def __init__(self, name: str) -> None:
        self._number = int.from_bytes(hashlib.sha256(name.encode()).digest(), "big")

    def below(self, bound: int) -> int:
        """Return the next number from 0 up to `bound` - 1."""
        self._number, choice = divmod(self._number, bound)
        return choice

    def of(self, options: tuple[str, ...]) -> str:
        """Return one of the options."""
        return options[self.below(len(options))]

    def one_in(self, count: int) -> bool:
        """Return True in one of `count` cases."""
        return self.below(count) == 0


def summary(entry: Entry) -> str:
    """Return the docstring's first sentence on one line, without the period."""
    paragraph = " ".join(entry.doc.split("\n\n")[0].split())
    end = _SENTENCE_END.search(paragraph)
    return paragraph[: end.start()] if end else paragraph


def _task(entry: Entry) -> str:
    """Return a task such as ``get the absolute value`` for ``Returns the absolute value.``, or "" if there is none."""
    if entry.kind == "class" or ">>>" in summary(entry):
        return ""
    verb, _, rest = summary(entry).partition(" ")
    verb = verb.lower()
    if verb not in _VERBS:
        verb = verb.removesuffix("s") if verb.removesuffix("s") in _VERBS else verb.removesuffix("es")
    if verb not in _VERBS or not rest:
        return ""
    return f"{'get' if verb == 'return' else verb} {rest}"


def _attempt(entry: Entry) -> str:
    if entry.module == "builtins":
        return f">>> help({entry.owner or entry.name})"
    return f">>> import {entry.module}\n>>> help({'.'.join(filter(None, [entry.module, entry.owner]))})"
