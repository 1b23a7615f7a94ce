"""The numbers: a table of sales, grouped, and drawn."""

from pathlib import Path

import pandas as pd

GROUPS = ("month", "region", "category", "product")
MEASURES = ("revenue", "units", "orders")


class Sales:
    """Orders with `date, region, product, category, units, price`; revenue is units times price."""

    def __init__(self, path: Path) -> None:
        frame = pd.read_csv(path, parse_dates=["date"])
        frame["month"] = frame["date"].dt.strftime("%Y-%m")
        frame["revenue"] = frame["units"] * frame["price"]
        frame["orders"] = 1
        self._frame = frame

    def __len__(self) -> int:
        return len(self._frame)

    def group(self, by: str, measure: str = "revenue") -> dict[str, float]:
        """Months in their order, everything else the largest first. Raises ValueError for unknown words."""
        if by not in GROUPS or measure not in MEASURES:
            raise ValueError(f"group by one of {GROUPS}, measured by one of {MEASURES}")
        sums = self._frame.groupby(by)[measure].sum().round(2)
        ordered = sums.sort_index() if by == "month" else sums.sort_values(ascending=False)
        return {str(key): float(value) for key, value in ordered.items()}


def summary(by: str, measure: str, groups: dict[str, float]) -> str:
    """One line: who leads, and by how much."""
    best = max(groups, key=lambda key: groups[key])
    share = 100 * groups[best] / sum(groups.values())
    return f"{measure} by {by}: {best} leads with {groups[best]:,.0f} ({share:.0f} % of the total)"


def draw(by: str, measure: str, groups: dict[str, float], path: Path) -> None:
    """Write a PNG chart: a line over months, bars for everything else."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot(title=f"{measure} by {by}", ylabel=measure)
    if by == "month":
        axes.plot(list(groups), list(groups.values()), marker="o")
    else:
        axes.bar(list(groups), list(groups.values()))
    axes.tick_params(axis="x", rotation=45)
    figure.savefig(path, dpi=90)
