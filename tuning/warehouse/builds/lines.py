"""Format the differences of two builds."""

from collections.abc import Iterator

from tuning.warehouse.builds.diff import Build, BuildDiff, MartDiff


def diff_lines(diff: BuildDiff) -> Iterator[str]:
    """Yield lines that name both builds, and then, for each mart, its counts, changed columns and some keys."""
    for label, build in (("before", diff.before), ("after", diff.after)):
        yield f"{label:7} {build.dataset}: {_origin(build)}"
    before, after = diff.before.variables, diff.after.variables
    for name in sorted({*before, *after}):
        if before and after and before.get(name) != after.get(name):
            yield f"variable {name}: {before.get(name)!r} before, {after.get(name)!r} after"
    for mart in diff.marts:
        yield from _mart_lines(mart, diff)


def _origin(build: Build) -> str:
    if not build.record:
        return "python_qa_build is not there, so its source and variables are not known"
    record = build.record
    return f"build {record['invocation_id']} of {record['site']}, content {str(record['digest'])[:12]}"


def _mart_lines(mart: MartDiff, diff: BuildDiff) -> Iterator[str]:
    if mart.missing_from:
        yield f"{mart.mart} is not in {' and not in '.join(mart.missing_from)}"
        return
    before, after = mart.rows
    equal = after - mart.added - mart.changed
    yield (
        f"{mart.mart}: {before:,} rows before, {after:,} after: {mart.added:,} added, {mart.removed:,} removed, "
        f"{mart.changed:,} changed, {equal:,} equal"
    )
    for dataset, names in ((diff.before.dataset, mart.only_before), (diff.after.dataset, mart.only_after)):
        if names:
            yield f"  columns only in {dataset}: {', '.join(names)}"
    for name, changed in sorted(mart.columns, key=lambda one: -one[1]):
        if changed:
            yield f"  {changed:>12,} rows changed in {name}"
    for kind, keys in mart.examples:
        total = {"added": mart.added, "removed": mart.removed, "changed": mart.changed}[kind]
        yield f"  {kind}: {', '.join(keys)}{', ...' if total > len(keys) else ''}"
