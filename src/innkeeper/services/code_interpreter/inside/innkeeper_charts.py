"""What the figures of matplotlib show, as data: the charts of E2B's SDKs (`e2b_code_interpreter.charts`).

Standard library only: figures are looked at by what they have, matplotlib itself is not imported.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

_CHART_MAX_BYTES = 1_000_000
_CELLS_MAX = 100_000
_UNIT = re.compile(r"\(([^()]+)\)\s*$")
_BOX_LINES = 7  # of a box plot: the box, two whiskers, two caps, the median, the outliers
_Chart = dict[str, Any]


def chart(figure: Any) -> _Chart | None:
    """None where there is nothing that E2B has a word for, or too much of it."""
    found = [one for axes in figure.axes if (one := _of_axes(axes)) is not None]
    if not found:
        return None
    title = figure.get_suptitle() if hasattr(figure, "get_suptitle") else ""
    whole = found[0] if len(found) == 1 else {"type": "superchart", "title": title, "elements": found}
    return whole if len(json.dumps(whole)) <= _CHART_MAX_BYTES else None


def table(frame: Any) -> _Chart | None:
    """The columns of a data frame of pandas, if it is one and not too large."""
    if type(frame).__name__ != "DataFrame" or not hasattr(frame, "to_dict") or frame.size > _CELLS_MAX:
        return None
    columns: Mapping[Any, Iterable[Any]] = frame.to_dict(orient="list")
    return {str(name): [_value(one) for one in column] for name, column in columns.items()}


def _of_axes(axes: Any) -> _Chart | None:
    kinds = (_pie, _boxes, _bars, _points)
    for kind in kinds:
        if (found := kind(axes)) is not None:
            return found
    return None


def _pie(axes: Any) -> _Chart | None:
    wedges = [patch for patch in axes.patches if type(patch).__name__ == "Wedge"]
    if not wedges:
        return None
    labels = [text.get_text() for text in axes.texts]
    named = [wedge.get_label() or "" for wedge in wedges]
    elements = [
        {
            "label": name if not name.startswith("_") else (labels[index] if index < len(labels) else ""),
            "angle": abs(float(wedge.theta2) - float(wedge.theta1)),
            "radius": float(wedge.r),
        }
        for index, (wedge, name) in enumerate(zip(wedges, named, strict=True))
    ]
    return {"type": "pie", "title": axes.get_title(), "elements": elements}


def _boxes(axes: Any) -> _Chart | None:
    lines = [list(map(float, line.get_ydata(orig=False))) for line in axes.lines]
    if not lines or len(lines) % _BOX_LINES:
        return None
    groups = [lines[start : start + _BOX_LINES] for start in range(0, len(lines), _BOX_LINES)]
    if not all(len(box) == 5 and box[0] == box[-1] and len(low) == 2 for box, low, *_ in groups):
        return None
    ticks = [tick.get_text() for tick in axes.get_xticklabels()]
    elements = [
        {
            "label": ticks[index] if index < len(ticks) else "",
            "min": min(low),
            "first_quartile": min(box),
            "median": median[0],
            "third_quartile": max(box),
            "max": max(high),
            "outliers": outliers,
        }
        for index, (box, low, high, _, _, median, outliers) in enumerate(groups)
    ]
    return {"type": "box_and_whisker", **_axes_words(axes), "elements": elements}


def _bars(axes: Any) -> _Chart | None:
    groups = [one for one in axes.containers if type(one).__name__ == "BarContainer"]
    if not groups:
        return None
    elements = [
        {"label": label, "group": _label(group), "value": value}
        for group in groups
        for label, value in _bars_of(group, axes)
    ]
    return {"type": "bar", **_axes_words(axes), "elements": elements}


def _bars_of(group: Any, axes: Any) -> Iterable[tuple[str, float]]:
    """Named by their order where the ticks have names, each for one bar of a group; else by their place."""
    lies = getattr(group, "orientation", "vertical") == "horizontal"
    axis = axes.yaxis if lies else axes.xaxis
    names = [text.get_text() for text in axis.get_ticklabels()]
    in_order = (
        len(names) == len(group.patches) and type(axis.get_major_formatter()).__name__ != "ScalarFormatter"
    )
    for index, bar in enumerate(group.patches):
        start, size = (bar.get_y(), bar.get_height()) if lies else (bar.get_x(), bar.get_width())
        place = float(start + size / 2)
        label = names[index] if in_order else f"{place:g}"
        yield label, float(bar.get_width() if lies else bar.get_height())


def _points(axes: Any) -> _Chart | None:
    lines = [(line, line.get_xdata(), line.get_ydata()) for line in axes.lines if len(line.get_xdata())]
    clouds = [one for one in axes.collections if type(one).__name__ == "PathCollection"]
    series = lines or [(one, *_columns(one.get_offsets())) for one in clouds]
    if not series:
        return None
    elements = [
        {"label": _label(one), "points": [[_value(x), _value(y)] for x, y in zip(xs, ys, strict=False)]}
        for one, xs, ys in series
    ]
    first = elements[0]["points"][0] if elements[0]["points"] else [0, 0]
    told: _Chart = {"type": "line" if lines else "scatter", **_axes_words(axes)}
    for letter, axis, value in (("x", axes.xaxis, first[0]), ("y", axes.yaxis, first[1])):
        told[f"{letter}_ticks"] = [_value(place) for place in axis.get_ticklocs()]
        told[f"{letter}_tick_labels"] = [text.get_text() for text in axis.get_ticklabels()]
        told[f"{letter}_scale"] = _scale(axis, value)
    return {**told, "elements": elements}


def _columns(offsets: Any) -> tuple[list[Any], list[Any]]:
    return [one[0] for one in offsets], [one[1] for one in offsets]


def _scale(axis: Any, value: Any) -> str:
    converter = axis.get_converter() if hasattr(axis, "get_converter") else getattr(axis, "converter", None)
    kind = type(converter).__name__
    if "Date" in kind:
        return "datetime"
    return "categorical" if "Category" in kind or isinstance(value, str) else str(axis.get_scale())


def _axes_words(axes: Any) -> _Chart:
    told: _Chart = {"title": axes.get_title()}
    for letter, label in (("x", axes.get_xlabel()), ("y", axes.get_ylabel())):
        unit = _UNIT.search(label)
        told |= {f"{letter}_label": label, f"{letter}_unit": unit[1] if unit else None}
    return told


def _label(artist: Any) -> str:
    """Those that matplotlib makes up begin with an underscore."""
    label = str(artist.get_label() or "")
    return "" if label.startswith("_") else label


def _value(value: Any) -> Any:
    """As JSON has it: neither NaN nor infinity."""
    kind = getattr(getattr(value, "dtype", None), "kind", "")
    if kind == "M":  # a moment of numpy
        value = value.astype("datetime64[us]")
    value = value.item() if kind else value
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, int | str | bool | None) else str(value)
