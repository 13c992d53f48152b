"""Format the output of the warehouse tasks: the results of a build, and the state of the server."""

from collections.abc import Iterator

from tuning.command_line.report import Report
from tuning.settings import Settings
from tuning.warehouse import emulator
from tuning.warehouse.dbt import BuildResult


def build_lines(result: BuildResult, *, local: bool) -> Iterator[str]:
    """Yield a line for each model and seed, and one for all tests, with rows, processed bytes and seconds; then totals.

    The seconds are those of each node. dbt works on several nodes at a time, so the build takes less than their sum.
    """
    yield f"{'model':36} {'rows':>12} {'bytes':>16} {'seconds':>8}"
    for node in result.nodes:
        rows = "-" if node.rows is None else f"{node.rows:,}"
        yield f"{node.name:36} {rows:>12} {node.bytes:>16,} {node.seconds:>8.1f}"
    yield f"{f'{result.tests} tests':36} {'-':>12} {result.test_bytes:>16,} {result.test_seconds:>8.1f}"
    built = sum(node.rows or 0 for node in result.nodes)
    read = result.test_bytes + sum(node.bytes for node in result.nodes)
    seconds = result.test_seconds + sum(node.seconds for node in result.nodes)
    yield f"{'total':36} {built:>12,} {read:>16,} {seconds:>8.1f}"
    yield f"{len(result.nodes)} models and seeds built, {result.tests} tests, {len(result.warnings)} warnings"
    yield f"the build took {result.seconds:.1f} s, because dbt works on several nodes at a time"
    if not read and local:
        yield "the local BigQuery does not count bytes: run `invoke estimate` to see what BigQuery would read"
    yield from (f"warning: {warning}" for warning in result.warnings)


def status(settings: Settings) -> Report:
    """Return the state of the home's server: its address, log and data."""
    server = emulator.running(settings)
    size = sum(path.stat().st_size for path in settings.warehouse_dir.glob("*.duckdb*"))
    data = {
        "home": settings.home,
        "running": server is not None,
        "endpoint": server.endpoint if server else None,
        "server": server,
        "log": emulator.log_file(settings),
        "bytes": size,
    }
    return Report(data, list(_status_lines(settings, server, size)))


def _status_lines(settings: Settings, server: emulator.Server | None, size: int) -> Iterator[str]:
    if server is None:
        yield f"the local BigQuery of {settings.home} is not running; run `invoke warehouse.up` to start it"
        return
    yield from server_lines(settings, server)
    yield f"log {emulator.log_file(settings)}"
    yield f"data {settings.warehouse_dir}, {size / 1e6:,.1f} MB"


def server_lines(settings: Settings, server: emulator.Server) -> Iterator[str]:
    """Yield the home and the address of a running server, and what dbt needs to find it at another port than usual."""
    where = f"{server.endpoint} (gRPC {server.grpc_port}, pid {server.pid})"
    yield f"the local BigQuery of {server.home} answers at {where}"
    if server.rest_port != settings.bigquery_port:
        yield f"for dbt: export TUNING_BIGQUERY_ENDPOINT={server.endpoint}"
