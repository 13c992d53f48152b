"""How fast and in how much memory a dump becomes Parquet, against parsing each line with ElementTree.

`bench(data)` is what `invoke bench` calls. The dump is ``stackoverflow-python-bodies.7z`` repeated with new ids; in
most copies the tag django is renamed, so that it keeps fewer than a tenth of the rows.
"""

import re
import tempfile
from pathlib import Path

from tests.bench.measure import Row, Subject, measure, row
from tuning.sources.dump import open_dump

TAG = "django"
_COPIES = 4  # of 58.8 MB: some seconds for the slowest
_MORE = 10  # copies for what is over in less than a second, and for the memory
_WITH_TAG = 1  # copies in four that keep the tag
_ID_STEP = 10**9
_MODULE = "tests.bench.ingest_subjects"
_IDS = re.compile(rb'(<row |" )(Id|ParentId|AcceptedAnswerId)="(\d+)"')


def bench(data: Path, repeat: int = 5) -> list[Row]:
    """Rows: keeping all and keeping a tag, each against the baselines; and memory at 10 times the rows."""
    with tempfile.TemporaryDirectory(prefix="ingest-bench-") as folder:
        posts = repeated_posts(data, Path(folder) / "Posts.xml", _COPIES)
        once = repeated_posts(data, Path(folder) / "once.xml", 1)
        often = repeated_posts(data, Path(folder) / "often.xml", _MORE)
        rows = _compare("ingest, keeping all", str(posts), "", repeat)
        rows += _compare("ingest, keeping a tag", str(often), TAG, repeat)
        return [*rows, *(_memory(once, often, tag) for tag in ("", TAG))]


def repeated_posts(data: Path, path: Path, copies: int) -> Path:
    """Write the posts of the archive `copies` times over, each time with ids of its own."""
    parts = open_dump(data / "stackoverflow-python-bodies.7z").parts()
    whole = b"".join(next(parts).chunks)
    start, end = whole.index(b"<row"), whole.rindex(b"</posts>")
    with path.open("wb") as file:
        file.write(whole[:start])
        for copy in range(copies):
            rows = _IDS.sub(lambda m, n=copy: b'%s%s="%d"' % (m[1], m[2], int(m[3]) + n * _ID_STEP), whole[start:end])
            file.write(rows if copy % 4 < _WITH_TAG else rows.replace(b"|django|", b"|otherweb|"))
        file.write(whole[end:])
    return path


def _compare(name: str, path: str, tag: str, repeat: int) -> list[Row]:
    names = {
        "ours": name,
        "element_tree_per_line": "ElementTree per line",
        "element_tree_parse_only": "ElementTree per line, parsing only",
        "lxml_iterparse": "lxml iterparse",
    }
    subjects = [Subject(shown, f"{_MODULE}:{function}", (path, tag)) for function, shown in names.items()]
    measured, *baselines = measure(subjects, repeat)
    if any(baseline.counts != measured.counts for baseline in baselines):
        raise RuntimeError(f"{name}: the baselines keep other rows: {[one.counts for one in (measured, *baselines)]}")
    megabytes = Path(path).stat().st_size / 1e6
    return [row(measured, baseline, megabytes, "MB") for baseline in baselines]


def _memory(once: Path, often: Path, tag: str) -> Row:
    """`ratio` is the peak at 1 time the rows over that at 10 times: 1 where memory does not grow."""
    name = f"ingest memory at {_MORE}x rows, {'a tag' if tag else 'all'}"
    subjects = [Subject(name, f"{_MODULE}:ours", (str(path), tag)) for path in (once, often)]
    small, large = measure(subjects, 3)
    rate = often.stat().st_size / 1e6 / large.seconds
    return Row(name, "1x rows", "MB", round(rate, 1), round(small.peak / large.peak, 2), large.peak, large.counts)
