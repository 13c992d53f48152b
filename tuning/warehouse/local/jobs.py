"""Serve query jobs as BigQuery does: errors, default and destination tables, timeouts.

Two routes stand before those of bqemulator, and call them.
"""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

from bqemulator.api.dependencies import get_caller
from bqemulator.api.routes import jobs as routes
from bqemulator.domain.errors import DomainError, InvalidQueryError
from bqemulator.jobs import executor
from bqemulator.scripting.ast import SqlStmt
from bqemulator.scripting.parser import parse_script
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from tuning.warehouse.local import destination, errors, script_parameters
from tuning.warehouse.local.errors import REQUEST
from tuning.warehouse.local.limits import job_limit
from tuning.warehouse.local.sql.default_dataset import default_dataset, qualified
from tuning.warehouse.local.sql.literals import plain_literals
from tuning.warehouse.local.temporary_tables import dropped_at_the_end

_PATH = "/bigquery/v2/projects/{project}"
_PAGE = 10_000
# ``to_arrow`` and ``to_dataframe`` of Google's client read the rows from Google's own servers, unless the first page
# has nearly all rows, or the job has no destination table. So a result of up to this many bytes is one page, and a
# larger one names no table.
_ONE_PAGE = 16 << 20
_SECONDS = 300.0  # limit of a query whose job names none; all other requests wait for it
_KEPT_RESULTS = 32  # results of finished jobs that stay in memory
_KEPT_BYTES = 256 << 20
_HTTP = {"notFound": 404, "duplicate": 409, "accessDenied": 403}
# Fields that jobs.query has at its top, and jobs.insert in configuration.query.
_QUERY_FIELDS = (
    *("query", "useLegacySql", "defaultDataset", "queryParameters", "parameterMode", "maximumBytesBilled"),
    *("createSession", "connectionProperties", "useQueryCache"),
)


class _Body(Request):
    """Stand for a request whose JSON body is known."""

    def __init__(self, body: dict[str, Any]) -> None:
        super().__init__({"type": "http"})
        self._known = body

    async def json(self) -> dict[str, Any]:
        return self._known


def install(app: Any, context: Any) -> None:
    """Put the routes of query jobs into the application, before those that are there."""

    async def query(request: Request) -> JSONResponse:
        return JSONResponse(await _query(request, context))

    async def insert(request: Request) -> JSONResponse:
        body = await request.json()
        return JSONResponse(await _insert(request.path_params["project"], body, context, get_caller(request)))

    async def results(request: Request) -> JSONResponse:
        return JSONResponse(_results(request, context))

    async def failed(_: Request, error: Exception) -> JSONResponse:
        refusal = errors.unexpected(error)
        return JSONResponse(refusal.to_bigquery_error(), status_code=refusal.http_status)

    app.add_exception_handler(Exception, failed)
    app.router.routes[:0] = [
        Route(f"{_PATH}/queries", query, methods=["POST"]),
        Route(f"{_PATH}/jobs", insert, methods=["POST"]),
        Route(f"{_PATH}/queries/{{job}}", results, methods=["GET"]),
    ]


async def _query(request: Request, context: Any) -> dict[str, Any]:
    """Answer jobs.query: run the job, and return its first rows or its error."""
    body, project = await request.json(), request.path_params["project"]
    job = {name: body[name] for name in _QUERY_FIELDS if name in body}
    configuration = {"query": job, "dryRun": body.get("dryRun", False), "labels": body.get("labels", {})}
    if "jobTimeoutMs" in body:
        configuration["jobTimeoutMs"] = body["jobTimeoutMs"]
    made = await _insert(project, {"configuration": configuration}, context, get_caller(request))
    error = made["status"].get("errorResult")
    if error:
        raise _as_exception(error)
    statistics = made["statistics"]["query"]
    answer: dict[str, Any] = {"kind": "bigquery#queryResponse", "jobComplete": True}
    answer["jobReference"] = made["jobReference"]
    for name in ("totalBytesProcessed", "cacheHit", "statementType", "numDmlAffectedRows", "ddlOperationPerformed"):
        if name in statistics:
            answer[name] = statistics[name]
    if "sessionInfo" in made["statistics"]:
        answer["sessionInfo"] = made["statistics"]["sessionInfo"]
    if configuration["dryRun"]:
        reference = {"projectId": project}
        return answer | {"jobReference": reference, "schema": statistics["schema"], "rows": [], "totalRows": "0"}
    identity = made["jobReference"]["jobId"]
    wanted = body.get("maxResults")
    page = routes.get_query_results(project, identity, context, _page(identity, wanted), 0, None)
    return page | answer


async def _insert(project: str, body: dict[str, Any], context: Any, caller: Any) -> dict[str, Any]:
    """Answer jobs.insert. A query that could never run is an error of the request, any other is one of the job."""
    configuration = body.get("configuration", {})
    query = configuration.get("query")
    if query is None:
        return dict(await routes.insert_job(project, _Body(body), context, caller))
    reference = {"jobId": f"bqemu_{uuid4().hex[:12]}"} | body.get("jobReference", {})
    script, dataset = query.get("query", ""), query.get("defaultDataset") or {}
    if not script.strip():
        raise InvalidQueryError("Empty query")
    plain, is_script = (script, False) if query.get("useLegacySql") else _read(script)
    timeout = float(configuration.get("jobTimeoutMs") or 0) / 1000 or _SECONDS
    sent = {name: value for name, value in query.items() if name not in (*destination.FIELDS, "defaultDataset")}
    with (
        dropped_at_the_end(context),
        default_dataset(dataset.get("projectId") or project, dataset.get("datasetId", ""), plain),
        job_limit(timeout),
        script_parameters.parameters_of_one_job(),
        destination.writing_to(None if configuration.get("dryRun") else query),
    ):
        sent["query"] = plain if is_script else qualified(plain)
        if is_script and query.get("queryParameters"):
            sent["query"] = script_parameters.declared(plain, sent.pop("queryParameters"))
        inner = {"configuration": configuration | {"query": sent}, "jobReference": reference}
        made = dict(await routes.insert_job(project, _Body(inner), context, caller))
        error = made["status"].get("errorResult")
        if error and error.get("location") == REQUEST:
            raise _as_exception(error)
    shown = made["configuration"]["query"] | query
    result = executor.JOB_RESULTS.get(reference["jobId"])
    if result is not None and result.nbytes > _ONE_PAGE and "destinationTable" not in query:
        del shown["destinationTable"]
    made["configuration"] = made["configuration"] | {"query": shown}
    meta = context.catalog.get_job(project, reference["jobId"])
    if meta is not None:
        context.catalog.upsert_job(meta.model_copy(update={"configuration": made["configuration"]}))
    _forget_old_results()
    return made


def _read(script: str) -> tuple[str, bool]:
    """Return the script with plain literals, and whether it is more than one statement of SQL."""
    try:
        plain = plain_literals(script)
        statements = parse_script(plain).statements
    except ValueError as error:
        raise InvalidQueryError(str(error)) from error
    except DomainError as error:
        raise errors.translate(error) from error
    return plain, len(statements) != 1 or not isinstance(statements[0], SqlStmt)


def executing(run: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Return `run`, bqemulator's function for a query job, with a check of the result and with its destination."""

    async def execute(project: str, job: str, sql: str, given: Any, context: Any, **options: Any) -> Any:
        target = destination.current(project)
        if target is not None:
            destination.check(target, context)
        made = await run(project, job, sql, given, context, **options)
        require_valid(executor.JOB_RESULTS[job])
        if target is not None:
            destination.write(target, job, project, context)
        return made

    return execute


def _results(request: Request, context: Any) -> dict[str, Any]:
    """Answer jobs.getQueryResults."""
    project, job = request.path_params["project"], request.path_params["job"]
    meta = context.catalog.get_job(project, job)
    if meta is not None and meta.error_result:
        raise _as_exception(meta.error_result)
    given = request.query_params
    start, token = int(given.get("startIndex", 0)), given.get("pageToken") or None
    wanted = int(given["maxResults"]) if "maxResults" in given else None
    return dict(routes.get_query_results(project, job, context, _page(job, wanted), start, token))


def _page(job: str, wanted: int | None) -> int:
    if wanted:
        return wanted
    table = executor.JOB_RESULTS.get(job)
    return _PAGE if table is None or table.nbytes > _ONE_PAGE else max(_PAGE, table.num_rows)


def _as_exception(error: dict[str, Any]) -> DomainError:
    status = _HTTP.get(error["reason"], 400)
    shown = {"http_status": status, "bq_reason": error["reason"]}
    if status == 400:
        shown["grpc_status_name"] = "INVALID_ARGUMENT"
    kind = type("JobError", (DomainError,), shown)
    made: DomainError = kind(error["message"], location=error.get("location"))
    return made


def _forget_old_results() -> None:
    """Keep the results of the newest jobs only. BigQuery keeps them for a day."""
    size = 0
    for kept, job in enumerate(reversed(list(executor.JOB_RESULTS)), 1):
        size += executor.JOB_RESULTS[job].nbytes
        if kept > _KEPT_RESULTS and size > _KEPT_BYTES:
            executor.JOB_RESULTS.pop(job, None)
            executor.JOB_SCHEMAS.pop(job, None)


def require_valid(table: Any) -> None:
    """Raise InvalidQueryError if a result has what no result of BigQuery has: NULL in an array."""
    import pyarrow as pa
    import pyarrow.compute as pc

    def look(name: str, values: Any) -> None:
        if isinstance(values, pa.ChunkedArray):
            for chunk in values.chunks:
                look(name, chunk)
        elif pa.types.is_list(values.type) or pa.types.is_large_list(values.type):
            inner = pc.list_flatten(values)
            if inner.null_count:
                raise InvalidQueryError(
                    f"Array cannot have a null element; error in writing field {name}", location="query"
                )
            look(name, inner)
        elif pa.types.is_struct(values.type):
            for position, field in enumerate(values.flatten()):
                look(f"{name}.{values.type.field(position).name}", field)

    for field, column in zip(table.schema, table.columns, strict=True):
        if pa.types.is_nested(field.type):
            look(field.name, column)
