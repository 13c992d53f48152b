"""Precision and recall of the names of fences on labelled blocks: ``python -m tests.dataset.markdown.measure_fences``.

``fence_labels.json`` maps the key of a block to its label. A person labelled the blocks without seeing the names. The
blocks are drawn from the real pairs by a hash of their keys (see ``fence_blocks.py``), and their texts stay in the
archives: ``TUNING_TEST_DATA`` is the folder of the archives (default: ``../shared/data``).
"""

import json
import os
from collections import Counter
from pathlib import Path

from tests.dataset.markdown.fence_blocks import blocks_of, read_posts
from tuning.answers.code import code_blocks
from tuning.dataset.markdown.convert import to_markdown
from tuning.dataset.markdown.languages import NAMES
from tuning.settings import PROJECT_ROOT

LABELS = Path(__file__).parent / "fence_labels.json"
TEXT = "text"  # the label of a block that needs no name
# Names that say more than the labels do.
_LABEL_OF = {"python2": "python", "bash": "console", "batch": "console", "powershell": "console", "pytb": "traceback"}


def names_of(data: Path, keys: frozenset[str]) -> dict[str, str]:
    """Return the name that the block's fence has in the Markdown of its post, or "text", for each of the keys.

    Raises LookupError if a block is not in the archives or not in the Markdown of its post.
    """
    posts = {key.rpartition("/")[0] for key in keys}
    names = {}
    for post, html in read_posts(data):
        if post not in posts:
            continue
        markdown = to_markdown(html, "https://stackoverflow.com")
        assert isinstance(markdown, str), f"{post} was not converted: {markdown.reason}"
        fences = [block for block in code_blocks(markdown) if block.fenced]
        blocks = list(blocks_of(post, html))
        if len(fences) != len(blocks):
            raise LookupError(f"{post} has {len(blocks)} blocks, but its Markdown has {len(fences)} fences")
        names |= {block.key: fence.language or TEXT for block, fence in zip(blocks, fences, strict=True)}
    if missing := sorted(keys - names.keys()):
        raise LookupError(f"not in the archives: {', '.join(missing)}")
    return {key: names[key] for key in keys}


def measure(labels: dict[str, str], names: dict[str, str]) -> list[tuple[str, int, int, float, float]]:
    """Return label, blocks, named blocks, precision and recall: a row for all labels but text, then one for each."""
    found = {key: _normal(names[key]) for key in labels}
    expected = {key: _expected(label, found[key]) for key, label in labels.items()}
    blocks, named = Counter(expected.values()), Counter(found.values())
    right = Counter(label for key, label in expected.items() if found[key] == label)
    for counts in (blocks, named, right):
        counts["all"] = counts.total() - counts[TEXT]
    return [
        (label, blocks[label], named[label], _share(right[label], named[label]), _share(right[label], blocks[label]))
        for label in sorted(blocks | named, key=lambda label: (label != "all", -blocks[label], label))
    ]


def _expected(label: str, found: str) -> str:
    """Return the label. Of two labels, as in "python|pycon", return the one that was found, or else the first."""
    labels = [_normal(one) for one in label.split("|")]
    return found if found in labels else labels[0]


def _normal(label: str) -> str:
    name = label.removeprefix("other:").lower()
    name = NAMES.get(name, name)
    return _LABEL_OF.get(name, name)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")


def main() -> None:
    data = Path(os.environ.get("TUNING_TEST_DATA") or PROJECT_ROOT.parent / "shared" / "data")
    labels = json.loads(LABELS.read_text(encoding="utf-8"))
    names = names_of(data, frozenset(labels))
    print(f"{'label':12} {'blocks':>6} {'named':>6} {'precision':>9} {'recall':>7}")
    for label, blocks, named, precision, recall in measure(labels, names):
        print(f"{label:12} {blocks:6} {named:6} {precision:9.3f} {recall:7.3f}")
    for key in sorted(labels):
        if _expected(labels[key], _normal(names[key])) != _normal(names[key]):
            print(f"{key}: {labels[key]}, named {names[key]}")


if __name__ == "__main__":
    main()
