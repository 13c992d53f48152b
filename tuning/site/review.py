"""Serve the examples of a dataset on this machine, to keep or reject them one by one. Decisions go to a file."""

import asyncio
import re
from collections.abc import Callable
from itertools import chain, islice
from pathlib import Path
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from tuning.dataset.dataset import Dataset
from tuning.dataset.decisions import Decision, read_decisions, write_decisions
from tuning.dataset.formats.codec import question_of
from tuning.errors import TuningError
from tuning.evaluation.report import title_of
from tuning.site.dataset_page import SPLITS, example_view
from tuning.site.pages import render_page, script

PER_PAGE = 20  # examples
_LONGEST_BODY = 1 << 14  # bytes
_HOST = re.compile(r"(127\.0\.0\.1|localhost)(:[0-9]+)?")


class _Choice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Represent what the page sends: a decision, or "" to take one back."""

    example_id: str
    decision: str
    reason: str = ""


def review(dataset: Dataset, file: Path, port: int, ready: Callable[[str], None]) -> None:
    """Serve the examples of a dataset at 127.0.0.1 until Ctrl-C. Decisions are written to `file` at once.

    Raises TuningError if the file is not valid or the port is in use.
    """
    import uvicorn

    from tuning.serving.limits import limited
    from tuning.serving.server import LOOPBACK, listening

    app = make_app(dataset, file)
    with listening(port, "invoke review") as listener:
        server = uvicorn.Server(limited(app))
        ready(f"http://{LOOPBACK}:{port}/")
        server.run(sockets=[listener])


def make_app(dataset: Dataset, file: Path) -> Starlette:
    """Return the application that shows the examples of a dataset, and writes decisions about them to `file`.

    Raises TuningError if the file has lines that are not valid.
    """
    decisions = read_decisions(file) if file.exists() else {}
    known = {about.example_id for split in SPLITS for about in dataset.attributions(split)}
    pages = -(-len(known) // PER_PAGE)
    writing = asyncio.Lock()

    def show(request: Request) -> Response:
        if problem := _refusal(request):
            return problem
        text = request.query_params.get("page", "1")
        number = min(int(text), pages) if re.fullmatch(r"[1-9][0-9]{0,6}", text) else 1
        view = {
            "root": "",
            "here": "",
            "docs": "",
            "dataset": dataset,
            "file": str(file),
            "page": number,
            "pages": pages,
            "decided": len(known & decisions.keys()),
            "count": len(known),
            "decisions": decisions,
            "examples": _page(dataset, number),
        }
        page = render_page("review.html.j2", view, [script("review.js")], connects=True)
        return HTMLResponse(page, headers={"Cache-Control": "no-store", "X-Frame-Options": "DENY"})

    async def decide(request: Request) -> Response:
        if problem := _refusal(request):
            return problem
        if request.headers.get("origin") != f"http://{request.headers['host']}":
            return JSONResponse({"error": "only the page of this server can send decisions"}, 403)
        body = b""
        try:
            async for part in request.stream():
                body += part
                if len(body) > _LONGEST_BODY:
                    return JSONResponse({"error": "the request is too long"}, 413)
        except ClientDisconnect:
            return JSONResponse({"error": "the request ended too early"}, 400)  # nobody reads it
        try:
            choice = msgspec.json.decode(body, type=_Choice)
            made = msgspec.convert(msgspec.to_builtins(choice), Decision) if choice.decision else None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return JSONResponse({"error": str(error)}, 400)
        if choice.example_id not in known:
            return JSONResponse({"error": "the dataset has no such example"}, 404)
        async with writing:
            try:  # another review, or a person, may have changed the file
                found = read_decisions(file) if file.exists() else {}
                changed = {name: one for name, one in found.items() if name != choice.example_id}
                if made:
                    changed[choice.example_id] = made
                write_decisions(file, changed)
            except (OSError, TuningError) as error:
                return JSONResponse({"error": f"{file} was not written ({error})"}, 500)
            decisions.clear()
            decisions.update(changed)
        return JSONResponse({"decided": len(known & decisions.keys())})

    return Starlette(routes=[Route("/", show, methods=["GET"]), Route("/decisions", decide, methods=["POST"])])


def _refusal(request: Request) -> Response | None:
    """Return an error for a request that names another host, as a page behind DNS rebinding does."""
    if _HOST.fullmatch(request.headers.get("host", "")):
        return None
    return JSONResponse({"error": "only this machine can use this server, by 127.0.0.1 or localhost"}, 403)


def _page(dataset: Dataset, number: int) -> list[dict[str, Any]]:
    start = (number - 1) * PER_PAGE
    pairs = islice(chain(dataset.pairs("train"), dataset.pairs("eval")), start, start + PER_PAGE)
    manifest = dataset.manifest
    return [
        example_view(about, example, title_of(question_of(manifest.format, manifest.template, example)), manifest)
        for about, example in pairs
    ]
