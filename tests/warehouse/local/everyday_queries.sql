-- casts to INT64
select cast(2.5 as int64) a, cast(-2.5 as int64) b, cast('12' as int64) c, cast('0x1A' as int64) d, cast(numeric '2.5' as int64) e, cast(true as int64) f, safe_cast('2.5' as int64) g, safe_cast(1e20 as int64) h

-- casts of a column
select cast(x as int64) from unnest([0.5, 1.5, -1.5, 2.4999]) x order by x

-- casts to STRING
select cast(1.0 as string) a, cast(1 / 3 as string) b, cast(1e16 as string) c, cast(numeric '1.50' as string) d, cast(true as string) e, cast(date '2024-01-05' as string) f

-- casts to BOOL and DATE
select safe_cast('TRUE' as bool) a, safe_cast('1' as bool) b, safe_cast('2024-1-5' as date) c, safe_cast('2024/01/05' as date) d, safe_cast('2024-02-30' as date) e

-- division
select 7 / 2 a, 6 / 3 b, div(-7, 2) c, mod(-7, 3) d, safe_divide(1, 0) e, ieee_divide(1, 0) f

-- rounding
select round(2.5) a, round(-2.5) b, round(7 / 20, 1) c, round(0.375, 2) d, round(1.005, 2) e, round(1235, -2) f, trunc(2.7) g, round(100 * 1 / 7, 2) h

-- numeric
select numeric '10' / numeric '3' a, numeric '1.1' + numeric '2.2' b, cast(3.7 as numeric) c

-- unnamed columns
select 1, 2 as a, upper('x'), count(*) from unnest([1, 2]) x

-- capitals of columns
select A, T.b from (select 1 a, 2 B) t

-- unnamed struct fields
select struct(1, 'x') a, struct(1 as n, 'x') b, (1, 2) c

-- struct of columns
select struct(t.a, t.b) from (select 1 a, 2 b) t

-- typed struct
select struct<int64, string>(1, 'x') a, struct<n int64>(2) b

-- array of structs
select [struct(1 as a, 'x' as b), (2, 'y')] l

-- struct comparison
select (1, 2) in ((1, 2), (3, 4)) a, struct(1, 'x') = struct(1, 'x') b

-- truncated dates
select date_trunc(d, week(monday)) a, date_trunc(d, week) b, date_trunc(d, isoweek) c, date_trunc(d, month) e, date_trunc(d, quarter) f, date_trunc(d, isoyear) g from unnest([date '2024-03-14', date '1969-12-28', date '2021-01-03']) d order by d

-- truncated timestamps
select timestamp_trunc(t, week(monday)) a, timestamp_trunc(t, hour) b, timestamp_trunc(t, day, 'America/New_York') c, timestamp_trunc(t, isoweek) d from unnest([timestamp '2024-03-14 03:16:17']) t

-- parts of dates
select extract(dayofweek from d) a, extract(week from d) b, extract(isoweek from d) c, extract(week(monday) from d) e, extract(isoyear from d) f, extract(quarter from d) g from unnest([date '2024-01-07', date '2024-12-31', date '2021-01-03']) d order by d

-- parts of timestamps
select extract(time from t) a, extract(date from t) b, extract(millisecond from t) c, extract(hour from t at time zone 'Asia/Tokyo') d from unnest([timestamp '2024-05-05 20:02:03.456']) t

-- differences of dates
select date_diff(date '2024-03-18', date '2024-03-17', week(monday)) a, date_diff(date '2024-03-17', date '2024-03-16', week) b, date_diff(date '2024-03-18', date '2024-03-17', isoweek) c, date_diff(date '2024-01-01', date '2023-12-31', year) d, date_diff(date '2024-03-14', date '2024-01-31', month) e

-- differences of timestamps
select timestamp_diff(timestamp '2024-03-15', timestamp '2024-03-14 23:59:59', day) a, timestamp_diff(timestamp '2024-03-14 10:59:59', timestamp '2024-03-14 09:00:00', hour) b, unix_seconds(timestamp '1969-12-31 23:59:59.5') c

-- last days
select last_day(date '2024-02-10') a, last_day(date '2024-02-10', week(monday)) b, last_day(date '2024-02-10', quarter) c, date_add(date '2024-01-31', interval 1 month) d

-- formatted dates
select format_date('%Y-%m %a %b', d) a, format_date('%Q|%e|%V|%G', d) b, format_date('%x', d) c, format_timestamp('%F %T', timestamp '2024-03-14 01:02:03', 'Asia/Tokyo') e, format_timestamp('%E3S', timestamp '2024-03-14 01:02:03.25') f from unnest([date '2024-03-04']) d

-- parsed dates
select parse_date('%d/%m/%Y', '14/03/2024') a, parse_timestamp('%Y-%m-%d %H:%M', '2024-03-14 01:02') b

-- generated arrays
select generate_date_array(date '2024-01-01', date '2024-03-01', interval 1 month) a, generate_array(1, 10, 3) b, generate_array(0.0, 1.0, 0.25) c, generate_array(5, 1) d

-- order of nulls
select x from unnest([3, null, 1]) x order by x desc

-- array_agg
select array_agg(x ignore nulls order by x desc limit 2) a, array_agg(distinct x ignore nulls order by x) b, array_agg(x order by x limit 1)[safe_offset(0)] c from unnest([3, null, 1, 3]) x

-- string_agg
select string_agg(x, '|' order by x desc limit 2) a, string_agg(distinct x order by x) b from unnest(['b', 'a', 'c', 'a']) x

-- counts
select countif(x > 1) a, count(distinct x) b, sum(if(x > 1, 1, 0)) / count(*) c, logical_or(x > 2) d from unnest([1, 2, 2, 3]) x

-- unnest with offset
select x, o from unnest(['a', 'b']) x with offset o order by o desc

-- unnest of structs
select e.a, b, o from unnest([struct(1 as a, 'p' as b), (2, 'q')]) e with offset o order by o

-- unnest of a column
select id, n from (select 1 id, [struct('a' as n), struct('b')] l), unnest(l) order by n

-- array functions
select [1, 2][offset(0)] a, split('a,b', ',')[safe_offset(5)] b, array_slice([1, 2, 3, 4], 1, 2) c, array_concat([1], [2]) d, [1] || [2] e, array_to_string(['a', null], '-', 'N') f

-- qualify
select k, v from unnest([struct('a' as k, 1 as v), ('a', 2), ('b', 3)]) where true qualify row_number() over (partition by k order by v desc) = 1 order by k

-- pivot
select * from (select 'a' k, 'x' p, 1 v union all select 'a', 'y', 2 union all select 'b', 'x', 3) pivot (sum(v) as s, count(*) as c for p in ('x' as xx, 'y')) order by k

-- window frames
select x, sum(x) over (order by x rows between 1 preceding and 1 following) a, avg(x) over (order by x range between 1 preceding and current row) b, lag(x, 1, 0) over (order by x) c, last_value(x) over (order by x rows between unbounded preceding and unbounded following) d from unnest([1, 2, 3, 5]) x order by x

-- percentiles
select distinct percentile_cont(x, 0.5) over () a, percentile_disc(x, 0.5) over () b from unnest([1, 2, 3, 4]) x

-- patterns
select regexp_extract('a@b.com', r'@(.+)$') a, regexp_extract('', r'x*') b, regexp_extract_all('a1b22', r'[a-z](\d+)') c, regexp_replace('a1', r'(\w)(\d)', r'\2\1') d

-- like
select 'a%c' like 'a\\%c' a, 'abc' like 'a\\%c' b, 'a_c' like 'a\\_c' c, 'ABC' like 'abc' d

-- substrings
select substr('hello', 0, 2) a, substr('hello', -3) b, substr('hello', -10, 3) c, strpos('hello', 'l') d, instr('hello', 'l', 1, 2) e, lpad('7', 3, '0') f, initcap('foo bar') g

-- literals
select '\u00e9\x41' a, r'\d' b, "it's" c, '''x'y''' d, 'back\\slash' e, 1e3 f, 1. g

-- format
select format('%05d|%.2f|%s|%t|%T', 42, 3.14159, 'x', date '2024-01-01', 'q') a, format("%'d", 1234567) b, format('%t %T', 1.0, [1, 2]) c, format('%5s|%-5s|%%', 'ab', 'c') d

-- json
select json_value('{"a":{"b":"c"}}', '$.a.b') a, json_value('not json', '$.a') b, json_value(j['l'][1]) c, array_length(json_query_array('{"l":[1,2]}', '$.l')) d from (select json '{"l":[5,6]}' j)

-- to_json_string
select to_json_string(struct(1.0 as f, timestamp '2024-01-01' as t, date '2024-01-01' as d, ['x'] as l, cast(null as string) as n)) a

-- hashes
select farm_fingerprint('foo') a, mod(abs(farm_fingerprint('x')), 10) b, to_hex(md5('a')) c, to_base64(b'abc') d

-- except and replace
select * except (b) replace (a * 10 as a) from (select 1 a, 2 b, 3 c)

-- grouping
select a, sum(v) s from (select 'x' a, 1 v union all select 'y', 2) group by rollup (a) order by a

-- recursion
with recursive n as (select 1 i union all select i + 1 from n where i < 5) select sum(i) s from n

-- dates without gaps
select d, ifnull(n, 0) n from unnest(generate_date_array('2024-01-01', '2024-01-03')) d left join (select date '2024-01-02' day, 5 n) on day = d order by d

-- rounding of a column
select x, round(x, 1) a, round(x) b, trunc(x, 1) c from unnest([0.25, 0.35, 1.45, -0.35]) x order by x

-- typed array of structs
select t.a, t.b from unnest(array<struct<a int64, b string>>[(1, 'x'), (2, 'y')]) t order by t.a

-- groups of a join in order
with q as (select 1 id union all select 2 union all select 2), a as (select 1 id union all select 1 union all select 2) select q.id, count(*) n from q join a on a.id = q.id group by q.id having max(a.id) > 0 order by q.id desc

-- groups of both sides of a join in order
with q as (select 1 id union all select 2), a as (select 1 id, 'x' k union all select 2, 'y') select q.id, a.id as other, k, row_number() over (order by q.id) r from q join a on a.id = q.id group by q.id, a.id, k order by a.id, q.id

-- groups of an expression in order
select t.x + 1 as x, count(*) n from (select 1 x union all select 1 union all select 2) t join (select 1 x) u on true group by t.x order by t.x + 1

-- decimals of numeric
select numeric '1.23456789' a, cast('3.14159' as numeric) b, safe_cast('2.7182818284' as numeric) c, cast('12345678901234567890123456789.123456789' as numeric) d, cast(1.23456 as numeric(5, 2)) e, cast('1.5' as decimal) f, parse_numeric('0.000000001') g

-- arithmetic with numeric
select v * v a, v * 2 b, v / 3 c, v + 1 d, v * 1.5 e, -v * v f, v * f g, round(v * v, 3) h, safe_divide(v, 3) i from (select numeric '1.123456789' v, 1.5 f)

-- aggregates of numeric
select sum(cast(v as numeric)) a, avg(cast(v as numeric)) b, max(cast(v as numeric)) c, sum(cast(v as numeric) * cast(v as numeric)) d from unnest(['1.23456', '2.000000001']) v

-- averages of numeric over windows
select x, avg(x) over (order by x) a, sum(x) over () b from (select numeric '1.25' x union all select numeric '2.5') order by x

-- functions of numeric
select pow(numeric '1.5', 2) a, mod(numeric '5.5', 2) b, div(numeric '-5.5', 2) c, abs(numeric '-1.5') d, ceil(numeric '1.2') e, trunc(numeric '1.239', 2) f, greatest(numeric '1.5', 2) g, safe_cast('x' as numeric(3, 1)) h, cast(b'a' as bytes(1)) i, cast('a' as string(1)) j, x between 1 and 1.5 k, x = 1.5 l from (select numeric '1.5' x)

-- texts of numeric
select cast(numeric '1.50' as string) a, to_json_string(numeric '1.50') b, to_json_string(struct(numeric '2' as n, 1.5 as f)) c, format('%t', numeric '1.50') d, cast(numeric '1.50' as float64) e

-- white space
select trim('\t a\n') a, ltrim('\t a\n') b, rtrim('\u3000a\u2003') c, trim('xax', 'x') d, trim('\u0085\u00a0a\u200b ') e, trim('\u001ca ') f, trim(cast(null as string)) g, length(trim(' \r\n\f\u000b')) h

-- json from values
select json_value(to_json(struct(1 as a, ['x'] as b)), '$.b[0]') a, json_value(to_json([1, 2])[1]) b, to_json_string(to_json('x')) c, to_json_string(to_json(date '2024-01-01')) d, bool(to_json(true)) e

-- timestamps from texts and to texts
select parse_timestamp('%Y', '2024') a, parse_timestamp('%Y-%m-%d', '2024-01-01', 'America/New_York') b, string(timestamp '2024-01-01 12:00:00+00', 'America/New_York') c, string(timestamp '2024-01-01 12:00:00.5+00', 'Asia/Kolkata') d, string(timestamp '1969-01-01 12:00:00.123456+00', 'America/St_Johns') e, string(timestamp '2024-01-01 12:00:00+00') f

-- structs with an offset
select array(select as struct a, o, o + 1 from unnest(['x']) a with offset o) a, (select as struct 1 x, 2) b

-- groups named like a column
select date_trunc(d, month) d, count(*) n from unnest([date '2024-01-05', date '2024-01-06', date '2024-02-01']) d group by d order by d

-- groups of two outputs named like columns
select k, case when v > 1 then 'high' else 'low' end v, count(*) c from unnest([struct('a' as k, 1 as v), ('a', 2), ('a', 3)]) group by rollup(k, v) order by k, v

-- groups of constants
select 1 as k, 'a' as l, count(*) c from unnest([1, 2]) x group by k, l

-- every column with the offset
select * from (select 1 id, ['a', 'b'] l) t left join unnest(l) e with offset o on true order by o

-- offsets outside their query
with q as (select e, o from unnest(['a', 'b']) e with offset o) select e, o + 1 as p from q order by o

-- columns named like an offset
select o, e, p from (select 5 o) t, (select e, o as p from unnest(['a']) e with offset o) order by o

-- offsets without the elements
select count(*) c, max(o) m from unnest([3, 4]) with offset o

-- except the offset
select * except (o) from unnest(['a', 'b']) e with offset o where o = 1

-- array_concat with null
select array_concat([1], cast(null as array<int64>)) a, array_concat([1], [2], [3]) b, [1] || [2] || [3] c

-- generated timestamps
select generate_timestamp_array('2024-01-01 00:00:00', '2024-01-01 01:00:00', interval 30 minute) a

-- unpivot
select * from (select 1 id, 10 a, cast(null as int64) b) unpivot include nulls (v for n in (a as 'x', b)) order by n

-- unpivot with an alias
select z.n, sum(z.v) s from (select 1 id, 10 a, 5 b) unpivot (v for n in (a, b)) as z where z.v > 5 group by z.n

-- div and mod
select div(x, 10) d, mod(x, 10) m, mod(-5, 3) n, safe.div(1, x - 12) s from unnest([12]) x

-- fractions of seconds as text
select cast(timestamp '2024-01-01 10:00:00.5' as string) a, cast(datetime '2024-01-01 10:00:00.1234' as string) b, cast(time '10:00:00.12' as string) c, to_json_string(timestamp '2024-01-01 10:00:00.5') d

-- null in json
select json_query('{"a": null}', '$.a') a, json_extract('{"a": [null]}', '$.a') b, json_query(json_query('{"a": {"b": 1}}', '$.a'), '$.b') c, json_extract('{"a": "null"}', '$.a') d

-- numbers in json
select to_json_string(cast(null as string)) a, to_json_string(9007199254740993) b, to_json_string(cast('-inf' as float64)) c, to_json_string(1e20) d, to_json_string(1e-7) e, to_json_string(9007199254740992) f, to_json_string(numeric '12345678901234567890') g

-- countif over a window
select x, countif(x > 1) over (order by x) c from unnest([1, 2, 3]) x order by x
