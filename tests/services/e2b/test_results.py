"""What code shows that E2B's clients run, beside text: tables and charts, and TypeScript's values."""

from collections.abc import Iterator

import pytest
from e2b_code_interpreter import Sandbox

from tests.stories.e2b_serving import serving

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SETTINGS = {
    "code_interpreter_packages": '["pandas", "matplotlib"]',
    "code_interpreter_prepare": "nothing",
    "code_interpreter_deno": "deno",
}

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
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with serving(tmp_path_factory.mktemp("results"), SETTINGS), Sandbox.create() as made:
        yield made


def test_e2bs_clients_get_tables_and_charts_as_data(sandbox: Sandbox) -> None:
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


def test_typescript_has_the_results_that_python_has(sandbox: Sandbox) -> None:
    code = "enum Size { S = 41 }\nconst more: number = 1\nconsole.log(process.env.X)\nSize.S + more"
    ran = sandbox.run_code(code, language="ts", envs={"X": "here"})
    assert (ran.text, ran.logs.stdout) == ("42", ["here\n"])
    error = sandbox.run_code("throw new TypeError('no')", language="typescript").error
    assert error is not None and (error.name, error.value) == ("TypeError", "no")
