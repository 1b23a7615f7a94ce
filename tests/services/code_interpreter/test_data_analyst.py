"""A data analyst's day: a large table, grouped, charted, and the result taken home."""

import io
from collections.abc import Iterator

import pytest
from e2b_code_interpreter import Sandbox

from tests.running import RunningServer
from tests.services.code_interpreter.coding import Coding
from tests.stories.e2b_serving import serving

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

MAKE_TABLE = """
import random
random.seed(7)
regions = ["north", "south", "east", "west"]
block = "".join(
    f"2026-01-{1 + i % 28:02d},{regions[i % 4]},{'x' * 40},{i % 100}\\n" for i in range(100_000)
)
with open("sales.csv", "w") as table:
    table.write("day,region,note,amount\\n")
    while table.tell() < 300_000_000:
        table.write(block)
import os
os.path.getsize("sales.csv") >= 300_000_000
"""

ANALYSE = """
import pandas as pd
sales = pd.read_csv("sales.csv", usecols=["region", "amount"])
totals = sales.groupby("region", as_index=False)["amount"].mean()
totals.to_excel("totals.xlsx", index=False)
totals
"""

CHART = """
import matplotlib.pyplot as plt
plt.bar(totals["region"], totals["amount"])
plt.title("Mean amount by region")
plt.show()
"""


CHARTS = """
import pandas as pd
import matplotlib.pyplot as plt
frame = pd.DataFrame({"m": ["a", "b"], "v": [1, 2.5], "w": [3, float("nan")]})
display(frame)
frame.plot.bar(x="m", y="v", title="Bars", xlabel="month", ylabel="speed (m/s)")
rows, ((line, cloud), (pie, boxes)) = plt.subplots(2, 2)
line.plot(pd.to_datetime(["2026-01-01", "2026-01-02"]), [1, 2], label="l")
cloud.scatter([1, 2], [3, 4])
pie.pie([1, 3], labels=["x", "y"])
boxes.boxplot([[1, 2, 3, 4, 20]], tick_labels=["p"])
plt.show()
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with serving(tmp_path_factory.mktemp("analyst"), {}) as running:
        yield running


@pytest.fixture(scope="module")
def analyst(server: RunningServer) -> Iterator[Coding]:
    with Coding(server, sessionTimeoutSeconds=3600) as coding:
        yield coding


def test_a_large_table_becomes_a_small_file(analyst: Coding) -> None:
    assert analyst.out(MAKE_TABLE) == "True\n"
    text, html = analyst.run(ANALYSE)["content"]
    assert "north" in text["text"]
    assert "<table" in html["resource"]["text"]
    (item,) = analyst.invoke("readFiles", paths=["totals.xlsx"])["content"]
    assert bytes(item["resource"]["blob"]).startswith(b"PK")
    assert "spreadsheetml" in item["resource"]["mimeType"]


def test_a_chart_comes_as_a_picture(analyst: Coding) -> None:
    analyst.out("import pandas as pd\ntotals = pd.DataFrame({'region': ['a', 'b'], 'amount': [1, 2]})")
    result = analyst.run(CHART)
    assert not result["isError"], result
    assert result["structuredContent"]["stderr"] == ""
    _, image = result["content"]
    assert image["mimeType"] == "image/png"
    assert bytes(image["data"]).startswith(b"\x89PNG\r\n")
    unshown = analyst.run("fig, ax = plt.subplots()\nax.plot([1, 2])\nNone")["content"]
    assert [item["type"] for item in unshown] == ["text", "image"]
    assert [item["type"] for item in analyst.run("1 + 1")["content"]] == ["text"]


def test_e2bs_clients_get_tables_and_charts_as_data(server: RunningServer) -> None:
    with Sandbox.create() as sandbox:
        frame, bars, grid = sandbox.run_code(CHARTS).results
    assert frame.data == {"m": ["a", "b"], "v": [1.0, 2.5], "w": [3.0, None]}
    assert bars.png and bars.chart is not None and grid.chart is not None
    assert bars.chart.to_dict() == {
        "type": "bar",
        "title": "Bars",
        **{"x_label": "month", "x_unit": None, "y_label": "speed (m/s)", "y_unit": "m/s"},
        "elements": [
            {"label": "a", "group": "v", "value": 1.0},
            {"label": "b", "group": "v", "value": 2.5},
        ],
    }
    line, cloud, pie, boxes = grid.chart.elements
    assert (line.type, line.x_scale, line.elements[0].label) == ("line", "datetime", "l")
    assert line.elements[0].points[1] == ("2026-01-02T00:00:00", 2)
    assert (cloud.type, cloud.elements[0].points) == ("scatter", [(1.0, 3.0), (2.0, 4.0)])
    assert [(one.label, one.angle) for one in pie.elements] == [("x", 90.0), ("y", 270.0)]
    (box,) = boxes.elements
    assert (box.label, box.min, box.median, box.max, box.outliers) == ("p", 1.0, 3.0, 4.0, [20.0])


def test_tables_go_up_in_parts(analyst: Coding) -> None:
    part = io.BytesIO(b"1,2\n" * 1_000_000).getvalue()
    analyst.invoke("writeFiles", content=[{"path": f"part{n}", "blob": part} for n in range(3)])
    analyst.invoke("executeCommand", command="(echo a,b; cat part*) > whole.csv; rm part*")
    assert analyst.out("pd.read_csv('whole.csv')['b'].sum()").strip("\n") in ("6000000", "np.int64(6000000)")


def test_pip_is_there_and_what_users_install_counts(analyst: Coding) -> None:
    assert "pip" in analyst.invoke("executeCommand", command="pip --version")["content"][0]["text"]
    target = "$(python -c 'import site; print(site.getusersitepackages())')"
    analyst.invoke("executeCommand", command=f"mkdir -p {target} && echo 'x = 5' > {target}/own.py")
    assert analyst.out("import own; own.x") == "5\n"
