"""The licence notice beside a dataset: what the content is, whose, and what was changed."""

from tuning.dataset.options import DatasetOptions

NOTICE = "NOTICE.md"


def notice(build: dict[str, object], options: DatasetOptions) -> str:
    """Markdown. What it says of each example stands in attribution.jsonl; both go wherever the dataset goes."""
    changes = _changes(options)
    if build["kind"] == "stack_exchange":
        licence = (
            f"The questions and answers are from [{build['name']}]({build['base_url']}) and are licensed under Creative"
            " Commons Attribution-ShareAlike (CC BY-SA): version 2.5, 3.0 or 4.0 by the date of each post, an edited"
            " post by that of its last revision. Whoever shares this dataset, or what is adapted from it, names the"
            " authors, links the posts and the licence, says what was changed and shares under the same licence."
        )
    else:
        licence = (
            f"The texts are from {build['name']} ({build['base_url']}), licensed under"
            f" [{build['license']}]({build['license_url']}). They are not from Stack Overflow."
        )
    return "\n".join(
        [
            "# Licence and attribution",
            "",
            licence,
            "",
            "`attribution.jsonl` has for each line of `train.jsonl` and `eval.jsonl` the links of the question and the"
            " answer, both authors with the pages of their profiles, and both licences with their addresses.",
            "",
            f"Changes: {changes}",
            "",
            "Authors may delete their posts. Put the ids of posts that are to go into the dbt project's seed"
            " `denied_posts.csv` and make the dataset again.",
            "",
        ]
    )


def _changes(options: DatasetOptions) -> str:
    if options.is_seed:
        return "title and body of the question were joined behind an instruction; nothing else was changed."
    converted = "HTML was converted to Markdown; " if options.body == "markdown" else ""
    return (
        f"{converted}mail addresses, IP addresses, keys and passwords were replaced by placeholders; an instruction was"
        " added to each question. `changes` in `attribution.jsonl` says which of these befell an example."
    )
