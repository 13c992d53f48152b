"""Write the licence notice of a dataset: the origin and licence of its content, and the changes to it."""

import re
from typing import Any, cast

from tuning.dataset.options import DatasetOptions
from tuning.visible import visible

NOTICE = "NOTICE.md"
_ENDS_CELL = re.compile(r"[|`\r\n]")
SYNTHETIC = (
    "written for this project, so a model that is tuned on them shows that the pipeline works, not how Stack Overflow "
    "data behaves"
)


def notice(
    build: dict[str, object],
    options: DatasetOptions,
    unnamed_posts: int = 0,
    other_licences: dict[str, int] | None = None,
) -> str:
    """Return the notice as Markdown. `unnamed_posts` is the number of posts without the name of their author.

    `other_licences` has the numbers of posts whose stated licence is not a version of CC BY-SA.

    Whoever shares the dataset must include the notice and attribution.jsonl, which has a line for each example.
    """
    changes = _changes(options)
    if build["kind"] == "own":
        return _own_notice(build, changes)
    if build["kind"] == "stack_exchange":
        licence = (
            f"The questions and answers are from [{build['name']}]({build['base_url']}) and are licensed under Creative"
            " Commons Attribution-ShareAlike (CC BY-SA). The version is 2.5, 3.0, or 4.0: the one that the source"
            " states for a post or, if it states none, the one that follows from the date of the post's last revision."
            " To share this dataset or an adaptation of it, name the authors, link to the posts and the licence, state"
            " the changes, and use the same licence."
        )
    else:
        licence = (
            f"The texts are from {build['name']} ({build['base_url']}), licensed under"
            f" [{build['license']}]({build['license_url']}). They are not from Stack Overflow."
            f"{f' They were {SYNTHETIC}.' if build['kind'] == 'synthetic' else ''}"
        )
    return "\n".join(
        [
            "# Licence and attribution",
            "",
            licence,
            "",
            "For each line of `train.jsonl` and `eval.jsonl`, `attribution.jsonl` contains the links of the question"
            " and the answer, both authors with links to their profiles, and both licences with their links.",
            "",
            *_unnamed(unnamed_posts),
            *_otherwise_licensed(other_licences or {}),
            f"Changes: {changes}",
            "",
            "Authors can delete their posts. To remove posts from the dataset, add their ids to the seed"
            " `denied_posts.csv` of the dbt project, and create the dataset again.",
            "",
        ]
    )


def _own_notice(build: dict[str, object], changes: str) -> str:
    """Return the notice of own data. It claims no licence, because only the user knows it."""
    files = cast(list[dict[str, Any]], build["files"])
    rows = [f"| `{_in_cell(one['name'])}` | {one['side']} | {one['weight']:g} | `{one['sha256']}` |" for one in files]
    return "\n".join(
        [
            "# Origin and licence",
            "",
            "The examples are own data: whoever made this dataset named these files. Their licence is not known here,"
            " so check it before you share the dataset or a model that was tuned on it.",
            "",
            "| file | split | weight | SHA-256 |",
            "|---|---|---|---|",
            *rows,
            "",
            "`attribution.jsonl` names the file and the line of each example.",
            "",
            f"Changes: {changes}",
            "",
        ]
    )


def _in_cell(name: str) -> str:
    """Return the name of a file, with what would end a cell of a table or its code as a number in braces."""
    return visible(visible(name, _ENDS_CELL))


def _unnamed(posts: int) -> tuple[str, ...]:
    if not posts:
        return ()
    return (
        f"**The authors of {posts:,} posts are not named**, because the loaded data has no names for them. The licence"
        " asks for the names. Before you share this dataset, load the posts together with the `Users.xml` of the same"
        " dump (`invoke ingest`), and create the dataset again.",
        "",
    )


def _otherwise_licensed(licences: dict[str, int]) -> tuple[str, ...]:
    if not licences:
        return ()
    counts = ", ".join(f"{name} ({posts:,})" for name, posts in sorted(licences.items()))
    return (
        f"**{sum(licences.values()):,} posts state another licence than CC BY-SA**: {counts}. Before you share this"
        " dataset, check that these licences allow it, or leave the posts out with `denied_posts.csv`.",
        "",
    )


def _changes(options: DatasetOptions) -> str:
    if options.is_seed:
        return "the title and body of each question were joined after an instruction; nothing else was changed."
    if options.is_own:
        return (
            "email addresses, IP addresses, keys, passwords, phone numbers, and names of people in paths were replaced"
            " by placeholders. The field `changes` in `attribution.jsonl` lists the changes to each example."
        )
    converted = (
        "HTML was converted to Markdown; greetings, thanks, good wishes, pleas, signatures, edit marks, duplicate"
        " banners, and images without a description were removed; characters in code that Python does not read were"
        " replaced; "
        if options.body == "markdown"
        else ""
    )
    return (
        f"{converted}email addresses, IP addresses, keys, passwords, phone numbers, and names of people in paths were"
        " replaced by placeholders; an instruction was added to each question. The field `changes` in"
        " `attribution.jsonl` lists the changes to each example."
    )
