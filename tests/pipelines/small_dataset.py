"""A small dataset of invented questions, written as the dataset stage writes one."""

from pathlib import Path

import msgspec

from tuning.dataset.dataset import Attribution, Dataset, FileFacts, Manifest, Split, open_dataset
from tuning.dataset.formats.codec import encode
from tuning.dataset.formats.records import Example, Format, Message
from tuning.storage import sha256_of, write_json

TOPICS = ("list", "dict", "file", "string", "class", "loop", "module")


def write_dataset(
    folder: Path,
    train: int = 80,
    evaluation: int = 60,
    format_: Format = "messages",
    first_question: int = 1000,
    tag: str = "python",
) -> Dataset:
    """`train` and `evaluation` examples with a `tag`; question ids count from `first_question`."""
    folder.mkdir(parents=True)
    attributions = []
    for split, count, offset in (("train", train, 0), ("eval", evaluation, train)):
        lines = [encode(format_, example(offset + number)) for number in range(count)]
        (folder / f"{split}.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))
        attributions += [attribution(first_question + offset + number, split, number, tag) for number in range(count)]
    (folder / "attribution.jsonl").write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in attributions))
    rows = {"train.jsonl": train, "eval.jsonl": evaluation, "attribution.jsonl": train + evaluation}
    manifest = Manifest(
        id=folder.name,
        format=format_,
        template="Answer the question.",
        options={"seed": 42},
        build={"site": "python-qa-tuning"},
        versions={},
        funnel=[{"step": "mart", "reason": "", "rows": train + evaluation}],
        files={
            name: FileFacts(count, (folder / name).stat().st_size, sha256_of(folder / name))
            for name, count in rows.items()
        },
        tokens={},
        leaks={},
    )
    write_json(folder / "manifest.json", msgspec.to_builtins(manifest))
    return open_dataset(folder)


def example(number: int) -> Example:
    topic = TOPICS[number % len(TOPICS)]
    question = f"How do I use a {topic}, case {number}?"
    answer = f"Use the {topic} like this:\n\n```python\n{topic}_{number} = {number}\nprint({topic}_{number})\n```"
    return Example((Message("system", "Answer the question."), Message("user", question)), answer)


def attribution(question: int, split: Split, line: int, tag: str) -> Attribution:
    return Attribution(
        example_id=f"{question}-{question + 1}",
        split=split,
        line=line,
        question_id=question,
        answer_id=question + 1,
        group=question,
        tags=[tag, TOPICS[line % len(TOPICS)]],
        question_score=1,
        answer_score=line % 20,
        question_created_at="2021-01-01T00:00:00Z",
        answer_created_at="2021-02-01T00:00:00Z",
        question_url=f"urn:python-qa-tuning/questions/{question}",
        answer_url=f"urn:python-qa-tuning/a/{question + 1}",
        question_author="the authors of python-qa-tuning",
        question_author_url="",
        answer_author="the authors of python-qa-tuning",
        answer_author_url="",
        question_license="Apache-2.0",
        question_license_url="",
        answer_license="Apache-2.0",
        answer_license_url="",
        changes=[],
    )
