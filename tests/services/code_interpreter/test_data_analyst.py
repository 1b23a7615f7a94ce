"""A data analyst's day: a large table, grouped, charted, and the result taken home."""

import io
from collections.abc import Iterator

import pytest

from tests.running import RunningServer
from tests.services.code_interpreter.coding import Coding

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


@pytest.fixture(scope="module")
def analyst(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Coding]:
    server = RunningServer(tmp_path_factory.mktemp("analyst"), {"code_interpreter_deno": "deno"}).start()
    with Coding(server, sessionTimeoutSeconds=3600) as coding:
        yield coding
    server.stop()


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


def test_typescript_runs_wherever_deno_can_be_had(analyst: Coding) -> None:
    code = "enum Size { S = 41 }\nconst more: number = 1\nSize.S + more"
    assert analyst.out(code, language="typescript") == "42\n"
    assert analyst.out("require('node:path').join('a', 'b')", language="javascript") == '"a/b"\n'


def test_a_file_of_100_mb_goes_up_in_one_call(analyst: Coding) -> None:
    analyst.invoke("writeFiles", content=[{"path": "whole.bin", "blob": bytes(100_000_000)}])
    assert analyst.out("import os\nos.path.getsize('whole.bin')") == "100000000\n"


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
