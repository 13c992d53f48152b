"""Define functions in DuckDB that behave like BigQuery's, for the cases where DuckDB's own function differs.

The module `rewrite` puts calls of them into statements. They are macros, so that DuckDB optimizes them. A macro fails
through a cast, not through ``error()``, because ``TRY`` (BigQuery's SAFE functions) takes no volatile function.
"""

from typing import Any

from tuning.warehouse.local.sql.json_text import bigquery_json
from tuning.warehouse.local.sql.strftime import format_value

FAILED = "refused: "  # begins the message of an error that a macro raises
_MEGABYTE = 1 << 20  # BigQuery's limit on the output of REPEAT, LPAD and RPAD
_MOST_ELEMENTS = 1_048_575  # BigQuery's limit on the output of GENERATE_ARRAY
_WHITE = "".join(filter(str.isspace, map(chr, range(0x3001)))).translate(dict.fromkeys(range(0x1C, 0x20)))

# tuning_fail has type NULL, so that it fits in each branch of a CASE. Its second argument must come from the data that
# decides about the failure: DuckDB computes a constant ahead, also in a branch that no row takes.
_MACROS = rf"""
tuning_fail(message, x) := CASE
  WHEN CAST('{FAILED}' || message || left(CAST(x AS VARCHAR), 0) AS BOOLEAN) THEN NULL END

tuning_int64(x) := CASE typeof(x)
  WHEN 'DOUBLE' THEN CAST(round(TRY_CAST(x AS DOUBLE)) AS BIGINT)
  WHEN 'FLOAT' THEN CAST(round(TRY_CAST(x AS DOUBLE)) AS BIGINT)
  WHEN 'VARCHAR' THEN CASE
    WHEN x IS NULL THEN NULL
    WHEN regexp_full_match(CAST(x AS VARCHAR), '\s*[-+]?([0-9]+|0[xX][0-9a-fA-F]+)\s*')
      THEN CAST(trim(CAST(x AS VARCHAR)) AS BIGINT)
    ELSE tuning_fail('Bad int64 value: ' || CAST(x AS VARCHAR), x) END
  ELSE CAST(x AS BIGINT) END
tuning_safe_int64(x) := TRY(tuning_int64(x))

tuning_bool(x) := CASE typeof(x)
  WHEN 'VARCHAR' THEN CASE lower(CAST(x AS VARCHAR)) WHEN 'true' THEN true WHEN 'false' THEN false ELSE
    CASE WHEN x IS NOT NULL THEN tuning_fail('Bad bool value: ' || CAST(x AS VARCHAR), x) END END
  ELSE CAST(x AS BOOLEAN) END
tuning_safe_bool(x) := TRY(tuning_bool(x))

tuning_date(x) := CASE typeof(x)
  WHEN 'VARCHAR' THEN CASE
    WHEN x IS NULL OR regexp_full_match(CAST(x AS VARCHAR), '[0-9]{{1,4}}-[0-9]{{1,2}}-[0-9]{{1,2}}')
      THEN CAST(x AS DATE)
    ELSE tuning_fail('Invalid date: ' || CAST(x AS VARCHAR), x) END
  ELSE CAST(x AS DATE) END
tuning_safe_date(x) := TRY(tuning_date(x))

tuning_float_text(x) := CASE
  WHEN isnan(x) THEN 'nan'
  WHEN CAST(printf('%.15g', x) AS DOUBLE) = x THEN printf('%.15g', x)
  ELSE printf('%.17g', x) END
tuning_decimal_text(t) := CASE WHEN contains(t, '.') THEN rtrim(rtrim(t, '0'), '.') ELSE t END
tuning_time_text(t) := CASE WHEN contains(t, '.') THEN regexp_replace(t, '[.][0-9]+', '.' || rpad(
    regexp_extract(t, '[.]([0-9]+)', 1), CASE WHEN strlen(regexp_extract(t, '[.]([0-9]+)', 1)) > 3 THEN 6 ELSE 3 END,
    '0')) ELSE t END
tuning_string(x) := CASE typeof(x)
  WHEN 'DOUBLE' THEN tuning_float_text(TRY_CAST(CAST(x AS VARCHAR) AS DOUBLE))
  WHEN 'FLOAT' THEN tuning_float_text(TRY_CAST(CAST(x AS VARCHAR) AS DOUBLE))
  WHEN 'BLOB' THEN decode(CAST(CAST(x AS VARCHAR) AS BLOB))
  ELSE CASE WHEN starts_with(typeof(x), 'DECIMAL') THEN tuning_decimal_text(CAST(x AS VARCHAR))
    ELSE CASE WHEN typeof(x) IN ('TIME', 'TIMESTAMP', 'TIMESTAMP WITH TIME ZONE')
        THEN tuning_time_text(CAST(x AS VARCHAR))
      ELSE CAST(x AS VARCHAR) END END END
tuning_safe_string(x) := TRY(tuning_string(x))

tuning_at(list, i) := CASE
  WHEN i < 0 OR i >= len(list) THEN tuning_fail('Array index ' || CAST(i AS VARCHAR) || ' is out of bounds',
    len(list) + i)
  ELSE list[i + 1] END
tuning_slice(list, a, b) := CASE
  WHEN list IS NOT NULL AND a IS NOT NULL AND b IS NOT NULL THEN list_slice(list,
    greatest(CASE WHEN a < 0 THEN len(list) + a ELSE a END, 0) + 1,
    CASE WHEN b < 0 THEN len(list) + b ELSE b END + 1) END

tuning_substr(s, p) := substr(s, CASE WHEN p = 0 OR p < -length(s) THEN 1 ELSE p END)
tuning_substr3(s, p, n) := CASE
  WHEN n < 0 THEN tuning_fail('Third argument in SUBSTR() cannot be negative', n)
  ELSE substr(s, CASE WHEN p = 0 OR p < -length(s) THEN 1 ELSE p END, n) END
tuning_repeat(s, n) := CASE
  WHEN n < 0 THEN tuning_fail('Second argument in REPEAT() cannot be negative', n)
  WHEN n > {_MEGABYTE} OR strlen(CAST(s AS VARCHAR)) * n > {_MEGABYTE}
    THEN tuning_fail('Output of REPEAT exceeds max allowed output size of 1MB', concat(n, s))
  ELSE repeat(s, n) END
tuning_lpad(s, n, p) := CASE
  WHEN n < 0 THEN tuning_fail('Second argument in LPAD() cannot be negative', n)
  WHEN p = '' THEN tuning_fail('Third argument in LPAD() cannot be empty', concat(n, s))
  WHEN n > {_MEGABYTE} THEN tuning_fail('Output of LPAD exceeds max allowed output size of 1MB', concat(n, s))
  ELSE lpad(s, CAST(n AS INTEGER), p) END
tuning_rpad(s, n, p) := CASE
  WHEN n < 0 THEN tuning_fail('Second argument in RPAD() cannot be negative', n)
  WHEN p = '' THEN tuning_fail('Third argument in RPAD() cannot be empty', concat(n, s))
  WHEN n > {_MEGABYTE} THEN tuning_fail('Output of RPAD exceeds max allowed output size of 1MB', concat(n, s))
  ELSE rpad(s, CAST(n AS INTEGER), p) END
tuning_replace(s, a, b) := CASE
  WHEN a <> '' AND strlen(b) > strlen(a)
    AND strlen(s) + (strlen(s) // greatest(strlen(a), 1)) * (strlen(b) - strlen(a)) > {100 * _MEGABYTE}
    THEN tuning_fail('Output of REPLACE is too large', s)
  ELSE replace(s, a, b) END
tuning_regexp_replace(s, p, r, g) := CASE
  WHEN strlen(s) * strlen(r) > {1 << 30} THEN tuning_fail('Output of REGEXP_REPLACE is too large', concat(s, r))
  ELSE regexp_replace(s, p, r, g) END
tuning_extract(s, p, g) := CASE WHEN regexp_matches(s, p) THEN regexp_extract(s, p, g) END

tuning_generate(a, b, s) := CASE
  WHEN s = 0 THEN tuning_fail('Sequence step cannot be 0.', s)
  WHEN (b - a) / s > {_MOST_ELEMENTS} THEN tuning_fail('GENERATE_ARRAY produced too many elements', concat(a, b, s))
  ELSE generate_series(a, b, s) END
tuning_generate_float(a, b, s) := CASE
  WHEN s = 0 THEN tuning_fail('Sequence step cannot be 0.', s)
  WHEN (b - a) / s > {_MOST_ELEMENTS} THEN tuning_fail('GENERATE_ARRAY produced too many elements', concat(a, b, s))
  WHEN a IS NOT NULL AND b IS NOT NULL AND s IS NOT NULL THEN list_transform(
    generate_series(0, CAST(floor((b - a) / CAST(s AS DOUBLE)) AS BIGINT)), lambda i: CAST(a + i * s AS DOUBLE)) END

tuning_round(x, n) := CASE
  WHEN n IS NULL OR x IS NULL THEN NULL
  WHEN NOT isfinite(x) OR n < 0 OR n > 15 OR abs(x) >= 1e15 THEN round(x, CAST(n AS INTEGER))
  WHEN regexp_full_match(printf('%.50f', x), '-?[0-9]+[.][0-9]{{' || CAST(n AS VARCHAR) || '}}50*')
    THEN round(x, CAST(n AS INTEGER))
  ELSE CAST(printf('%.' || CAST(n AS VARCHAR) || 'f', x) AS DOUBLE) END

tuning_week(x, first) := time_bucket(INTERVAL 7 DAY, x, CAST('2000-01-0' || CAST(first AS VARCHAR) AS DATE))
tuning_months(x, n) := time_bucket(to_months(n), x)
tuning_seconds(x, n) := time_bucket(to_seconds(n), x, CAST('2000-01-01' AS DATE))
tuning_isoyear(x) := time_bucket(INTERVAL 7 DAY, CAST(make_date(CAST(isoyear(x) AS BIGINT), 1, 4) AS DATE),
  CAST('2000-01-03' AS DATE))
tuning_week_number(x, first) :=
  (dayofyear(x) - (dayofweek(x) - (first - 2) + 7) % 7 + 6) // 7
tuning_week_diff(a, b, first) := date_diff('day', CAST(tuning_week(CAST(b AS DATE), first) AS DATE),
  CAST(tuning_week(CAST(a AS DATE), first) AS DATE)) // 7
tuning_elapsed(a, b, us) := (epoch_us(CAST(a AS TIMESTAMPTZ)) - epoch_us(CAST(b AS TIMESTAMPTZ))) // us

tuning_top_count(x, n) := list_slice(list_transform(list_sort(list_transform(list_concat(
    map_entries(histogram(x)),
    CASE WHEN count(*) > count(x) THEN [{{'key': NULL, 'value': count(*) - count(x)}}] ELSE [] END),
  lambda e: {{'c': -CAST(e.value AS BIGINT), 'v': e.key}})), lambda e: {{'value': e.v, 'count': -e.c}}), 1, n)

tuning_group(pattern, x) := format(pattern, x)
tuning_float_literal(x) := CASE
  WHEN regexp_full_match(tuning_string(x), '-?[0-9]+') THEN tuning_string(x) || '.0' ELSE tuning_string(x) END
tuning_display(x) := CASE
  WHEN contains(typeof(x), 'STRUCT')
    THEN tuning_fail('The local BigQuery does not support FORMAT of a STRUCT. Format its fields', CAST(x AS VARCHAR))
  WHEN typeof(x) IN ('DOUBLE', 'FLOAT') THEN tuning_float_literal(x)
  ELSE tuning_string(x) END
tuning_literal(x) := CASE typeof(x)
  WHEN 'VARCHAR' THEN CAST(to_json(CAST(x AS VARCHAR)) AS VARCHAR)
  WHEN 'DATE' THEN 'DATE "' || CAST(x AS VARCHAR) || '"'
  WHEN 'TIMESTAMP' THEN 'DATETIME "' || CAST(x AS VARCHAR) || '"'
  WHEN 'TIMESTAMP WITH TIME ZONE' THEN 'TIMESTAMP "' || CAST(x AS VARCHAR) || '"'
  WHEN 'TIME' THEN 'TIME "' || CAST(x AS VARCHAR) || '"'
  ELSE CASE WHEN starts_with(typeof(x), 'DECIMAL') THEN 'NUMERIC "' || tuning_string(x) || '"'
    ELSE tuning_display(x) END END

tuning_trim(x) := trim(x, '{_WHITE}')
tuning_ltrim(x) := ltrim(x, '{_WHITE}')
tuning_rtrim(x) := rtrim(x, '{_WHITE}')
tuning_fraction(us) := CASE WHEN us = 0 THEN '' WHEN us % 1000 = 0 THEN '.' || lpad(CAST(us // 1000 AS VARCHAR), 3, '0')
  ELSE '.' || lpad(CAST(us AS VARCHAR), 6, '0') END
tuning_offset(minutes) := CASE WHEN minutes < 0 THEN '-' ELSE '+' END
  || lpad(CAST(abs(minutes) // 60 AS VARCHAR), 2, '0')
  || CASE WHEN minutes % 60 = 0 THEN '' ELSE ':' || lpad(CAST(abs(minutes) % 60 AS VARCHAR), 2, '0') END
tuning_zoned_text(x, zone) := strftime(timezone(zone, CAST(x AS TIMESTAMPTZ)), '%Y-%m-%d %H:%M:%S')
  || tuning_fraction((epoch_us(CAST(x AS TIMESTAMPTZ)) % 1000000 + 1000000) % 1000000)
  || tuning_offset((epoch_us(timezone(zone, CAST(x AS TIMESTAMPTZ))) - epoch_us(CAST(x AS TIMESTAMPTZ))) // 60000000)

tuning_concat_bytes(a, b) := a || b
tuning_concat_arrays(a, b) := CASE WHEN a IS NOT NULL AND b IS NOT NULL THEN list_concat(a, b) END
tuning_divisor(x) := CASE WHEN x = 0 THEN tuning_fail('division by zero', x) ELSE x END
tuning_timestamps(list) := list_transform(list, lambda x: CAST(x AS TIMESTAMPTZ))
tuning_json_part(x) := CASE WHEN CAST(x AS VARCHAR) <> 'null' THEN x END
tuning_same(x) := x
tuning_json_element(x, path) := json_extract(x, path)
tuning_json(x) := CASE WHEN json_valid(x) THEN x END
tuning_time(x) := CAST(CAST(x AS TIMESTAMP) AS TIME)
tuning_unix_seconds(x) := CAST(floor(epoch_us(CAST(x AS TIMESTAMPTZ)) / 1000000) AS BIGINT)
"""


def install(connection: Any) -> None:
    """Create the macros, and register the Python functions, on a DuckDB connection."""
    connection.create_function(
        "tuning_format_time",
        format_value,
        ["VARCHAR", "TIMESTAMP"],
        "VARCHAR",
    )
    connection.create_function("tuning_json_text", bigquery_json, ["VARCHAR"], "VARCHAR")
    for definition in _MACROS.strip().split("\ntuning_"):
        signature, body = definition.removeprefix("tuning_").split(":=", 1)
        connection.execute(f"CREATE OR REPLACE MACRO tuning_{signature.strip()} AS {body.strip()}")
