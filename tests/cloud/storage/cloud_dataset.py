"""Finished datasets of small rows, in each format that the cloud takes."""

import msgspec

from tuning.dataset.dataset import Attribution, Dataset, FileFacts, Manifest, Split, open_dataset
from tuning.settings import Settings
from tuning.storage import sha256_of, write_json


def make_dataset(settings: Settings, format: str = "notebook", train: int = 40, evaluation: int = 12) -> Dataset:  # noqa: A002
    """A finished dataset of small rows in one of the formats that the cloud takes."""
    folder = settings.datasets_dir / f"{format}-0123abcd"
    folder.mkdir(parents=True)
    files = {}
    for name, rows in (("train.jsonl", train), ("eval.jsonl", evaluation)):
        lines = [
            line(format, f"How do I reverse list {number} of {name}?", f"Use reversed({number}).")
            for number in range(rows)
        ]
        (folder / name).write_bytes(b"".join(msgspec.json.encode(one) + b"\n" for one in lines))
        files[name] = FileFacts(rows, (folder / name).stat().st_size, sha256_of(folder / name))
    (folder / "attribution.jsonl").write_bytes(
        b"".join(
            msgspec.json.encode(attribution(split, number)) + b"\n"
            for split, rows in (("train", train), ("eval", evaluation))
            for number in range(rows)
        )
    )
    manifest = Manifest(
        id=folder.name,
        format=format,
        template="Answer.",
        options={},
        build={},
        versions={},
        funnel=[],
        files=files,
        tokens={},
        leaks={},
    )
    write_json(folder / "manifest.json", msgspec.to_builtins(manifest))
    return open_dataset(folder)


def attribution(split: Split, number: int) -> Attribution:
    question = 2 * number + (split == "eval")
    texts = {
        name: f"https://example.org/{name}/{question}"
        for name in Attribution.__struct_fields__
        if name.endswith(("_url", "_author", "_license", "_at"))
    }
    return Attribution(
        example_id=f"{question}-1",
        split=split,
        line=number,
        question_id=question,
        answer_id=1,
        group=question,
        tags=["python"],
        question_score=1,
        answer_score=1,
        changes=[],
        **texts,
    )


def line(format: str, question: str, answer: str) -> dict[str, object]:  # noqa: A002
    user = {"role": "user", "parts": [{"text": question}]}
    match format:
        case "notebook":
            return {"input_text_instruct": f"Answer. {question}", "output_text": answer}
        case "gemini":
            model = {"role": "model", "parts": [{"text": answer}]}
            return {"systemInstruction": {"parts": [{"text": "Answer."}]}, "contents": [user, model]}
        case "gemini-preference":
            completions = [
                {"score": score, "completion": {"role": "model", "parts": [{"text": text}]}}
                for score, text in ((1, answer), (0, "No idea."))
            ]
            return {
                "system_instruction": {"parts": [{"text": "Answer."}]},
                "contents": [user],
                "completions": completions,
            }
        case "messages":
            roles = (("system", "Answer."), ("user", question), ("assistant", answer))
            return {"messages": [{"role": role, "content": text} for role, text in roles]}
        case _:
            raise ValueError(format)
