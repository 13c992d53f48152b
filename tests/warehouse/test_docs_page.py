"""The documentation page in a real browser: lineage from the sources to the exposure, a column's type, no network."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Page

from tests.browser import open_browser
from tuning.errors import TuningError
from tuning.settings import PROJECT_ROOT, Settings
from tuning.sources.load_sample import load_sample
from tuning.warehouse.dbt import BuildResult
from tuning.warehouse.docs import make_docs, page_server

SCREENSHOTS = PROJECT_ROOT / "var" / "ci"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def page_file(built: tuple[Settings, BuildResult]) -> Path:
    return make_docs(built[0])


@pytest.fixture(scope="module")
def address(page_file: Path) -> Iterator[str]:
    with page_server(page_file) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture
def browser_page() -> Iterator[Page]:
    with open_browser() as browser:
        yield browser.new_page(viewport={"width": 1600, "height": 900})


def test_the_lineage_runs_from_the_sources_over_the_marts_to_the_exposure(address: str, browser_page: Page) -> None:
    asked: set[str] = set()
    browser_page.on("request", lambda request: asked.add(request.url.split("/")[2]))
    browser_page.goto(f"{address}#!/overview?g_v=1&g_i=%2Bexposure:tune_python_qa")
    browser_page.wait_for_function("window.graph && window.graph.nodes && window.graph.nodes(':visible').length > 0")
    nodes = browser_page.evaluate("window.graph.nodes(':visible').map(node => node.id())")
    kinds = {node.split(".")[0] for node in nodes}
    assert kinds == {"source", "seed", "model", "exposure"}
    assert "exposure.python_qa.tune_python_qa" in nodes
    for mart in ("python_qa_instructions", "python_qa_preferences", "python_qa_build"):
        assert f"model.python_qa.{mart}.v1" in nodes
    for source in ("posts_questions", "posts_answers", "users", "post_links"):
        assert f"source.python_qa.stack_exchange.{source}" in nodes
    edges = browser_page.evaluate("window.graph.edges(':visible').map(e => [e.source().id(), e.target().id()])")
    assert ["model.python_qa.python_qa_instructions.v1", "exposure.python_qa.tune_python_qa"] in edges
    colours = browser_page.evaluate(
        "Object.fromEntries(window.graph.nodes(':visible').map(node => [node.id(), node.style('background-color')]))"
    )
    layers = ("stg_stack_exchange__questions", "int_accepted_pairs", "python_qa_instructions.v1")
    assert len({colours[f"model.python_qa.{layer}"] for layer in layers}) == 3
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    browser_page.screenshot(path=SCREENSHOTS / "dbt-lineage.png")
    assert asked == {address.split("/")[2]}


def test_a_models_page_shows_its_columns_with_types_and_descriptions(address: str, browser_page: Page) -> None:
    browser_page.goto(f"{address}#!/model/model.python_qa.python_qa_instructions.v1")
    rows = browser_page.locator("tr", has=browser_page.locator("td"))
    rows.first.wait_for()
    shown = {text.split()[0]: text for text in rows.all_inner_texts() if text.split()}
    assert shown["example_id"].split()[1] == "STRING"
    assert shown["question_id"].split()[1] == "INT64"
    assert shown["tags"].split()[1] == "ARRAY<STRING>"
    assert shown["question_created_at"].split()[1] == "TIMESTAMP"
    assert len(shown["example_id"].split()) > 5  # and says what it is
    # BigQuery's own catalog has the first two; the local BigQuery forgets all three.
    page = browser_page.locator("body").inner_text()
    for fact in ("Partitioned By", "answer_created_at by month", "Clustered By", "question_id", "layer: mart"):
        assert fact.lower() in page.lower()
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    browser_page.screenshot(path=SCREENSHOTS / "dbt-columns.png")


def test_the_page_is_served_to_this_machine_alone(address: str, page_file: Path) -> None:
    with page_server(page_file) as server:
        assert server.server_address[0] == "127.0.0.1"
    assert requests.get(address, timeout=30).content == page_file.read_bytes()


def test_without_marts_there_is_no_page_but_one_line(new_home: Callable[..., Settings]) -> None:
    settings = new_home()
    load_sample(settings, 3)
    with pytest.raises(TuningError, match=r"there are no tables to document yet\. Run `invoke build` first"):
        make_docs(settings)
