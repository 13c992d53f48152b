"""Collect the docstrings of the standard library's public functions, classes and methods.

If you run this file as a script, it prints the entries as JSON. It imports only the standard library.
"""

import contextlib
import importlib
import inspect
import io
import json
import re
import subprocess
import sys
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from types import ModuleType

# Documented modules that import without side effects on every system. Left out: modules that print, open a window or
# change the terminal (readline, curses), modules of one operating system, and the library's own tests and installers.
_MODULES = """
abc argparse array ast asyncio base64 bdb binascii bisect builtins bz2 calendar cmath cmd code codecs codeop
collections collections.abc colorsys compileall concurrent.futures configparser contextlib contextvars copy copyreg csv
dataclasses datetime decimal difflib dis doctest email.header email.headerregistry email.message email.parser
email.policy email.utils enum errno fileinput filecmp fnmatch fractions ftplib functools gc getopt getpass gettext glob
graphlib gzip hashlib heapq hmac html html.parser http.client http.cookiejar http.cookies http.server imaplib importlib
importlib.metadata importlib.resources importlib.util inspect io ipaddress itertools json keyword linecache locale
logging logging.config logging.handlers lzma mailbox marshal math mimetypes mmap modulefinder multiprocessing
multiprocessing.pool multiprocessing.shared_memory netrc numbers operator optparse os os.path pathlib pickle pickletools
pkgutil platform plistlib poplib pprint profile pstats py_compile pyclbr queue quopri random re reprlib runpy sched
secrets selectors shelve shlex shutil signal smtplib socket socketserver sqlite3 ssl stat statistics string stringprep
struct subprocess symtable sys sysconfig tarfile tempfile textwrap threading time timeit tokenize trace traceback
tracemalloc types typing unicodedata unittest unittest.mock urllib.error urllib.parse urllib.request
urllib.robotparser uuid venv warnings wave weakref wsgiref.handlers wsgiref.headers wsgiref.simple_server wsgiref.util
xml.dom.minidom xml.dom.pulldom xml.etree.ElementTree xml.sax xml.sax.handler xml.sax.saxutils xmlrpc.client
xmlrpc.server zipapp zipfile zipimport zlib zoneinfo
"""

# The page that describes a built-in, by its kind.
_BUILTIN_PAGES = {"function": "functions", "type": "stdtypes", "error": "exceptions"}
_SHORTEST = 30  # characters; a shorter docstring says too little
_ADDRESS = re.compile(r"=\s*<[^<>]*>|<[^<>]* at 0x[0-9a-fA-F]+>")
# Memory addresses and paths of this machine. They differ between runs and machines.
_DIFFERS = re.compile(r" at 0x|='/")
_SIGNATURE_LINE = re.compile(r"[\w.]+\([^\n]*\)(\s*->\s*[^\n]+)?\Z")


@dataclass(frozen=True)
class Entry:
    """Describe one documented object. `page` is its page under ``library/``. `owner` is the class of a method."""

    module: str
    page: str
    name: str
    owner: str
    kind: str  # "function", "class" or "method"
    signature: str  # "(a, b=1)", or empty if Python cannot tell
    doc: str  # cleaned docstring, without a first line that only repeats the signature

    @property
    def dotted(self) -> str:
        """Return the dotted name, such as ``json.dumps``, ``str.join`` or ``pathlib.Path.exists``."""
        parts = [] if self.module == "builtins" else [self.module]
        return ".".join([*parts, *([self.owner] if self.owner else []), self.name])


def entries() -> list[Entry]:
    """Return every documented object once, by module and name. The same interpreter always gives the same list.

    The objects are collected in a new interpreter without site-packages. In the current one, third-party libraries
    may have added functions to modules such as `logging`, and docs.python.org does not describe those functions.
    """
    command = [sys.executable, "-I", "-S", "-X", "utf8", __file__]
    output = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True).stdout
    return [Entry(**entry) for entry in json.loads(output)]


def _collect() -> list[Entry]:
    found: list[Entry] = []
    seen: set[str] = set()
    for module in map(_import, _MODULES.split()):
        for entry in _entries_of(module):
            if entry.doc not in seen:  # skip aliases and inherited docstrings
                seen.add(entry.doc)
                found.append(entry)
    return found


def _import(name: str) -> ModuleType:
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore", DeprecationWarning)
        return importlib.import_module(name)


def _entries_of(module: ModuleType) -> Iterator[Entry]:
    for name in sorted(getattr(module, "__all__", None) or vars(module)):
        value = getattr(module, name, None)
        if name.startswith("_") or not _belongs(value, module):
            continue
        if inspect.isclass(value):
            yield from _entry(module, name, "", "class", value)
            for attribute, member in sorted(vars(value).items()):
                if not attribute.startswith("_") and (inspect.isroutine(member) or isinstance(member, property)):
                    yield from _entry(module, attribute, name, "method", member)
        elif inspect.isroutine(value):
            yield from _entry(module, name, "", "function", value)


def _belongs(value: object, module: ModuleType) -> bool:
    """Return whether the module defines the object, as opposed to importing it."""
    if not (inspect.isclass(value) or inspect.isroutine(value)):
        return False
    if getattr(module, "__all__", None):
        return True
    home = getattr(value, "__module__", None) or module.__name__
    return home.lstrip("_").split(".")[0] in (module.__name__.split(".")[0], "builtins", "posix", "nt", "io")


def _entry(module: ModuleType, name: str, owner: str, kind: str, value: object) -> Iterator[Entry]:
    wrapped = getattr(value, "__func__", value)
    text = getattr(wrapped, "__doc__", None)
    if not isinstance(text, str):
        return
    first, doc = _split_signature(inspect.cleandoc(text))
    signature = _signature(value) or first
    if len(doc) >= _SHORTEST and not _DIFFERS.search(signature + doc) and not _has_controls(doc):
        yield Entry(_public(module), _page(module, kind, value), name, owner, kind, signature, doc)


def _public(module: ModuleType) -> str:
    return "os.path" if module.__name__ in ("posixpath", "ntpath") else module.__name__


def _page(module: ModuleType, kind: str, value: object) -> str:
    if module.__name__ != "builtins":
        return _public(module).lower()
    if inspect.isclass(value) and issubclass(value, BaseException):
        return _BUILTIN_PAGES["error"]
    return _BUILTIN_PAGES["function" if kind == "function" else "type"]


def _signature(value: object) -> str:
    """Return the arguments. Defaults that print as ``<object at 0x…>`` are replaced with ``...``."""
    target: object = getattr(value, "__func__", value)
    if not callable(target):
        return ""
    try:
        return _ADDRESS.sub("=...", str(inspect.signature(target)))
    except (ValueError, TypeError):  # a built-in whose signature Python cannot read
        return ""


def _split_signature(doc: str) -> tuple[str, str]:
    """Split off a first line that is only a call, as in C functions. Return its arguments and the other lines."""
    line, _, rest = doc.partition("\n")
    if not _SIGNATURE_LINE.match(line):
        return "", doc
    return line[line.index("(") :], rest.strip("\n")


def _has_controls(text: str) -> bool:
    return any(not character.isprintable() and character not in "\n\t" for character in text)


if __name__ == "__main__":
    print(json.dumps([asdict(entry) for entry in _collect()]))
