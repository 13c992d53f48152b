"""The site in a real browser: every page works from a file, runs nothing that is planted, and fits both widths."""

import html
import json
import os
import shutil
import time
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from urllib.parse import urldefrag

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import open_browser
from tests.pipelines.small_dataset import write_dataset
from tests.site.invented_home import EVIL, FAILED, FIRST, SECOND, large_dataset, make_home
from tuning.dataset.denied import Denied, deny
from tuning.errors import TuningError
from tuning.settings import PROJECT_ROOT, Settings
from tuning.site.build import make_site
from tuning.site.dataset_page import PER_PAGE, write_dataset_pages

SCREENSHOTS = PROJECT_ROOT / "var" / "ci"
PAGES = ["index.html", "datasets.html", "models.html", "drift.html"]
PAGES += [f"runs/{run}/index.html" for run in (FIRST, SECOND, FAILED)]
PAGES += ["datasets/d1/index.html", "datasets/d1/examples-1.html", "datasets/d1/examples-2.html"]
ACCESSIBLE = ["index.html", f"runs/{FIRST}/index.html", "models.html", "drift.html", "datasets/d1/index.html"]
ACCESSIBLE += ["datasets/d1/examples-2.html"]
CHARTS = {"index.html": 2, "drift.html": 3, f"runs/{FIRST}/index.html": 4, "datasets/d1/index.html": 8}
SHOWN = EVIL.replace("\u202e", "{U+202E}")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("site")
    settings = Settings(home=folder / "home")
    make_home(settings, folder / "work")
    make_site(settings, newest_runs=50)
    return settings


@pytest.fixture(scope="module")
def site(home: Settings) -> Path:
    return home.home / "site"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as opened:
        yield opened


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with browser.new_context(viewport={"width": 1280, "height": 900}) as context:
        yield context.new_page()


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_each_page_is_silent_asks_for_nothing_and_fits(site: Path, browser: Browser, width: int, scheme: str) -> None:
    with browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme) as context:
        for name in PAGES:
            page, said, asked = context.new_page(), [], []
            page.on("console", lambda message, said=said: said.append(message.text))
            page.on("pageerror", lambda error, said=said: said.append(str(error)))
            page.on("request", lambda request, asked=asked: asked.append(request.url))
            page.goto((site / name).as_uri())
            assert (name, said, asked) == (name, [], [(site / name).as_uri()])
            assert page.title() != "planted", name
            wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
            assert (name, wide) == (name, 0)
            background = page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert (background == "rgb(255, 255, 255)") is (scheme == "light"), name
            page.close()


def test_the_table_of_runs_is_whole_on_a_small_desktop(site: Path, browser: Browser, tmp_path: Path) -> None:
    text = (site / "index.html").read_text()
    for short, long in (("<td>smollm2<", "<td>HuggingFaceTB/SmolLM2-360M-Instruct<"), (">d1<", ">3ee22ffadb3fcfff<")):
        assert short in text
        text = text.replace(short, long)
    (tmp_path / "index.html").write_text(text)
    with browser.new_context(viewport={"width": 1200, "height": 900}) as context:
        page = context.new_page()
        page.goto((tmp_path / "index.html").as_uri())
        table = page.get_by_label("Runs", exact=True)
        assert "3ee22ffadb3fcfff" in table.inner_text()
        assert table.evaluate("table => table.scrollWidth - table.clientWidth") == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault(site: Path, browser: Browser, scheme: str) -> None:
    rules = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"] if scheme == "light" else ["color-contrast"]}
    script = files("axe_playwright_python").joinpath("axe.min.js").read_text()
    with browser.new_context(bypass_csp=True, viewport={"width": 1280, "height": 900}, color_scheme=scheme) as context:
        for name in ACCESSIBLE if scheme == "light" else ACCESSIBLE[:2]:
            page = context.new_page()
            page.goto((site / name).as_uri())
            page.evaluate(script)
            found = page.evaluate("rules => axe.run({resultTypes: ['violations'], ...rules})", rules)
            faults = {
                fault["id"]: [node["html"][:200] for node in fault["nodes"]][:3]
                for fault in found["violations"]
                if fault["impact"] in ("serious", "critical")
            }
            assert (name, faults) == (name, {})
            assert found["passes"], name
            page.close()


def test_every_link_leads_to_a_page_of_the_site_or_to_the_web(site: Path, page: Page) -> None:
    for name in PAGES:
        page.goto((site / name).as_uri())
        links = page.evaluate("[...document.querySelectorAll('a')].map(link => link.href)")
        for link in links:
            file, fragment = urldefrag(link)
            path = Path(file.removeprefix("file://"))
            assert link.startswith("file://"), (name, link)
            assert path.is_file(), (name, link)
            assert not fragment or f'id="{fragment}"' in path.read_text(), (name, link)


def test_nothing_that_is_planted_becomes_an_element(site: Path, page: Page) -> None:
    seen = 0
    for name in PAGES:
        page.goto((site / name).as_uri())
        assert page.locator("img, iframe, object, [onerror]").count() == 0, name
        assert page.evaluate("document.scripts.length") <= 3, name  # its own, and two of data
        assert page.evaluate("[...document.querySelectorAll('a')].some(a => a.protocol === 'javascript:')") is False
        seen += SHOWN in page.locator("main").inner_text()
    assert seen >= 4


@pytest.mark.parametrize(("name", "count"), CHARTS.items())
def test_each_chart_has_its_data(site: Path, page: Page, name: str, count: int) -> None:
    page.goto((site / name).as_uri())
    charts = page.locator("figure.chart")
    assert charts.count() == count
    for number in range(count):
        marks = charts.nth(number).locator("svg .role-mark :is(path, line)").count()
        rows = charts.nth(number).locator("details tr:has(td)").count()
        assert marks >= rows >= 1, charts.nth(number).locator("figcaption").inner_text()


def test_a_run_shows_its_verdict_graph_questions_and_command(site: Path, page: Page) -> None:
    page.goto((site / "runs" / FIRST / "index.html").as_uri())
    shown = page.locator("main").inner_text()
    assert "Worse. The tuned model answers worse" in shown
    assert (
        "invoke tune --dataset d1 --tuner hf --base-model smollm2 --steps 20 --learning-rate 0.001 --seed 42" in shown
    )
    assert "a LoRA adapter of rank 16; 20 steps of 4 examples" in shown
    assert (
        "Save run.yaml, and type invoke tune --config run.yaml beside it; on the finished dataset, also with "
        "invoke tune --dataset d1"
    ) in shown
    steps = page.locator(".graph > li").all_inner_texts()
    assert [step.split("\n")[0] for step in steps][:3] == ["build", "validate", "tune"]
    assert {"evaluate-base", "evaluate-champion", "evaluate-tuned"} <= set(steps[3].split("\n"))
    assert "reused" in steps[3]
    assert steps[-1].endswith("after gate")
    lost = page.locator("details.asked[open]")
    assert lost.count() == 5
    assert lost.first.locator(".code .hll").all_inner_texts() == [
        "print(sum(values))  # adds them up\n",
        "print(values)\n",
        f"{SHOWN}\n",
    ]
    assert "[1, 2]" in lost.first.inner_text()
    assert lost.first.locator(".code .nb").count() > 0
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / "site-run.png", full_page=True)


def test_a_failed_run_says_why(site: Path, page: Page) -> None:
    page.goto((site / "runs" / FAILED / "index.html").as_uri())
    assert f"Failed. no {SHOWN}" in page.locator("main").inner_text()


def test_two_runs_stand_side_by_side_with_their_differences_marked(site: Path, page: Page) -> None:
    page.goto((site / "index.html").as_uri())
    table = page.locator("#compared")
    assert table.locator(".part").all_inner_texts() == ["Run", "Options", "Results"]
    steps = table.locator("tr", has_text="steps or epochs").locator("td")
    assert steps.all_inner_texts() == ["20 steps", "36 steps"]
    assert "differs" in str(steps.first.get_attribute("class"))
    seed = table.locator("tr", has=page.get_by_text("seed", exact=True))
    same = seed.locator("td")
    assert same.all_inner_texts() == ["42 (default)", "42 (default)"]
    assert "differs" not in str(same.first.get_attribute("class"))
    losses = table.locator("tr", has_text="held-out loss").filter(has_not_text="change").locator("td, th")
    assert [text.split(" (")[0] for text in losses.all_inner_texts()] == [
        *("held-out loss, base", "2.195", "2.295"),
        *("held-out loss, tuned", "1.945", "2.045"),
    ]
    warning = page.locator("#unlike")
    said = "The base model is the same, but its results differ (held-out loss, base), because the runs did not measure"
    assert warning.inner_text().startswith(said)
    page.get_by_label("only differences").check()
    assert seed.count() == 0
    page.get_by_label("First run").select_option(index=1)
    page.get_by_label("Second run").select_option(index=1)
    assert warning.is_hidden(), "a run has the base of itself"
    page.get_by_label("First run").select_option(index=0)
    assert table.locator("tr", has_text="state").locator("td").all_inner_texts() == ["failed", "succeeded"]
    page.screenshot(path=SCREENSHOTS / "site-runs.png", full_page=True)


def test_the_search_finds_a_post_by_keyboard_and_opens_it(site: Path, page: Page) -> None:
    page.goto((site / "datasets" / "d1" / "index.html").as_uri())
    search = page.get_by_label("Search")
    for _ in range(80):
        page.keyboard.press("Tab")
        if search.evaluate("element => element === document.activeElement"):
            break
    page.keyboard.type('"case 107"')
    expect(page.locator("#examples tbody tr")).to_have_count(1)
    page.screenshot(path=SCREENSHOTS / "site-dataset.png", full_page=True)
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent").startswith("How do I use"):
            break
    page.keyboard.press("Enter")
    page.wait_for_url("**/examples-2.html#eval-28")
    shown = page.locator("article:target").inner_text()
    assert "file_107 = 107" in shown
    assert "by the authors of python-qa-tuning, Apache-2.0" in shown


@pytest.mark.parametrize(
    ("asked", "rows"),
    [
        ("print(file_107)", ["1107-1108"]),  # only in the answer
        ("FILE_107 case", ["1107-1108"]),
        ("ile_107", ["1107-1108"]),
        ('"file_107"', []),  # a phrase must be in the title, id, tags, split or year
        ("file_107 case_3", []),
        ("1103-1104", ["1103-1104"]),
        ("file_107 split:eval", ["1107-1108"]),
        ("file_107 split:train", []),
        ("file_107 tag:MODULE year:2021 score:7", ["1107-1108"]),
        ("file_107 score:8", []),
        ("file_107 tag:modul", []),  # a whole tag
    ],
)
def test_the_search_finds_words_of_the_texts(site: Path, page: Page, asked: str, rows: list[str]) -> None:
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.goto((site / "datasets" / "d1" / "index.html").as_uri())
    expect(page.locator("#examples tbody tr")).to_have_count(25)
    page.get_by_label("Search").fill(asked)
    found = page.locator("#examples tbody tr:has(a)")
    expect(found).to_have_count(len(rows))
    assert [row.split("\t")[1] for row in found.all_inner_texts()] == rows
    assert page.get_by_text("No example has all of these words.").count() == (not rows)
    page.reload()  # the address has the search
    expect(page.get_by_label("Search")).to_have_value(asked)
    expect(found).to_have_count(len(rows))
    page.get_by_label("Search").fill("")
    expect(found).to_have_count(25)
    assert said == []


def test_the_page_of_models_shows_standing_reason_and_lineage(site: Path, page: Page) -> None:
    page.goto((site / "models.html").as_uri())
    rows = page.get_by_label("Models").locator("tr").all_inner_texts()
    assert [row.split("\t")[:2] for row in rows[1:]] == [["v2", "★ champion"], ["v1", "not released"]]
    assert f"I read 20 answers {SHOWN}" in page.get_by_label("History").inner_text()
    lineage = page.locator("#v2 .lineage li").all_inner_texts()
    assert [place.split(":")[0] for place in lineage] == ["source", "mart", "dataset", "run", "model", "endpoint"]
    page.screenshot(path=SCREENSHOTS / "site-models.png", full_page=True)


def test_the_page_of_drift_compares_with_the_champions_dataset(site: Path, page: Page) -> None:
    page.goto((site / "drift.html").as_uri())
    shown = page.locator("main").inner_text()
    assert "Compared with dataset d2, which the champion v2 was tuned on" in shown
    tags = page.get_by_label("Drift of d1").locator("tr", has_text="tags").inner_text()
    assert tags.split("\t")[-1] == "far"


def test_the_page_of_drift_shows_the_served_answers_of_each_day(site: Path, page: Page) -> None:
    page.goto((site / "drift.html").as_uri())
    shown = page.locator("main").inner_text()
    assert "The newest 3 days in the log of this home have 12 answers; damaged lines, which are left out: 1." in shown
    rows = page.get_by_label("Served answers by day").locator("tr").all_inner_texts()
    assert [row.split("\t") for row in rows[1:]] == [
        ["2026-02-03", "v2", "6", "50.0", "0.0", "0.0", "0.0", "50.0", "1.75", "2.88"],
        ["2026-02-02", "v2", "4", "50.0", "0.0", "0.0", "0.0", "50.0", "1.25", "1.92"],
        ["2026-02-01", "v1", "2", "50.0", "0.0", "0.0", "0.0", "50.0", "0.75", "0.97"],
    ]
    page.screenshot(path=SCREENSHOTS / "site-drift.png", full_page=True)


def test_20_000_examples_open_in_two_seconds_and_10_mb(
    page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "tuning.site.dataset_page.as_html", lambda text, *_: html.escape(text)
    )  # 60,000 texts take long
    dataset = large_dataset(tmp_path / "big", 20_000)
    shared = {"root": "", "here": "", "docs": ""}
    few = tmp_path / "few"
    few.mkdir()
    write_dataset_pages(few, dataset, shared)
    index = few / "index.html"
    assert index.stat().st_size < 10e6
    assert max(path.stat().st_size for path in few.glob("*.html")) < 10e6
    assert len(list(few.glob("examples-*.html"))) == 20_000 // PER_PAGE
    for _ in range(8):  # other processes can slow the machine down
        started = time.monotonic()
        page.goto(index.as_uri())
        page.get_by_label("Search").fill("zyzzyva")
        expect(page.locator("#examples tbody tr")).to_have_count(1)
        took = time.monotonic() - started
        if took < 2:
            break
    assert took < 2
    found = page.locator("#examples tbody tr")
    assert "22345-22346" in found.inner_text()
    page.get_by_label("Search").fill("29123-29124")
    expect(found).to_have_count(1)
    expect(found).to_contain_text("29123-29124")


def test_the_same_home_gives_the_same_bytes_and_unchanged_pages_are_reused(home: Settings, site: Path) -> None:
    def content() -> dict[str, bytes]:
        return {str(path.relative_to(site)): path.read_bytes() for path in sorted(site.rglob("*")) if path.is_file()}

    before, number = content(), (site / "datasets" / "d1" / "examples-1.html").stat().st_ino
    make_site(home, newest_runs=50)
    assert content() == before
    assert (site / "datasets" / "d1" / "examples-1.html").stat().st_ino == number
    (site / "datasets" / "d1" / "examples-1.html").write_text("<h1>")  # damaged
    (site / "datasets" / "d2" / "index.html").unlink()
    make_site(home, newest_runs=50)
    assert content() == before
    shutil.rmtree(site / "datasets" / "d2")
    (site / "parts.json").write_text("{")
    make_site(home, newest_runs=50)
    assert content() == before


@pytest.mark.timeout(120)
def test_a_pipe_in_place_of_a_card_is_named(settings: Settings) -> None:
    made = write_dataset(settings.datasets_dir / "d1", train=2, evaluation=1)
    os.mkfifo(made.folder / "card.html")
    with pytest.raises(TuningError, match=r"card\.html cannot be read \(a pipe or device, not a file\)\. Delete .*d1 "):
        make_site(settings, newest_runs=1)


@pytest.mark.parametrize("name", ["manifest.json", "attribution.jsonl"])
def test_a_damaged_dataset_is_named_on_its_page_and_the_rest_is_written(settings: Settings, name: str) -> None:
    for dataset in ("d1", "d2"):
        write_dataset(settings.datasets_dir / dataset, train=2, evaluation=1)
    path = settings.datasets_dir / "d1" / name
    content = path.read_bytes()
    path.write_bytes(content[:20])
    with pytest.raises(TuningError, match=rf"index\.html is written without dataset d1: .*{name}.* damaged") as raised:
        make_site(settings, newest_runs=1)
    assert len(str(raised.value).splitlines()) == 1
    site = settings.home / "site"
    assert "This dataset cannot be shown" in (site / "datasets" / "d1" / "index.html").read_text()
    assert "d1</a> cannot be shown" in (site / "datasets.html").read_text()
    assert "This dataset cannot be shown" not in (site / "datasets" / "d2" / "index.html").read_text()
    assert (site / "drift.html").is_file()
    path.write_bytes(content)
    make_site(settings, newest_runs=1)
    assert "cannot be shown" not in (settings.home / "site" / "datasets" / "d1" / "index.html").read_text()


def test_of_two_folders_with_one_dataset_the_copy_is_named_and_the_rest_is_written(settings: Settings) -> None:
    for dataset in ("d1", "d2"):
        write_dataset(settings.datasets_dir / dataset, train=2, evaluation=1)
    first, copy = settings.datasets_dir / "d1", settings.datasets_dir / "copy"
    shutil.copytree(first, copy)  # it is the newest
    said = rf"index\.html is written without dataset copy: {copy} and {first} contain the same dataset\. Move the copy"
    with pytest.raises(TuningError, match=said):
        make_site(settings, newest_runs=1)
    pages = settings.home / "site" / "datasets"
    assert "contain the same dataset" in (pages / "copy" / "index.html").read_text()
    assert "cannot be shown" not in "".join((pages / name / "index.html").read_text() for name in ("d1", "d2"))
    shutil.rmtree(first)  # then the copy is the dataset
    make_site(settings, newest_runs=1)
    assert sorted(path.name for path in pages.iterdir()) == ["d1", "d2"]


def test_a_forgotten_post_is_on_no_page(settings: Settings) -> None:
    write_dataset(settings.datasets_dir / "d1", train=9, evaluation=1)
    deny(settings, Denied(post_id=1007))  # the question of one example, and the answer of the one before
    pages = make_site(settings, newest_runs=1).parent / "datasets" / "d1"
    text = "".join(path.read_text() for path in sorted(pages.glob("*.html")))
    assert [number for number in range(10) if f"case {number}?" in text] == [0, 1, 2, 3, 4, 5, 8, 9]
    assert "Not shown: 2 with a forgotten post" in text


def test_a_dataset_without_rows_is_shown_as_empty_and_stops_nothing(settings: Settings) -> None:
    for name, train, evaluation in (("d1", 9, 1), ("d2", 0, 0)):
        write_dataset(settings.datasets_dir / name, train=train, evaluation=evaluation)
    site = make_site(settings, newest_runs=1).parent
    assert "This dataset has no examples." in (site / "datasets" / "d2" / "index.html").read_text()
    assert "This dataset has no examples." not in (site / "datasets" / "d1" / "index.html").read_text()
    assert (site / "drift.html").is_file()
    (settings.datasets_dir / "d1" / "attribution.jsonl").write_bytes(b"")
    shutil.rmtree(site)
    with pytest.raises(TuningError, match=r"d1/attribution\.jsonl is empty\. Delete"):
        make_site(settings, newest_runs=1)


@pytest.mark.parametrize("name", ["seconds", "steps"])
def test_a_time_that_no_run_can_take_is_one_line(home: Settings, name: str) -> None:
    record = home.runs_dir / FIRST / "run.json"
    kept = record.read_bytes()
    wrong = json.loads(kept)
    if name == "steps":
        wrong["steps"][0]["seconds"] = 1e308
    else:
        wrong["seconds"] = 1e308
    record.write_text(json.dumps(wrong))
    try:
        with pytest.raises(TuningError, match=r"run\.json is damaged \(Expected `float` <= 1000000000.0 .*delete"):
            make_site(home, newest_runs=50)
    finally:
        record.write_bytes(kept)


def test_a_site_that_cannot_be_finished_leaves_the_one_before(home: Settings, site: Path) -> None:
    before = (site / "index.html").read_bytes()
    broken = home.runs_dir / FIRST / "verdict.json"
    kept = broken.read_bytes()
    broken.write_text("{")
    try:
        with pytest.raises(Exception, match=r"verdict\.json is damaged .*delete .* to do without it"):
            make_site(home, newest_runs=50)
    finally:
        broken.write_bytes(kept)
    assert (site / "index.html").read_bytes() == before
    assert [path.name for path in home.home.glob(".site.*.tmp")] == []
