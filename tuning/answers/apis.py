"""Check that the names of library functions, classes and methods in an answer's code exist.

Names are looked up in the installed modules. A library that is not installed is unknown and counts neither way.
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
from pathlib import Path
from typing import Any

# An answer chooses the names, so only modules are imported that have no effect when imported.
_EFFECTS = frozenset({"antigravity", "this", "idlelib", "turtledemo", "test", "__main__", "turtle", "tkinter"})
_LIBRARIES = frozenset({"numpy", "pandas"})
_BY_CONVENTION = frozenset({"__notes__", "__dataclass_fields__", "__slots__", "__wrapped__", "__annotations__"})
# Attributes that instances get: ``self.rows = …``, and names in strings, as in ``_fields = ("category", …)``.
_ASSIGNED = re.compile(r"\bself\.(\w+)\s*[:=,]|['\"]([A-Za-z_]\w*)['\"]")


def known_names(code: str) -> tuple[list[str], list[str]]:
    """Return the library names in `code` that exist, and those that do not, in order and without duplicates.

    A name is a module, what is imported from it, or an attribute of it (``os.path.joinn``). An attribute of any other
    value counts as missing if no built-in type, no class of an imported module and no line of the code defines it, and
    is left out if a library of the code is not installed. Raises SyntaxError if `code` is not Python.
    """
    tree = ast.parse(code)
    reader = _Reader()
    reader.visit(tree)
    found = dict.fromkeys(reader.names)
    if not reader.has_unknown:
        known = _builtin_attributes().union(_defined(tree), *map(_attributes_of, reader.modules))
        for name in reader.attributes:
            found.setdefault(f".{name}")
            reader.exists[f".{name}"] = name in known
    return [name for name in found if reader.exists[name]], [name for name in found if not reader.exists[name]]


class _Reader(ast.NodeVisitor):
    def __init__(self) -> None:
        self.bound: dict[str, str] = {}  # name in the code: dotted name of what it means
        self.exists: dict[str, bool] = {}
        self.names: list[str] = []
        self.modules: list[str] = []
        self.attributes: list[str] = []
        self.has_unknown = False

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._note(alias.name, is_module=True)
            self.bound[alias.asname or alias.name.partition(".")[0]] = (
                alias.name if alias.asname else alias.name.partition(".")[0]
            )

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        module = node.module or ""
        if node.level or not module:
            self.has_unknown = True
            return
        self._note(module, is_module=True)
        for alias in node.names:
            if alias.name != "*":
                self._note(f"{module}.{alias.name}")
                self.bound[alias.asname or alias.name] = f"{module}.{alias.name}"

    def visit_Attribute(self, node: ast.Attribute) -> None:
        dotted = self._dotted(node)
        if dotted is None:
            self.attributes.append(node.attr)
            self.generic_visit(node)
        else:
            self._note(dotted)

    def _dotted(self, node: ast.Attribute) -> str | None:
        parts: list[str] = []
        value: ast.expr = node
        while isinstance(value, ast.Attribute):
            parts.append(value.attr)
            value = value.value
        if not isinstance(value, ast.Name) or value.id not in self.bound:
            return None
        return ".".join([self.bound[value.id], *reversed(parts)])

    def _note(self, dotted: str, is_module: bool = False) -> None:
        exists = _resolves(dotted)
        if exists is None:
            self.has_unknown = True
            return
        self.exists[dotted] = exists
        self.names.append(dotted)
        if exists and (is_module or dotted in sys.modules):
            self.modules.append(dotted)


@functools.lru_cache(10_000)
def _resolves(dotted: str) -> bool | None:
    """Return whether the dotted name exists, or None if its library is unknown."""
    root, *rest = dotted.split(".")
    if root in _EFFECTS or (root not in sys.stdlib_module_names and root not in _LIBRARIES):
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
                # Instances, such as ``logger.handlers``, have attributes that their class does not show.
                return not isinstance(value, type) and not callable(value)
            try:
                value = importlib.import_module(path)
            except ImportError:
                return False
        except Exception:
            return True
    return True


@functools.cache
def _builtin_attributes() -> frozenset[str]:
    """Return the names of all attributes of built-in values and of those that common functions return."""
    kinds = {value for value in vars(builtins).values() if isinstance(value, type)}
    kinds |= {type(None), os.stat_result, property, types.FunctionType, types.CodeType, types.FrameType}
    kinds |= {types.GeneratorType, types.TracebackType, io.TextIOWrapper, io.BufferedReader, io.StringIO}
    kinds |= {collections.namedtuple("Pair", "one two"), type(datetime.date(2000, 1, 1).isocalendar())}
    return frozenset(name for kind in kinds for name in dir(kind)) | _BY_CONVENTION


@functools.lru_cache(1_000)
def _attributes_of(module: str) -> frozenset[str]:
    """Return the names of all attributes of the classes in a module and in its submodules that are imported."""
    names: set[str] = set()
    root = module.partition(".")[0]
    for one in [name for name in list(sys.modules) if name == module or name.startswith((f"{module}.", f"_{root}"))]:
        loaded = sys.modules[one]
        for value in list(vars(loaded).values()):
            names.update(dir(value) if isinstance(value, type) else ())
        source = getattr(loaded, "__file__", None) or ""
        if source.endswith(".py"):
            text = Path(source).read_text(encoding="utf-8", errors="replace")
            names.update(name for pair in _ASSIGNED.findall(text) for name in pair)
    return frozenset(names)


def _defined(tree: ast.Module) -> set[str]:
    """Return the names that the code itself defines: functions, classes, arguments, keywords, attributes, strings.

    Strings count because of ``namedtuple("Point", ["x", "y"])``, ``setattr`` and the columns of a DataFrame.
    """
    names: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
            case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name) | ast.keyword(arg=str(name)):
                names.add(name)
            case ast.Attribute(attr=name, ctx=ast.Store()):
                names.add(name)
            case ast.Constant(value=str(text)):
                names.update(text.replace(",", " ").split())
    return names
