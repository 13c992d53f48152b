"""Texts that hold SQL, templates, shell, scripts and control codes stay texts, from the dump to the pages."""

import re
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from playwright.sync_api import Browser

from tests.browser import open_browser
from tests.hard.chain import tune
from tests.hard.commands import Home, Outcome, open_home
from tests.hard.hostile import ADDRESS, TABLE, hostile_dump
from tuning.warehouse.client import connect, query

# What a terminal obeys: C0 without tab and line break, DEL, C1, and marks that turn the direction of text.
_TERMINAL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def test_hostile_texts_change_nothing_in_the_warehouse_the_shell_and_the_card(tmp_path: Path) -> None:
    with open_home(tmp_path / "home") as home:
        outcomes = _through_the_chain(home, tmp_path, ("dataset",))
        _stay_texts(outcomes)
        (folder,) = home.settings.datasets_dir.glob("[!.]*")
        _open_harmless(tmp_path, [folder / "card.html", _as_page(folder / "README.md", tmp_path)])


@pytest.mark.hard
@pytest.mark.timeout(3600)
def test_hostile_texts_change_nothing_in_a_tuned_model_its_report_and_the_documentation(tmp_path: Path) -> None:
    with open_home(tmp_path / "home") as home:
        commands = (
            ("build",),
            ("explore.peek", "posts_questions", "--rows", "20"),
            ("explore.peek", "users", "--rows", "20"),
            (*tune(6), "--preview", "9"),
            tune(6),
            ("evaluate", "--model", "v1"),
            ("promote", "v1", "--force", "--reason", "{{ 7 * 191 }} <script>window.ran=1</script>"),
            ("models", "--history"),
            ("monitor",),
        )
        outcomes = _through_the_chain(home, tmp_path, *commands)
        _stay_texts(outcomes)
        (folder,) = home.settings.datasets_dir.glob("[!.]*")
        (run,) = home.settings.runs_dir.glob("*/report.html")
        cards = [folder / "README.md", run.with_name("report.md"), *home.settings.models_dir.glob("v1/**/README.md")]
        pages = [folder / "card.html", run, *(_as_page(card, tmp_path) for card in cards)]
        _open_harmless(tmp_path, pages)


def _through_the_chain(home: Home, tmp_path: Path, *commands: tuple[str, ...]) -> list[Outcome]:
    """Load the hostile dump, run the commands, and check that no SQL and no shell had an effect."""
    file = tmp_path / "canary"
    file.write_text("alive")
    outcomes = [home.must("ingest", str(hostile_dump(tmp_path / "dump", file)))]
    client = connect(home.settings)
    query(client, f"create table `{TABLE}` as select 1 as one")
    outcomes += [home.must(*command) for command in commands]
    assert [row.one for row in query(client, f"select one from `{TABLE}`")] == [1]  # noqa: S608
    assert file.read_text() == "alive"
    return outcomes


def _stay_texts(outcomes: list[Outcome]) -> None:
    for outcome in outcomes:
        found = sorted(set(_TERMINAL.findall(outcome.out + outcome.err)))
        assert found == [], f"`invoke {outcome.command[:60]}` prints {found!r}: {outcome.out}"
        assert "1337" not in outcome.out, outcome.out
        assert "root:" not in outcome.out, outcome.out


def _as_page(card: Path, tmp_path: Path) -> Path:
    """The Markdown as a page. HTML in it passes unchanged, which is more than any hub allows."""
    text = card.read_text()
    body = re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.DOTALL)
    page = tmp_path / f"{card.parent.name}-{card.name}.html"
    html = MarkdownIt("commonmark", {"html": True}).enable("table").render(body)
    page.write_text(f"<!doctype html><meta charset=utf-8><title>{card.name}</title>{html}")
    return page


def _open_harmless(tmp_path: Path, pages: list[Path]) -> None:
    """Open each page and check that no script of a text ran, no request left and nothing opened."""
    with open_browser() as browser:
        # The check itself is tested: a page that does all this is caught.
        evil = tmp_path / "evil.html"
        evil.write_text(f"<script>window.ran=1</script><img src='{ADDRESS}/x.png'><a href='javascript:1'>a</a>")
        assert len(_faults(browser, evil)) == 3
        assert [fault for page in pages for fault in _faults(browser, page)] == []


def _faults(browser: Browser, path: Path) -> list[str]:
    faults: list[str] = []
    page = browser.new_page()
    try:
        page.on("dialog", lambda dialog: (faults.append(f"{path.name} opens a dialog"), dialog.dismiss()))
        page.on("popup", lambda popup: faults.append(f"{path.name} opens {popup.url}"))
        own = path.as_uri()
        page.on(
            "request",
            lambda request: (
                None
                if request.url.partition("#")[0] == own or request.url.startswith("data:")
                else faults.append(f"{path.name} asks for {request.url}")
            ),
        )
        page.route("**/*", lambda route: route.continue_() if route.request.url.startswith("file:") else route.abort())
        page.goto(own)
        page.wait_for_timeout(300)
        page.evaluate(
            "document.querySelectorAll('*').forEach(one => ['mouseover', 'focus', 'load', 'error', 'toggle']"
            ".forEach(name => one.dispatchEvent(new Event(name))))"
        )
        if page.evaluate("window.ran === 1 || document.title === 'ran'"):
            faults.append(f"{path.name} ran a script of a text")
        links = "[...document.querySelectorAll('a, form, area')].map(one => one.href || one.action || '')"
        faults += [
            f"{path.name} links to {link}"
            for link in page.evaluate(links)
            if re.match(r"\s*(javascript|data|vbscript):", link)
        ]
    finally:
        page.close()
    return faults
