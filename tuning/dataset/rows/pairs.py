"""One question with its answer on the way to a line: converted, redacted, judged."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec

from tuning.dataset.filters import TokenLimits, check_answer, check_length, check_pair
from tuning.dataset.formats.codec import as_prompt, encode
from tuning.dataset.formats.limits import example_tokens
from tuning.dataset.formats.records import Example, Message
from tuning.dataset.markdown import convert
from tuning.dataset.options import DatasetOptions
from tuning.dataset.redact.redact import redact
from tuning.dataset.similar.decontaminate import overlap
from tuning.dataset.tokens import TokenEstimator

# Tokens that a chat template puts around system, user and assistant: the largest in use adds about thirty.
_TEMPLATE_TOKENS = 40


class Pair(msgspec.Struct):
    """One row. `reason` is set where it is dropped, by `step` of the funnel."""

    row: int
    title: str
    body: str
    answer: str
    rejected: str | None = None
    prompt: tuple[Message, ...] = ()
    prompt_tokens: int = 0
    answer_tokens: int = 0
    changes: list[str] = []  # as the attribution has them
    step: str = ""
    reason: str = ""

    @property
    def question(self) -> str:
        return f"{self.title}\n\n{self.body}"

    def drop(self, step: str, reason: str) -> None:
        self.step, self.reason = step, str(reason)


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What pairs are made with. Plain values: it travels to the workers."""

    options: DatasetOptions
    template: str
    base_url: str  # of the site, for relative links
    tokens: TokenEstimator = TokenEstimator()

    @property
    def token_limits(self) -> TokenLimits:
        limit = example_tokens(self.options.format)
        return TokenLimits(example=limit, training=self.options.max_length, overhead=_TEMPLATE_TOKENS)


def judge(pairs: Sequence[Pair], rules: Rules) -> None:
    """Convert, redact and judge each pair in place."""
    for pair in pairs:
        _clean(pair, rules)
        if not pair.reason:
            _filter(pair, rules)
    if rules.options.decontaminate:
        _decontaminate([pair for pair in pairs if not pair.reason], rules.options.decontaminate)


def line_of(pair: Pair, rules: Rules) -> bytes:
    return encode(rules.options.format, Example(pair.prompt, pair.answer, pair.rejected)) + b"\n"


def _clean(pair: Pair, rules: Rules) -> None:
    if rules.options.body == "markdown":
        for name in ("body", "answer", "rejected"):
            html = getattr(pair, name)
            markdown = html if html is None else convert.to_markdown(html, rules.base_url)
            if isinstance(markdown, convert.Dropped):
                return pair.drop("clean", markdown.reason)
            setattr(pair, name, markdown)
        pair.changes = ["converted to Markdown"]
    kinds: Counter[str] = Counter()
    for name in ("title", "body", "answer", "rejected"):
        if (text := getattr(pair, name)) is not None:
            redacted, found = redact(text)
            setattr(pair, name, redacted)
            kinds.update(found)
    pair.changes += [f"redacted {count} {kind}" for kind, count in sorted(kinds.items())]
    return None


def _filter(pair: Pair, rules: Rules) -> None:
    options = rules.options
    reason = check_pair(pair.body, pair.answer) or (pair.rejected and check_answer(pair.rejected))
    if reason:
        return pair.drop("filter", reason)
    pair.prompt = as_prompt(options.format, rules.template, pair.title, pair.body, options.body)
    prompt = "\n".join(message.content for message in pair.prompt)
    pair.prompt_tokens, pair.answer_tokens = rules.tokens.estimate(prompt), rules.tokens.estimate(pair.answer)
    limits = rules.token_limits
    lowest = min(limits.example, limits.training or limits.example) / (1 + rules.tokens.margin)
    if pair.rejected is None and pair.prompt_tokens + pair.answer_tokens + limits.overhead < lowest:
        return None
    for answer in (pair.answer, pair.rejected):
        if answer is not None and (too_long := check_length(prompt, answer, limits, rules.tokens)):
            return pair.drop("filter", too_long)
    return None


def _decontaminate(pairs: Sequence[Pair], path: Path) -> None:
    questions = overlap([pair.question for pair in pairs], path)
    answers = overlap([pair.answer for pair in pairs], path)
    for pair, in_question, in_answer in zip(pairs, questions, answers, strict=True):
        if in_question or in_answer:
            pair.drop("filter", "shares 13 words in a row with the benchmark")
