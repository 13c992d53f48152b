"""Draw charts as SVG with Vega-Lite. Colors are variables of the page's style, so a chart follows light and dark.

Each chart is at most as wide as a phone's screen, and the page shows its numbers in a table too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

_WIDTH, _HEIGHT = 340, 200  # in CSS pixels
_LABELS = 8  # most labels of days
_LEGEND = 3  # series in a row of the legend, one less if a name is long
_LONG = 14  # characters
_BAR = 22  # height of a horizontal bar
_CONFIG = {
    "background": None,
    "aria": False,  # the page names the chart, and its table has the numbers
    "font": "Helvetica, Arial, sans-serif",
    "view": {"stroke": None},
    "axis": {
        **dict.fromkeys(("labelColor", "titleColor"), "var(--ink)"),
        **dict.fromkeys(("domainColor", "tickColor", "gridColor"), "var(--line)"),
        "labelFontSize": 11,
        "titleFontSize": 11,
        "titleFontWeight": "normal",
        "labelLimit": 120,
    },
    "mark": {"aria": False},
    "legend": {"labelColor": "var(--ink)", "labelFontSize": 11, "title": None, "orient": "bottom", "columns": _LEGEND},
    "range": {"category": [f"var(--series-{number})" for number in range(1, 6)]},
}


@dataclass(frozen=True, kw_only=True)
class Chart:
    """Hold a chart, and its numbers as a table."""

    title: str
    picture: Markup
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, kw_only=True)
class Mean:
    """Hold a mean with its interval from `low` to `high`, for one label and series of a chart."""

    label: str
    series: str
    mean: float
    low: float
    high: float


def bars(title: str, unit: str, counts: Sequence[tuple[str, int]]) -> Chart:
    """Return horizontal bars in the order of `counts`: a label and a number of `unit` each."""
    values = [{"label": label, "count": count, "text": f"{count:,}"} for label, count in counts]
    place = {
        "y": {"field": "label", "type": "nominal", "sort": None, "axis": {"title": None}},
        "x": {"field": "count", "type": "quantitative", "title": unit, "axis": {"grid": False, "tickCount": 4}},
    }
    layers = [
        {"mark": {"type": "bar", "color": "var(--series-1)"}, "encoding": place},
        {
            "mark": {"type": "text", "align": "left", "dx": 3, "color": "var(--ink)", "clip": False},
            "encoding": {**place, "text": {"field": "text"}},
        },
    ]
    picture = _draw({"layer": layers}, values, height=_BAR * len(values) + 50)
    return Chart(title=title, picture=picture, head=("", unit), rows=[(label, f"{count:,}") for label, count in counts])


def histogram(title: str, unit: str, labels: Sequence[str], counts: Mapping[Any, Sequence[int]]) -> Chart:
    """Return upright bars side by side: for each label, the share of each series' examples, in per cent.

    `counts` has the numbers of examples of each series, in the order of the labels. `unit` names the labels.
    """
    totals = {name: max(1, sum(numbers)) for name, numbers in counts.items()}
    values = [
        {"label": label, "series": name, "share": 100 * numbers[at] / totals[name]}
        for name, numbers in counts.items()
        for at, label in enumerate(labels)
    ]
    encoding = {
        "x": {"field": "label", "type": "ordinal", "sort": None, "title": unit, "axis": {"labelAngle": -40}},
        "xOffset": {"field": "series", "sort": None},
        "y": {"field": "share", "type": "quantitative", "title": "share, %"},
        "color": _by(list(counts)),
    }
    rows = [(label, *(f"{numbers[at]:,}" for numbers in counts.values())) for at, label in enumerate(labels)]
    picture = _draw({"mark": "bar", "encoding": encoding}, values)
    return Chart(title=title, picture=picture, head=(unit, *(f"{name}, examples" for name in counts)), rows=rows)


def curves(title: str, axes: tuple[str, str], lines: Mapping[str, Sequence[tuple[float, float]]], digits: int) -> Chart:
    """Return a line with points for each series. `axes` are the titles of the horizontal and the upright axis.

    The table beside it has the upright numbers with this many decimal places.
    """
    values = [{"x": x, "y": y, "series": name} for name, points in lines.items() for x, y in points]
    places = sorted({x for points in lines.values() for x, _ in points})
    few = {"values": places, "format": "d"} if len(places) <= _LABELS else {}
    ticks = {"tickMinStep": 1, "tickCount": 6, **few}
    encoding = {
        "x": {"field": "x", "type": "quantitative", "title": axes[0], "axis": ticks},
        "y": {"field": "y", "type": "quantitative", "title": axes[1], "scale": {"zero": False}},
        "color": _by(list(lines)),
        "shape": _by(list(lines)),
    }
    mark = {"type": "line", "point": {"filled": False, "fill": "var(--page)", "size": 24}}
    rows = [(f"{value['x']:,}", str(value["series"]), f"{value['y']:.{digits}f}") for value in values]
    picture = _draw({"mark": mark, "encoding": encoding}, values)
    return Chart(title=title, picture=picture, head=(axes[0], "curve", axes[1]), rows=rows)


def _number(value: float | None) -> str:
    """Return a number for a table, with four digits or more."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 1_000 else f"{value:.4g}"


def by_day(title: str, unit: str, days: Sequence[str], lines: Mapping[str, Sequence[float | None]]) -> Chart:
    """Return a line with points for each series. Each has a value for each of `days` (YYYY-MM-DD), or None for none."""
    values = [
        {"day": day, "value": value, "series": name}
        for name, numbers in lines.items()
        for day, value in zip(days, numbers, strict=True)
        if value is not None
    ]
    step = -(-len(days) // _LABELS)
    axis = {"labelAngle": -40, "values": list(days[::step])}
    encoding = {
        "x": {"field": "day", "type": "ordinal", "sort": None, "title": None, "axis": axis},
        "y": {"field": "value", "type": "quantitative", "title": unit},
        "color": _by(list(lines)),
        "shape": _by(list(lines)),
    }
    mark = {"type": "line", "point": {"filled": False, "fill": "var(--page)", "size": 24}}
    rows = [(day, *(_number(numbers[at]) for numbers in lines.values())) for at, day in enumerate(days)]
    height = _HEIGHT if len(lines) <= _LEGEND else _HEIGHT + 40
    picture = _draw({"mark": mark, "encoding": encoding}, values, height=height)
    return Chart(title=title, picture=picture, head=("day", *(f"{name}, {unit}" for name in lines)), rows=rows)


def intervals(title: str, unit: str, means: Sequence[Mean], *, zero: bool = False, digits: int = 1) -> Chart:
    """Return a dot with a line for the interval of each mean. With `zero`, a line marks 0: no difference."""
    series = list(dict.fromkeys(mean.series for mean in means))
    labels = list(dict.fromkeys(mean.label for mean in means))
    values = [
        {"label": one.label, "series": one.series, "mean": one.mean, "low": one.low, "high": one.high} for one in means
    ]
    place = {
        "y": {"field": "label", "type": "nominal", "sort": None, "axis": {"title": None, "grid": True}},
        "yOffset": {"field": "series", "sort": None},
        "color": _by(series),
    }
    x = {"type": "quantitative", "title": unit, "scale": {"zero": zero}, "axis": {"tickCount": 5}}
    layers: list[dict[str, Any]] = [
        {
            "mark": {"type": "rule", "strokeWidth": 2},
            "encoding": {**place, "x": {**x, "field": "low"}, "x2": {"field": "high"}},
        },
        {
            "mark": {"type": "point", "filled": True, "size": 60, "opacity": 1},
            "encoding": {**place, "x": {**x, "field": "mean"}, "shape": _by(series)},
        },
    ]
    if zero:
        layers.insert(0, {"mark": {"type": "rule", "color": "var(--ink)"}, "encoding": {"x": {"datum": 0}}})
    picture = _draw({"layer": layers}, values, height=max(1, len(series)) * _BAR * len(labels) + 70)
    rows = [
        (one.label, one.series, *(f"{number:.{digits}f}" for number in (one.mean, one.low, one.high))) for one in means
    ]
    return Chart(title=title, picture=picture, head=("", "model", f"mean, {unit}", "low", "high"), rows=rows)


def _by(series: list[str]) -> dict[str, Any]:
    """Return the encoding of a color or a shape by series. A single series needs no legend."""
    columns = _LEGEND if max(map(len, series), default=0) <= _LONG else _LEGEND - 1
    legend = {"legend": {"columns": columns} if len(series) > 1 else None}
    return {"field": "series", "type": "nominal", "sort": None, "scale": {"domain": series}, **legend}


def _draw(spec: dict[str, Any], values: list[dict[str, Any]], height: int = _HEIGHT) -> Markup:
    """Return a Vega-Lite chart as SVG, in which Vega escapes all text."""
    import vl_convert

    whole = {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "config": _CONFIG,
        "width": _WIDTH,
        "height": height,
        "autosize": {"type": "fit", "contains": "padding"},
        "data": {"values": values},
        "padding": {"left": 22, "right": 34, "top": 6, "bottom": 6},  # a browser's font can be wider
        **spec,
    }
    return Markup(vl_convert.vegalite_to_svg(whole, vl_version="6.4"))  # noqa: S704
