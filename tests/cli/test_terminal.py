"""Tables can be read by people and by `awk`."""

from datetime import UTC, datetime

import pytest

from innkeeper.cli.terminal import print_json, print_table


def test_columns_line_up_and_never_wrap(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("NAME", "CPU"), [("x" * 200, 1.25), ("short", None)])
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f"{'NAME':200}  CPU", f"{'x' * 200}  1.2", f"{'short':200}  -"]


def test_json_tells_times_in_iso_form(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"at": datetime(2026, 1, 2, tzinfo=UTC)})
    assert capsys.readouterr().out == '{"at": "2026-01-02T00:00:00+00:00"}\n'
