"""Writes sales.csv: a year of made-up orders of a garden shop, the same every time."""

import csv
import random
from datetime import date, timedelta
from pathlib import Path

ROWS = 5000
PRODUCTS = {
    "Spade": ("Tools", 24.90),
    "Rake": ("Tools", 18.50),
    "Pruner": ("Tools", 31.00),
    "Tomato seeds": ("Seeds", 3.20),
    "Sunflower seeds": ("Seeds", 2.80),
    "Rose bush": ("Plants", 14.90),
    "Apple tree": ("Plants", 49.00),
    "Clay pot": ("Pots", 9.90),
    "Raised bed": ("Pots", 79.00),
}
REGIONS = {"North": 0.9, "South": 1.5, "East": 1.0, "West": 1.2}
MONTHS = (0.4, 0.6, 1.4, 2.0, 2.2, 1.5, 1.0, 0.8, 1.1, 1.2, 0.7, 0.9)  # spring is the season


def rows(random_source: random.Random) -> list[tuple[date, str, str, str, int, float]]:
    days = [date(2025, 1, 1) + timedelta(day) for day in range(365)]
    dates = random_source.choices(days, [MONTHS[day.month - 1] for day in days], k=ROWS)
    made = []
    for day in sorted(dates):
        region = random_source.choices(list(REGIONS), list(REGIONS.values()))[0]
        product = random_source.choice(list(PRODUCTS))
        category, price = PRODUCTS[product]
        discount = random_source.choice((1.0, 1.0, 1.0, 0.9, 0.8))
        units = min(1 + int(random_source.expovariate(0.5)), 20)
        made.append((day, region, product, category, units, round(price * discount, 2)))
    return made


if __name__ == "__main__":
    with Path(__file__).with_name("sales.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("date", "region", "product", "category", "units", "price"))
        writer.writerows(rows(random.Random(2025)))  # noqa: S311 - made-up sales need no secrecy
