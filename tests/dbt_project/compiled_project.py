"""The dbt project compiled without any warehouse: what would run, as dbt's manifest tells it."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from tuning.settings import PREFIX, PROJECT_ROOT

DBT_PROJECT = PROJECT_ROOT / "dbt_project"
TARGETS = ("local", "gcp")

_OF_A_USER = ("client_id", "client_secret", "refresh_token")

Node = dict[str, Any]


@dataclass(frozen=True)
class Compiled:
    """A manifest after `dbt compile`."""

    manifest: dict[str, Any]

    @property
    def nodes(self) -> dict[str, Node]:
        return self.manifest["nodes"]

    def of_type(self, *types: str) -> list[Node]:
        return [node for node in self.nodes.values() if node["resource_type"] in types]

    @property
    def models(self) -> list[Node]:
        return self.of_type("model")

    @property
    def sources(self) -> list[Node]:
        return list(self.manifest["sources"].values())

    def model(self, name: str) -> Node:
        """The model, in its only version."""
        (model,) = (node for node in self.models if node["name"] == name)
        return model

    def named(self, name: str) -> Node:
        """The node or exposure of this name."""
        (node,) = (one for one in [*self.nodes.values(), *self.manifest["exposures"].values()] if one["name"] == name)
        return node

    def parents_first(self) -> list[Node]:
        """Models in an order in which each one's parents come before it."""
        waiting = {node["unique_id"]: node for node in self.models}
        ordered: list[Node] = []
        while waiting:
            ready = [n for n in waiting.values() if not set(n["depends_on"]["nodes"]) & set(waiting)]
            for node in ready:
                ordered.append(waiting.pop(node["unique_id"]))
        return ordered


def invented_credentials(folder: Path) -> dict[str, str]:
    """The variable that points at credentials which are no one's: good enough where nothing connects."""
    path = folder / "credentials.json"
    path.write_bytes(orjson.dumps({"type": "authorized_user", **dict.fromkeys(_OF_A_USER, "invented")}))
    return {"GOOGLE_APPLICATION_CREDENTIALS": str(path)}


def compile_project(
    folder: Path, target: str = "gcp", project: Path = DBT_PROJECT, environment: dict[str, str] | None = None
) -> Compiled:
    """Compile `project` into `folder`. Nothing connects: dbt asks for credentials all the same."""
    command = [
        *(str(Path(sys.executable).with_name("dbt")), "--quiet", "compile", "--no-populate-cache", "--target", target),
        *("--project-dir", str(project), "--profiles-dir", str(project)),
        *("--target-path", str(folder / "target"), "--log-path", str(folder / "logs")),
    ]
    clean = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    clean |= invented_credentials(folder) | {"DBT_USE_COLORS": "false"} | (environment or {})
    done = subprocess.run(command, capture_output=True, text=True, env=clean, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"dbt compile failed:\n{done.stdout}\n{done.stderr}")
    return Compiled(orjson.loads((folder / "target" / "manifest.json").read_bytes()))
