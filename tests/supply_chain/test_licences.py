"""Every locked package has a licence that was reviewed, and states the licence that our list says."""

import re
import tomllib
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

from tuning.settings import PROJECT_ROOT

LISTED = tomllib.loads(Path(__file__).with_name("licences.toml").read_text())
PACKAGES: dict[str, str] = LISTED["packages"]
LOCKED = [line.partition("==")[0] for line in (PROJECT_ROOT / "requirements.lock").read_text().splitlines()]
# How packages without an SPDX expression name a licence, by the beginning of its identifier.
WORDS = {
    "Apache": "Apache",
    "Artistic": "Artistic",
    "BSD": "BSD",
    "ISC": "ISC",
    "LGPL": "LGPL|Lesser General Public",
    "MIT": "MIT",
    "MPL": "MPL|Mozilla",
    "PSF": "PSF|Python Software Foundation",
}
STATES_NONE = {"axe-playwright-python", "pyromark"}  # their licences are in their files only


def identifiers(expression: str) -> set[str]:
    """The licences in an SPDX expression, without exceptions, which only permit more."""
    return set(re.findall(r"[\w.+-]+", re.sub(r" WITH \S+|\bAND\b|\bOR\b", " ", expression)))


def test_the_list_has_the_locked_packages_and_no_others() -> None:
    assert sorted(PACKAGES) == sorted(LOCKED)


def test_all_licences_were_reviewed() -> None:
    unknown = {package: identifiers(one) - set(LISTED["reviewed"]) for package, one in PACKAGES.items()}
    unknown = {package: licences for package, licences in unknown.items() if licences}
    assert unknown == {}, "review these licences before the package is used"


def test_every_reviewed_licence_is_needed() -> None:
    assert set(LISTED["reviewed"]) == set().union(*(identifiers(one) for one in PACKAGES.values()))


def test_the_list_says_what_the_packages_state() -> None:
    """Also after an update: a package can change its licence."""
    statements = {package: _statement(package) for package in PACKAGES}
    assert {package for package, stated in statements.items() if stated == ""} <= STATES_NONE
    assert {package: stated for package, stated in statements.items() if stated and not _agrees(package, stated)} == {}


def _statement(package: str) -> str | None:
    """What the installed package states about its licence; None if it is not installed."""
    try:
        about = metadata(package)
    except PackageNotFoundError:
        return None
    if expression := about.get("License-Expression"):
        return str(expression)
    classifiers = [one for one in about.get_all("Classifier") or [] if one.startswith("License ::")]
    return "\n".join([*(about.get("License") or "").splitlines()[:1], *classifiers]).strip()


def _agrees(package: str, stated: str) -> bool:
    names = identifiers(PACKAGES[package])
    is_expression = stated == PACKAGES[package]
    return is_expression or all(
        any(name.startswith(start) and re.search(word, stated) for start, word in WORDS.items()) for name in names
    )
