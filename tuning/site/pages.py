"""Render pages that need nothing else: no server, no request, and only scripts and styles that their policy names."""

import base64
import contextlib
import functools
import hashlib
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
from markupsafe import Markup

from tuning.errors import TuningError
from tuning.records import read_record, write_record
from tuning.storage import link_or_copy, sha256_of, total_sha256, write_bytes
from tuning.visible import visible

TEMPLATES = Path(__file__).with_name("templates")
_PARTS = "parts.json"
# These stand in a script or style element. Text from the data cannot contain them, because its "<" is escaped.
_STYLE, _SCRIPT = Markup("<!--style-->"), Markup("<!--script-->")


class _Parts(msgspec.Struct, frozen=True, kw_only=True):
    """Hold a hash of the inputs of each part of the site, and one of its pages, by the part's folder."""

    keys: dict[str, str] = {}
    pages: dict[str, str] = {}


class Pages:
    """Write the pages of a site into `folder`, and reuse parts of the site in `earlier` whose inputs are the same.

    `code` is a hash of the code that makes the pages.
    """

    def __init__(self, folder: Path, earlier: Path, code: str) -> None:
        self.folder = folder
        self._earlier, self._code = earlier, code
        self._made = _Parts(keys={}, pages={})
        self._known = _read_parts(earlier / _PARTS)

    def part(
        self,
        name: str,
        inputs: Iterable[bytes],
        make: Callable[[Path], None],
        instead: Callable[[Path, TuningError], None] | None = None,
    ) -> None:
        """Let ``make(folder)`` write the folder `name`, or link its files from the earlier site if they are as written.

        `inputs` are all that the pages of this part show. If `make` raises a TuningError and ``instead(folder, error)``
        is given, that one writes the folder, and the next site makes the part anew. Raises TuningError if the name,
        which ends with an ID that a file of the home states, leads out of the site, or if two parts have it.
        """
        kind, _, stated = name.partition("/")
        if not stated or stated in (".", "..") or "/" in stated or name in self._made.keys:
            why = "belongs to two folders" if name in self._made.keys else "is no name of a folder"
            raise TuningError(f"the ID {stated!r} in {kind} of the home {why}", "Move the copy or damaged folder away")
        digest = hashlib.sha256(self._code.encode())
        for content in inputs:
            digest.update(hashlib.sha256(content).digest())
        key = self._made.keys[name] = digest.hexdigest()
        old, new = self._earlier / name, self.folder / name
        if self._known.keys.get(name) == key and _sum(old) == self._known.pages.get(name):
            for file in sorted(old.iterdir()):
                link_or_copy(file, new / file.name)
        else:
            new.mkdir(parents=True)
            try:
                make(new)
            except TuningError as error:
                if instead is None:
                    raise
                shutil.rmtree(new)
                instead(new, error)
                self._made.keys[name] = ""
        self._made.pages[name] = _sum(new)

    def finish(self) -> None:
        """Write which inputs the parts were made from."""
        write_record(self.folder / _PARTS, self._made)


def _read_parts(path: Path) -> _Parts:
    """Return what is known of an earlier site. If that is missing or damaged, every part is made again."""
    with contextlib.suppress(TuningError):
        return read_record(path, _Parts, "")
    return _Parts()


def _sum(folder: Path) -> str:
    """Return a hash of the names and contents of the pages in a folder, or "" if there is none."""
    return total_sha256(folder, sha256_of) if folder.is_dir() else ""


def write_page(path: Path, template: str, view: dict[str, Any], *scripts: str) -> None:
    """Write a page that works from a file. `scripts` run in their order, as one module."""
    write_bytes(path, render_page(template, view, scripts).encode())


def render_page(template: str, view: dict[str, Any], scripts: Sequence[str], *, connects: bool = False) -> str:
    """Return a page. With `connects`, its scripts can send requests to the server that it came from.

    All text in `view` is escaped, and characters that deceive a reader are shown by their numbers.
    """
    style, script = _text("style.css"), "\n".join(scripts)
    policy = _policy(style, script, connects=connects)
    made = _environment().get_template(template)
    page = visible(made.render(view, policy=policy, style=_STYLE, script=_SCRIPT if script else ""))
    return page.replace(_STYLE, style).replace(_SCRIPT, script)


@functools.cache
def _environment() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["web"] = web
    made.policies["json.dumps_kwargs"] = {}  # keys in their own order
    return made


def script(name: str) -> str:
    """Return the text of a script in `templates/`."""
    return _text(name)


def web(address: str) -> str:
    """Return an address if it is one of the web, else "", so that a link from the data cannot run a script."""
    return address if address.startswith(("https://", "http://")) else ""


def _text(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def _policy(style: str, script: str, *, connects: bool) -> str:
    """Return a content security policy that allows this style and this script and nothing else."""
    allowed = f"script-src {_hash(script)}; " if script else ""
    allowed += "connect-src 'self'; " if connects else ""
    return f"default-src 'none'; {allowed}style-src {_hash(style)}; base-uri 'none'; form-action 'none'"


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
