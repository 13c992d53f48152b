"""Google's smaller APIs on loopback: the KFP template registry, and what `cloud.check` and `cloud.init` ask."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from loopback import Loopback, RefusedError, Request


@dataclass
class Google:
    """What exists in the project `mine`. Paths begin with the host that they would have."""

    templates: dict[str, bytes] = field(default_factory=dict)

    def routes(self) -> list[tuple[str, str, Callable[[Request], Any]]]:
        return [("GET", r"/([\w-]+-kfp\.pkg\.dev/.+)", self.template)]

    def template(self, request: Request) -> bytes:
        address = f"https://{request.groups[0]}"
        if address not in self.templates:
            raise RefusedError(404, f"{address} not found")
        return self.templates[address]


def serve(google: Google) -> Loopback:
    return Loopback(google.routes())
