"""Convert, redact, filter, and encode pairs of question and answer."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec

from tuning.dataset.filters import (
    LEAST_CHARACTERS,
    Reason,
    TokenLimits,
    check_answer,
    check_code,
    check_length,
    check_pair,
    has_control_characters,
)
from tuning.dataset.formats.codec import as_prompt, encode
from tuning.dataset.formats.limits import example_tokens
from tuning.dataset.formats.records import Example, Message
from tuning.dataset.markdown.convert import Dropped, convert_all
from tuning.dataset.options import DatasetOptions
from tuning.dataset.redact.own_rules import load_rules
from tuning.dataset.redact.redact import redact
from tuning.dataset.similar.decontaminate import read_benchmark
from tuning.dataset.similar.shingles import THRESHOLD, shingles, similarity
from tuning.dataset.similar.words import exact_part

# Tokens that a chat template adds to the messages of an example. The largest template in use adds about 30,
# so 40 leaves a margin.
_TEMPLATE_TOKENS = 40


class Pair(msgspec.Struct):
    """Hold one row while it is prepared. If the row is dropped, `step` and `reason` say where in the funnel and why."""

    row: int
    title: str
    body: str
    answer: str
    rejected: str | None = None
    similarity: float = 0  # of the answer and the rejected answer
    code_problem: Reason | None = None  # of the code as its author wrote it, if `--code parses` looks at it
    prompt: tuple[Message, ...] = ()
    changes: list[str] = []  # as written to attribution.jsonl
    step: str = ""
    reason: str = ""
    benchmark_item: int | None = None  # the item of the benchmark for which the row is dropped

    @property
    def question(self) -> str:
        """Return the title and the body, separated by a blank line."""
        return f"{self.title}\n\n{self.body}"

    @property
    def prompt_text(self) -> str:
        """Return the texts of all messages of the prompt."""
        return "\n".join(message.content for message in self.prompt)

    def drop(self, step: str, reason: str) -> None:
        """Mark the pair as dropped by this step for this reason."""
        self.step, self.reason = step, str(reason)


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """Hold the settings for preparing pairs. The fields are plain values, so they can be sent to worker processes."""

    options: DatasetOptions
    template: str
    base_url: str  # base of relative links in the texts
    counted: float = 1.0  # share of the questions whose tokens are counted for the card

    @property
    def token_limits(self) -> TokenLimits:
        """Return the token limits of the format and the trainer."""
        limit = example_tokens(self.options.format)
        return TokenLimits(example=limit, training=self.options.max_length, overhead=_TEMPLATE_TOKENS)


def clean_and_filter(pairs: Sequence[Pair], rules: Rules) -> None:
    """Convert, redact, and filter each pair in place.

    Raises TuningError if the tokenizer, the benchmark file or the file of redaction rules is not valid.
    """
    clean(pairs, rules)
    for pair in pairs:
        if not pair.reason:
            _filter(pair, rules)
    if rules.options.decontaminate:
        _decontaminate([pair for pair in pairs if not pair.reason], rules.options.decontaminate)


def line_of(pair: Pair, rules: Rules) -> bytes:
    """Return the pair as one line of its format, with the newline."""
    return encode(rules.options.format, Example(pair.prompt, pair.answer, pair.rejected)) + b"\n"


def clean(pairs: Sequence[Pair], rules: Rules) -> None:
    """Convert and redact the texts in place. Drop each pair of which a text cannot be converted, but redact it too."""
    if rules.options.body == "markdown":
        _convert(pairs, rules.base_url)
    own_rules = load_rules(rules.options.redact_rules) if rules.options.redact_rules else ()
    for pair in pairs:
        if rules.options.code == "parses":  # before the redaction, whose placeholders can be no Python
            pair.code_problem = check_code(pair.answer)
        is_html = rules.options.body == "html" or (bool(pair.reason) and not rules.options.is_own)
        kinds: list[str] = []
        for name in ("title", "body", "answer", "rejected"):
            if (text := getattr(pair, name)) is not None:
                redacted, found = redact(text, own_rules, is_html=is_html and name != "title")
                if found:
                    setattr(pair, name, redacted)
                    kinds += found
        if kinds:  # hardly ever, and counting nothing takes time too
            pair.changes += [f"redacted {count} {kind}" for kind, count in sorted(Counter(kinds).items())]


def _convert(pairs: Sequence[Pair], base_url: str) -> None:
    changes: list[Counter[str]] = [Counter() for _ in pairs]
    for name in ("body", "answer", "rejected"):
        left = [(pair, counts) for pair, counts in zip(pairs, changes, strict=True) if not pair.reason]
        texts = [(pair, counts, html) for pair, counts in left if (html := getattr(pair, name)) is not None]
        results = convert_all([html for _, _, html in texts], base_url)
        for (pair, counts, _), converted in zip(texts, results, strict=True):
            if isinstance(converted, Dropped):
                pair.drop("clean", converted.reason)
            else:
                setattr(pair, name, converted.markdown)
                if converted.changes:
                    counts.update(converted.changes)
    for pair, counts in zip(pairs, changes, strict=True):
        if not pair.reason:
            pair.changes = ["converted to Markdown", *(described(change, counts[change]) for change in sorted(counts))]


def described(change: str, count: int) -> str:
    """Return a change with its count: "removed greeting" becomes "removed 2 greetings"."""
    verb, noun = change.split(" ", 1)
    return f"{verb} {count} {plural(noun) if count > 1 else noun}"


def plural(noun: str) -> str:
    """Return the plural of what a change removes or replaces, such as "greeting" or "good wish"."""
    return f"{noun}es" if noun.endswith("sh") else f"{noun}s"


def _filter(pair: Pair, rules: Rules) -> None:
    options = rules.options
    least = 1 if options.is_own else LEAST_CHARACTERS  # the answer of a user's own example can be one word
    reason = check_pair(pair.body, pair.answer, least)
    if not reason and options.is_own and has_control_characters(pair.title):  # the system message
        reason = Reason.CONTROL_CHARACTERS
    if not reason and pair.rejected is not None:
        reason = check_answer(pair.rejected)
    reason = reason or pair.code_problem
    if not reason and pair.rejected is not None:
        pair.similarity = _similarity(pair.answer, pair.rejected)
        is_near = pair.similarity >= THRESHOLD and exact_part(pair.answer) == exact_part(pair.rejected)
        reason = Reason.NEAR_EQUAL if is_near else None
    if reason:
        return pair.drop("filter", reason)
    pair.prompt = as_prompt(options.format, rules.template, pair.title, pair.body, options.body)
    prompt = pair.prompt_text
    for answer in (pair.answer, pair.rejected):
        if answer is not None and (too_long := check_length(prompt, answer, rules.token_limits, options.tokenizer)):
            return pair.drop("filter", too_long)
    return None


def _similarity(one: str, other: str) -> float:
    """Return the similarity of two texts. Texts that differ only in case and white space have 1."""
    if one.lower().split() == other.lower().split():
        return 1
    return similarity(shingles(one), shingles(other))


def _decontaminate(pairs: Sequence[Pair], path: Path) -> None:
    benchmark = read_benchmark(path)
    for texts in (
        [pair.question for pair in pairs],
        [pair.answer for pair in pairs],
        [pair.rejected or "" for pair in pairs],
    ):
        for pair, match in zip(pairs, benchmark.find(texts), strict=True):
            if match and not pair.reason:
                pair.drop("filter", match.reason)
                pair.benchmark_item = match.item
