"""Small invented datasets, written as the dataset stage writes them."""

from pathlib import Path

import msgspec

from tuning.dataset.dataset import Attribution, Dataset, FileFacts, Manifest, open_dataset
from tuning.dataset.formats.codec import encode
from tuning.dataset.formats.records import Example, Format, Message
from tuning.storage import sha256_of, write_json

NAMES = ("list", "dict", "file", "string", "class", "loop", "module", "tuple", "set", "path")


def question(number: int) -> tuple[Message, ...]:
    name = NAMES[number % len(NAMES)]
    return (Message("system", "Answer the question."), Message("user", f"How do I use a {name}?\n\nCase {number}."))


def helpful(number: int) -> str:
    name = NAMES[number % len(NAMES)]
    return f"Make the {name} first, then use it:\n\n```python\n{name} = make_{name}({number})\nprint({name})\n```"


def helpless(number: int) -> str:
    return f"Why would anyone want a {NAMES[number % len(NAMES)]}? Read the manual, and do not ask such things again."


def write_dataset(folder: Path, format_: Format = "messages", train: int = 80, evaluation: int = 20) -> Dataset:
    """Helpful answers; in a preference format the helpless ones are rejected."""
    preference = format_ == "trl-preference"
    examples = [
        Example(question(number), helpful(number), helpless(number) if preference else None)
        for number in range(train + evaluation)
    ]
    return write_examples(folder, format_, examples[:train], examples[train:])


def write_examples(folder: Path, format_: Format, train: list[Example], evaluation: list[Example]) -> Dataset:
    folder.mkdir(parents=True)
    for name, examples in (("train", train), ("eval", evaluation)):
        (folder / f"{name}.jsonl").write_bytes(b"".join(encode(format_, example) + b"\n" for example in examples))
    attributions = [_attribution("train", line, line) for line in range(len(train))]
    attributions += [_attribution("eval", line, len(train) + line) for line in range(len(evaluation))]
    (folder / "attribution.jsonl").write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in attributions))
    manifest = Manifest(
        id=folder.name,
        format=format_,
        template="Answer the question.",
        options={},
        build={"name": "Invented questions", "license": "CC0"},
        versions={},
        funnel=[],
        files={
            path.name: FileFacts(path.read_bytes().count(b"\n"), path.stat().st_size, sha256_of(path))
            for path in sorted(folder.glob("*.jsonl"))
        },
        tokens={},
        leaks={},
    )
    write_json(folder / "manifest.json", msgspec.to_builtins(manifest))
    return open_dataset(folder)


def _attribution(split: str, line: int, number: int) -> Attribution:
    required = [field.name for field in msgspec.structs.fields(Attribution) if field.required]
    values = dict.fromkeys(required, "")
    numbers = {"question_score": 1, "answer_score": 1, "question_id": 10 * number, "answer_id": 10 * number + 1}
    return Attribution(
        **values  # type: ignore[arg-type]
        | numbers
        | {"split": split, "line": line, "group": 10 * number, "tags": ["python"], "changes": []}
        | {"example_id": f"{10 * number}-{10 * number + 1}"}
    )
