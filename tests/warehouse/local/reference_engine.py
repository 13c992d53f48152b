"""Google's reference engine for its SQL dialect: what BigQuery answers to a query, as Google's client would give it.

ZetaSQL is the parser, the analyzer and the reference implementation that BigQuery's dialect is defined by. The package
`zetasql` runs all three as WebAssembly, without a server.
"""

import datetime
import decimal
import importlib
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from tests.dbt_project.google_analyzer import (
    AnalyzerOptions,
    CatalogBuilder,
    Tables,
    TypeKind,
    ZetaSQLBuiltinFunctionOptions,
    ZetaSQLError,
)

# Imported after google_analyzer, which lets wasmtime keep what it compiled.
PreparedQuery = importlib.import_module("zetasql.api").PreparedQuery
ProtoModel = importlib.import_module("zetasql.types.proto_model.proto_model").ProtoModel
_from_proto = ProtoModel.from_proto.__func__


@classmethod  # type: ignore[misc]
def _keep_timestamps(cls: Any, message: Any) -> Any:
    """Keep the message of a TIMESTAMP. The package would lose its content."""
    return message if isinstance(message, Timestamp) else _from_proto(cls, message)


ProtoModel.from_proto = _keep_timestamps

Rows = list[dict[str, Any]]
_EPOCH = datetime.date(1970, 1, 1)
_PLAIN = {
    TypeKind.TYPE_INT64: "int64_value",
    TypeKind.TYPE_DOUBLE: "double_value",
    TypeKind.TYPE_BOOL: "bool_value",
    TypeKind.TYPE_STRING: "string_value",
    TypeKind.TYPE_BYTES: "bytes_value",
}


class RefusedError(Exception):
    """The engine refuses the query, or stops with an error while it runs."""


def reference(sql: str) -> Rows:
    """The rows of a query that reads no tables. Raises RefusedError with Google's message."""
    language = Tables().language
    catalog = CatalogBuilder("none").with_builtin_functions(ZetaSQLBuiltinFunctionOptions(language_options=language))
    try:
        prepared = (
            PreparedQuery.builder()
            .set_sql(sql)
            .set_analyzer_options(AnalyzerOptions(language_options=language, default_timezone="UTC"))
            .set_catalog(catalog.build())
            .prepare()
        )
        with prepared:
            answer = prepared.execute()
            names = list(_named([column.name for column in prepared.columns], "f{}_", 0))
            kinds = [column.type for column in prepared.columns]
            return [
                dict(zip(names, map(_value, row.cell, kinds), strict=True)) for row in answer.content.table_data.row
            ]
    except ZetaSQLError as error:
        raise RefusedError(str(error)) from error


def _named(names: list[str], pattern: str, first: int) -> Any:
    """Names as BigQuery returns them: columns without a name are numbered among themselves, fields by position."""
    count = first
    for position, name in enumerate(names, first):
        if name and not name.startswith("$"):
            yield name
        else:
            yield pattern.format(position if pattern.startswith("_") else count)
            count += 1


def _value(value: Any, kind: Any) -> Any:
    if kind.type_kind == TypeKind.TYPE_ARRAY:  # Google's client gives an empty list for NULL
        elements = value.array_value.element if value.array_value else []
        return [_value(element, kind.array_type.element_type) for element in elements or []]
    if kind.type_kind == TypeKind.TYPE_STRUCT:
        if value.struct_value is None:
            return None
        fields = kind.struct_type.field
        names = _named([field.field_name for field in fields], "_field_{}", 1)
        return {
            name: _value(one, field.field_type)
            for name, one, field in zip(names, value.struct_value.field, fields, strict=True)
        }
    return _scalar(value, TypeKind(kind.type_kind))


def _scalar(value: Any, kind: TypeKind) -> Any:
    if kind in _PLAIN:
        return getattr(value, _PLAIN[kind])
    name = kind.name.removeprefix("TYPE_").lower()
    raw = getattr(value, f"{name}_value")
    if raw is None:
        return None
    match name:
        case "date":
            return _EPOCH + datetime.timedelta(days=raw)
        case "datetime":
            return _unpacked(raw.bit_field_datetime_seconds, raw.nanos)
        case "time":
            return (_unpacked((1 << 26 | 1 << 22 | 1 << 17) | raw >> 30, raw & (1 << 30) - 1)).time()
        case "timestamp":
            since = datetime.timedelta(seconds=raw.seconds, microseconds=raw.nanos // 1000)
            return datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC) + since
        case "numeric":
            return decimal.Decimal(int.from_bytes(raw, "little", signed=True)).scaleb(-9)
        case "bignumeric":
            with decimal.localcontext(prec=80):
                return decimal.Decimal(int.from_bytes(raw, "little", signed=True)).scaleb(-38)
        case "json":
            return raw
    raise NotImplementedError(name)


def _unpacked(seconds: int, nanos: int) -> datetime.datetime:
    """ZetaSQL's packed time: year, month, day, hour, minute and second in fields of 14, 4, 5, 5, 6 and 6 bits."""
    parts = [seconds >> shift & (1 << width) - 1 for shift, width in ((26, 14), (22, 4), (17, 5), (12, 5), (6, 6))]
    return datetime.datetime(*parts, seconds & 63, (nanos or 0) // 1000)  # noqa: DTZ001 - DATETIME has no zone
