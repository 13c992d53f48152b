"""A dump's site, from an option or from a file's name."""

from pathlib import Path

import pytest

from tests.sources.dumps import posts_file, question
from tuning.errors import TuningError
from tuning.sources.dump import open_dump
from tuning.sources.ingest import settle_site
from tuning.sources.sites import parse_site, site_of_file


@pytest.mark.parametrize(
    ("given", "host", "name"),
    [
        ("stackoverflow", "stackoverflow.com", "Stack Overflow"),
        ("cardano", "cardano.stackexchange.com", "Cardano Stack Exchange"),
        ("cardano.stackexchange.com", "cardano.stackexchange.com", "Cardano Stack Exchange"),
        ("https://www.superuser.com/", "superuser.com", "Super User"),
        ("serverfault", "serverfault.com", "Server Fault"),
        ("AskUbuntu", "askubuntu.com", "Ask Ubuntu"),
        ("mathoverflow.net", "mathoverflow.net", "MathOverflow"),
        ("meta.stackoverflow.com", "meta.stackoverflow.com", "Meta Stack Overflow"),
        ("pt.stackoverflow", "pt.stackoverflow.com", "Stack Overflow em Português"),
        ("meta", "meta.stackexchange.com", "Meta Stack Exchange"),
        ("meta.cardano", "cardano.meta.stackexchange.com", "Cardano Meta Stack Exchange"),
        ("codereview.meta.stackexchange.com", "codereview.meta.stackexchange.com", "Codereview Meta Stack Exchange"),
    ],
)
def test_a_site_is_known_by_its_word_or_its_host(given: str, host: str, name: str) -> None:
    site = parse_site(given)
    assert (site.host, site.name, site.base_url) == (host, name, f"https://{host}")


@pytest.mark.parametrize("given", ["evil.com", "stackoverflow.com.evil.com", "stackexchange", "a/b", "x y", "", "a..b"])
def test_what_is_no_site_of_the_network_is_refused(given: str) -> None:
    with pytest.raises(TuningError, match="is not a Stack Exchange site"):
        parse_site(given)


def test_an_official_archives_name_says_its_site() -> None:
    hosts = {name: site.host if (site := site_of_file(name)) else None for name in (
        "cardano.stackexchange.com.7z", "stackoverflow.com-Posts.7z", "mathoverflow.net.7z", "meta.superuser.com.7z",
        "Posts.xml", "my.data.com.7z", "stackoverflow-python-bodies.7z",
    )}  # fmt: skip
    assert hosts == {
        "cardano.stackexchange.com.7z": "cardano.stackexchange.com",
        "stackoverflow.com-Posts.7z": "stackoverflow.com",
        "mathoverflow.net.7z": "mathoverflow.net",
        "meta.superuser.com.7z": "meta.superuser.com",
        "Posts.xml": None,
        "my.data.com.7z": None,
        "stackoverflow-python-bodies.7z": None,
    }


def test_without_an_option_the_folder_decides_and_else_it_is_stack_overflow(tmp_path: Path) -> None:
    named, other = tmp_path / "cardano.stackexchange.com", tmp_path / "dump"
    named.mkdir()
    other.mkdir()
    assert settle_site(open_dump(posts_file(named, question(1))), "").host == "cardano.stackexchange.com"
    assert settle_site(open_dump(named), "").host == "cardano.stackexchange.com"
    posts_file(other, question(1))
    assert settle_site(open_dump(other), "").host == "stackoverflow.com"
    assert settle_site(open_dump(other), "cardano").host == "cardano.stackexchange.com"


def test_an_option_that_contradicts_the_name_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "cardano.stackexchange.com"
    folder.mkdir()
    posts_file(folder, question(1))
    with pytest.raises(TuningError, match=r"named as a dump of cardano.*--site is stackoverflow"):
        settle_site(open_dump(folder), "stackoverflow")
