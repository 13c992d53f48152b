"""Print recall and precision of the redaction on real posts that a person labelled, beside those on planted secrets.

python -m tests.dataset.redact.measure_posts

`post_labels.json` has, for each labelled post, the places of its secrets: `{key: [[start, end, kind], …]}`, in the text
that `posts.read_posts` yields. It holds no text of a post. The posts are read from TUNING_TEST_DATA.

A replacement is right where a reader labelled a secret. The readers labelled only what belongs to a person or machine:
they left out addresses that are invented in an example (`abcd@gmail.com`), of mailing lists, and IDs of messages. Text
alone does not tell these from the address of a person, so the rules replace them too, and by intention the precision
of emails is low.
"""

import json
import os
import random
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.dataset import planted
from tests.dataset.redact import planted_places
from tests.dataset.redact.posts import read_posts
from tuning.dataset.redact.redact import find_secrets, redact
from tuning.settings import PROJECT_ROOT

LABELS = Path(__file__).with_name("post_labels.json")
KINDS = ("password", "key", "name-in-path", "phone", "email", "ip")
_KIND_OF = {"PASSWORD": "password", "NAME": "name-in-path", "PHONE": "phone", "EMAIL": "email", "IP_ADDRESS": "ip"}

Label = tuple[int, int, str]  # start, end, kind


@dataclass
class Counts:
    """Secrets of one kind: those labelled and found, and those replaced and right."""

    labelled: int = 0
    found: int = 0
    replaced: int = 0
    right: int = 0


def measure(posts: Mapping[str, str], labels: Mapping[str, Sequence[Label]]) -> dict[str, Counts]:
    """Compare what is replaced with the labels. Either counts if the other has at least half of its characters.

    A name that is replaced outside of a label is right too if it is the name in a label of the same post.
    """
    counts = {kind: Counts() for kind in KINDS}
    for key, labelled in labels.items():
        text = posts[key]
        found = [(one.start, one.end, _KIND_OF.get(one.kind, "key")) for one in find_secrets(text)]
        names = {text[start:end] for start, end, kind in labelled if kind == "name-in-path"}
        for start, end, kind in labelled:
            counts[kind].labelled += 1
            counts[kind].found += _is_covered(start, end, found)
        for start, end, kind in found:
            counts[kind].replaced += 1
            same_name = kind == "name-in-path" and text[start:end] in names
            counts[kind].right += same_name or _is_covered(start, end, labelled)
    return counts


def _is_covered(start: int, end: int, others: Sequence[Label]) -> bool:
    covered = sum(max(0, min(end, other[1]) - max(start, other[0])) for other in others)
    return 2 * covered >= end - start


def measure_planted(rounds: int = 8) -> tuple[Counter[str], Counter[str], Counter[str]]:
    """Return by kind: planted secrets, those that went, and false hits in the texts without secrets."""
    rng = random.Random(20)  # noqa: S311 - the same draw each time
    total: Counter[str] = Counter()
    gone: Counter[str] = Counter()
    for kind, text, secret in [*planted.positives(rng, rounds), *planted_places.positives(rng, rounds)]:
        name = planted_places.kind_of(kind)
        total[name] += 1
        gone[name] += planted.core(secret) not in redact(text)[0]
    clean = [*planted.tricky(rng), *planted_places.STAY]
    return total, gone, Counter(_KIND_OF.get(one.kind, "key") for text in clean for one in find_secrets(text))


def table(counts: Mapping[str, Counts]) -> Iterator[str]:
    """Yield the lines of the table."""
    total, gone, false_hits = measure_planted()
    head = "labelled", "found", "recall", "replaced", "right", "precision", "planted", "recall", "false hits"
    yield f"{'kind':14}" + "".join(f"{name:>11}" for name in head)
    everything = Counts(*(sum(getattr(one, name) for one in counts.values()) for name in Counts.__annotations__))
    for kind, one in [*counts.items(), ("all", everything)]:
        planted_total = total[kind] if kind != "all" else total.total()
        planted_gone = gone[kind] if kind != "all" else gone.total()
        hits = false_hits[kind] if kind != "all" else false_hits.total()
        row = (
            one.labelled, one.found, _share(one.found, one.labelled), one.replaced, one.right,
            _share(one.right, one.replaced), planted_total, _share(planted_gone, planted_total), hits,
        )  # fmt: skip
        yield f"{kind:14}" + "".join(f"{value:>11}" for value in row)
    email = counts["email"]
    if email.replaced > email.right:
        yield (
            f"{email.replaced - email.right} of {email.replaced} replaced emails have no label, so they count as wrong:"
            " readers left out invented addresses (abcd@gmail.com), mailing lists and IDs of messages."
            " Text alone does not tell these from a person's address, so they are replaced by intention."
        )


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.3f}" if whole else "-"


def read_labels(path: Path = LABELS) -> dict[str, list[Label]]:
    """Return the labels by key. Raises SystemExit if there are none, or if a label has an unknown kind."""
    if not path.exists():
        raise SystemExit(f"there are no labels: {path} is missing")
    labels = {
        key: [(start, end, kind) for start, end, kind in places]
        for key, places in json.loads(path.read_text(encoding="utf-8")).items()
    }
    unknown = {kind for places in labels.values() for _, _, kind in places} - set(KINDS)
    if unknown:
        raise SystemExit(f"{path} has labels of unknown kinds: {', '.join(sorted(unknown))}")
    return labels


def main() -> None:
    labels = read_labels(Path(sys.argv[1]) if len(sys.argv) > 1 else LABELS)
    data = Path(os.environ.get("TUNING_TEST_DATA") or PROJECT_ROOT.parent / "shared" / "data")
    posts = dict(read_posts(data, labels.keys()))
    if missing := sorted(labels.keys() - posts.keys()):
        raise SystemExit(f"{data} lacks {len(missing)} labelled posts, such as {missing[0]}")
    print(f"{len(labels)} posts")
    print("\n".join(table(measure(posts, labels))))


if __name__ == "__main__":
    main()
