"""Build the site: `site/index.html` in the home, and the pages that it links to."""

from collections.abc import Mapping, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path

from tuning.dataset.dataset import Dataset, dataset_folders, is_out_of_reach, open_dataset
from tuning.dataset.denied import Denied, deny_list, host_of
from tuning.errors import TuningError
from tuning.pipelines.steps.code_hash import sources_sha256
from tuning.progress import stage
from tuning.registry import registry
from tuning.settings import Settings
from tuning.site.dataset_page import dataset_inputs, listed, write_dataset_pages
from tuning.site.drift_page import write_drift_page
from tuning.site.models_page import write_models_page
from tuning.site.pages import Pages, write_page
from tuning.site.records import SiteRun, read_runs
from tuning.site.run_page import write_run_page
from tuning.site.runs_page import write_runs_page
from tuning.storage import atomic_folder, locked

# Libraries that decide how a page looks.
_LIBRARIES = ("itables", "jinja2", "markdown-it-py", "pygments", "vl-convert-python")


def site_folder(settings: Settings) -> Path:
    """Return the folder of the site."""
    return settings.home / "site"


def make_site(settings: Settings, newest_runs: int) -> Path:
    """Write the pages of the newest runs, and of all datasets and models. Return the first page.

    The site is replaced as a whole. Pages of runs and datasets that have not changed are taken from the site before.
    Raises TuningError if there are no runs and no datasets yet, or if a record is damaged. If a dataset is damaged or
    a copy, its page says so, the rest is written, and then TuningError is raised.
    """
    target = site_folder(settings)
    with locked(settings.home / ".site.lock", "the site"):
        runs, found = read_runs(settings, newest_runs), _opened(settings)
        if not runs and not found:
            raise TuningError(f"there are no runs and no datasets in {settings.home} yet", "Run `invoke tune` first")
        with atomic_folder(target) as folder:
            damaged = _write(settings, folder, Pages(folder, target, _code()), runs, found)
    if damaged:
        name, error = next(iter(damaged.items()))
        names = f"dataset {name}" if len(damaged) == 1 else f"{len(damaged)} datasets, such as {name}"
        raise TuningError(f"the site {target / 'index.html'} is written without {names}: {error}")
    return target / "index.html"


def _opened(settings: Settings) -> dict[str, Dataset | TuningError]:
    """Return the datasets within reach by the names of their pages, the newest first: a damaged one is its error.

    So is a copy. Of several folders with one dataset, the one that has its ID as name is no copy, or else the newest.
    """
    folders = [folder for folder in dataset_folders(settings) if not is_out_of_reach(settings, folder)]
    by_name = {folder.name: folder for folder in folders}
    found: dict[str, Dataset | TuningError] = {}
    for folder in folders:
        try:
            one = open_dataset(folder, settings)
        except TuningError as error:
            found[folder.name] = error
            continue
        first = by_name.setdefault(one.id, folder)
        if first == folder:
            found[one.id] = one
        else:
            found[folder.name] = TuningError(f"{folder} and {first} contain the same dataset", "Move the copy away")
    return found


def _write(
    settings: Settings,
    folder: Path,
    pages: Pages,
    runs: Sequence[SiteRun],
    found: Mapping[str, Dataset | TuningError],
) -> dict[str, TuningError]:
    """Write the pages. Return the errors of the datasets that cannot be shown, by ID."""
    good = [one for one in found.values() if isinstance(one, Dataset)]
    damaged: dict[str, TuningError] = {}
    docs = settings.home / "docs" / "index.html"
    top = {
        "root": "",
        "here": "",
        "docs": "../docs/index.html" if docs.exists() else "",
        "run_ids": {run.id for run in runs},
        "dataset_ids": set(found),
    }
    below = top | {"root": "../../", "docs": f"../../{top['docs']}" if top["docs"] else ""}
    parts = len(runs) + len(found) + 1  # the last one is the pages of all
    for number, run in enumerate(runs, start=1):
        known = [run.record.dataset_id in below["dataset_ids"], below["docs"]]
        with stage(f"run {run.id}", number, parts):
            pages.part(
                f"runs/{run.id}", [*run.inputs, repr(known).encode()], partial(write_run_page, run=run, shared=below)
            )
    listed_posts = deny_list(settings)
    for number, (name, one) in enumerate(found.items(), start=len(runs) + 1):
        with stage(f"dataset {name}", number, parts):
            try:
                if isinstance(one, TuningError):
                    raise one
                denied = _denied(listed_posts, one)
                inputs = [*dataset_inputs(one), repr((below["docs"], sorted(denied))).encode()]
                make = partial(write_dataset_pages, dataset=one, shared=below, denied=denied)
            except TuningError as error:
                inputs, make = [], partial(_refuse, error=error)

            def say(part: Path, error: TuningError, name: str = name) -> None:
                damaged[name] = error
                view = {**below, "here": "", "name": name, "error": str(error)}
                write_page(part / "index.html", "damaged.html.j2", view)

            pages.part(f"datasets/{name}", inputs, make, say)
    with stage("runs, models and drift", parts, parts):
        good = [one for one in good if one.id not in damaged]
        by_id = {one.id: one for one in good}
        write_runs_page(folder, runs, by_id, top | {"here": "index.html"})
        view = top | {"here": "datasets.html", "datasets": listed(good), "damaged": damaged}
        write_page(folder / "datasets.html", "datasets.html.j2", view)
        write_models_page(folder, settings, registry.versions(settings), by_id, top | {"here": "models.html"})
        write_drift_page(folder, settings, good, top | {"here": "drift.html"})
    pages.finish()
    return damaged


def _refuse(_: Path, error: TuningError) -> None:
    raise error


def _denied(listed_posts: Sequence[Denied], dataset: Dataset) -> frozenset[int]:
    """Return the ids of the posts that no page of a dataset may show: those on the deny list of its site."""
    site = host_of(str(dataset.manifest.build.get("base_url", "")))
    return frozenset(one.post_id for one in listed_posts if one.is_of(site))


def _code() -> str:
    """Return a hash of all code that decides how a page looks."""
    return " ".join([sources_sha256(__name__, ""), *(f"{name} {version(name)}" for name in _LIBRARIES)])
