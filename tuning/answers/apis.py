"""Check that the names of library functions, classes and methods in an answer's code exist.

Names are looked up in the installed modules of the standard library, numpy and pandas. Names of other libraries, and of
numpy and pandas if they are not installed, count neither as existing nor as missing.
"""

import ast
import builtins
import collections
import datetime
import functools
import importlib
import io
import os
import re
import sys
import types
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

# Modules that do something when they are imported. An answer chooses the names, so these modules are never imported.
_EFFECTS = frozenset({"antigravity", "this", "idlelib", "turtledemo", "test", "__main__", "turtle", "tkinter"})
_LIBRARIES = frozenset({"numpy", "pandas"})
_BY_CONVENTION = frozenset({"__notes__", "__dataclass_fields__", "__slots__", "__wrapped__", "__annotations__"})
# Finds the names that source code gives to attributes: ``self.rows = …``, and strings, as in ``_fields = ("id", …)``.
_ASSIGNED = re.compile(r"\bself\.(\w+)\s*[:=,]|['\"]([A-Za-z_]\w*)['\"]")


def known_names(code: str) -> tuple[list[str], list[str]]:
    """Return the library names in `code` that exist, and those that do not, in order and without duplicates.

    A name is a module, what is imported from it, or an attribute of it (``os.path.joinn``). An attribute of any other
    value counts as missing if no common type, no class of an imported module and no line of the code defines it. Such
    attributes are left out if the code uses a library that cannot be checked. Raises SyntaxError if `code` is not
    Python.
    """
    # Not a recursive visitor, because expressions in answers can be nested too deeply for recursion.
    nodes = list(ast.walk(ast.parse(code)))
    names = _Names()
    for node in nodes:
        if isinstance(node, ast.Import):
            names.add_import(node)
        elif isinstance(node, ast.ImportFrom):
            names.add_from(node)
    names.forget(nodes)
    attributes = names.add_attributes(node for node in nodes if isinstance(node, ast.Attribute))
    if not names.has_unknown:
        known = _common_attributes().union(_defined(nodes), *map(_attributes_of, names.modules))
        names.exists |= {f".{name}": name in known for name in attributes}
    return (
        [name for name, exists in names.exists.items() if exists],
        [name for name, exists in names.exists.items() if not exists],
    )


class _Names:
    """Collect the library names of a program and whether they exist."""

    def __init__(self) -> None:
        self.exists: dict[str, bool] = {}
        self.modules: list[str] = []
        self.has_unknown = False
        self._bound: dict[str, str] = {}  # by name in the code: the dotted name that it stands for

    def add_import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._note(alias.name, is_module=True)
            root = alias.name.partition(".")[0]
            self._bound[alias.asname or root] = alias.name if alias.asname else root

    def add_from(self, node: ast.ImportFrom) -> None:
        if node.level or not node.module:
            self.has_unknown = True
            return
        self._note(node.module, is_module=True)
        for alias in node.names:
            if alias.name != "*":
                self._note(f"{node.module}.{alias.name}")
                self._bound[alias.asname or alias.name] = f"{node.module}.{alias.name}"

    def forget(self, nodes: Iterable[ast.AST]) -> None:
        """Remove the names that the code also gives to other values, as in ``json = json.loads(text)``."""
        for node in nodes:
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                self._bound.pop(node.id, None)
            elif isinstance(node, ast.arg):
                self._bound.pop(node.arg, None)

    def add_attributes(self, nodes: Iterable[ast.Attribute]) -> list[str]:
        """Record the attributes of modules, and return the names of all other attributes.

        In `nodes`, an outer attribute must come before the attributes inside it, as in the order of ``ast.walk``.
        """
        others: list[str] = []
        inner: set[int] = set()
        for node in nodes:
            if id(node) in inner:
                continue
            parts, value = [node.attr], node.value
            chain = []
            while isinstance(value, ast.Attribute):
                chain.append(id(value))
                parts.append(value.attr)
                value = value.value
            if isinstance(value, ast.Name) and value.id in self._bound:
                self._note(".".join([self._bound[value.id], *reversed(parts)]))
                inner.update(chain)
            else:
                others.append(node.attr)
        return others

    def _note(self, dotted: str, is_module: bool = False) -> None:
        exists = _resolves(dotted)
        if exists is None:
            self.has_unknown = True
            return
        self.exists[dotted] = exists
        if exists and (is_module or dotted in sys.modules):
            self.modules.append(dotted)


@functools.lru_cache(10_000)
def _resolves(dotted: str) -> bool | None:
    """Return whether the dotted name exists, or None if its library cannot be checked."""
    root, *rest = dotted.split(".")
    if (
        {"__main__", "tests", "conftest"} & {*rest}
        or root in _EFFECTS
        or (root not in sys.stdlib_module_names and root not in _LIBRARIES)
    ):
        return None
    try:
        value: Any = importlib.import_module(root)
    except ImportError:
        return None
    path = root
    for name in rest:
        path = f"{path}.{name}"
        try:
            value = getattr(value, name)
        except AttributeError:
            if not isinstance(value, types.ModuleType):
                # Classes and functions lack the name. An instance can get attributes later, so assume that it exists.
                return not isinstance(value, type) and not callable(value)
            try:
                value = importlib.import_module(path)
            except ImportError:
                return False
        except Exception:
            return True
    return True


@functools.cache
def _common_attributes() -> frozenset[str]:
    """Return the names of all attributes of built-in types, and of other types that are common in programs."""
    kinds = {value for value in vars(builtins).values() if isinstance(value, type)}
    kinds |= {type(None), os.stat_result, property, types.FunctionType, types.CodeType, types.FrameType}
    kinds |= {types.GeneratorType, types.TracebackType, io.TextIOWrapper, io.BufferedReader, io.StringIO}
    kinds |= {collections.namedtuple("Pair", "one two"), type(datetime.date(2000, 1, 1).isocalendar())}
    names = frozenset(name for kind in kinds for name in dir(kind)) | _BY_CONVENTION
    return names.union(*map(_class_attributes, ("collections", "datetime", "decimal", "pathlib", "re")))


@functools.lru_cache(1_000)
def _attributes_of(module: str) -> frozenset[str]:
    """Return the attributes of a module's classes, and the names that `_ASSIGNED` finds in its source code."""
    names = set(_class_attributes(module))
    for loaded in _with_submodules(module):
        source = getattr(loaded, "__file__", None) or ""
        if source.endswith(".py"):
            text = Path(source).read_text(encoding="utf-8", errors="replace")
            names.update(name for pair in _ASSIGNED.findall(text) for name in pair)
    return frozenset(names)


def _class_attributes(module: str) -> frozenset[str]:
    values = (value for loaded in _with_submodules(module) for value in list(vars(loaded).values()))
    return frozenset(name for value in values if isinstance(value, type) for name in dir(value))


def _with_submodules(module: str) -> list[types.ModuleType]:
    """Return the module, its imported submodules, and the C modules that implement it, such as ``_json``."""
    root = module.partition(".")[0]
    within = (f"{module}.", f"_{root}")
    return [sys.modules[name] for name in list(sys.modules) if name == module or name.startswith(within)]


def _defined(nodes: Sequence[ast.AST]) -> set[str]:
    """Return the names that the code itself defines: functions, classes, arguments, keywords, attributes, strings.

    Strings count because of ``namedtuple("Point", ["x", "y"])``, ``setattr``, options such as ``--dry-run``, and the
    columns of a DataFrame.
    """
    names: set[str] = set()
    for node in nodes:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
            case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name) | ast.keyword(arg=str(name)):
                names.add(name)
            case ast.Attribute(attr=name, ctx=ast.Store()):
                names.add(name)
            case ast.Constant(value=str(text)):
                words = text.replace(",", " ").split()
                names.update(word.lstrip("-").replace("-", "_") for word in words)
    return names
