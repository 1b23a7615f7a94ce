"""A user points their clients at the server."""

import json
import subprocess

from tests.cli.conftest import SECRET, Run


def test_a_shell_takes_the_exports(run: Run, url: str) -> None:
    exports = run("env").stdout
    show = 'printf "%s\\n" "$AWS_SECRET_ACCESS_KEY" "${AWS_PROFILE-unset}"'
    script = f"export AWS_PROFILE=other\n{exports}\n{show}"
    said = subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=30, check=True)
    assert said.stdout.splitlines() == [SECRET, "unset"]


def test_json_holds_the_same_variables(run: Run, url: str) -> None:
    assert json.loads(run("env", "--json").stdout) == {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "AKIATEST",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "BEDROCK_AGENTCORE_DP_ENDPOINT": url,
        "BEDROCK_AGENTCORE_CP_ENDPOINT": url,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def test_fish_has_its_own_words(run: Run, url: str) -> None:
    lines = run("env", "--shell", "fish").stdout.splitlines()
    assert f"set -gx AWS_ENDPOINT_URL {url};" in lines
    assert "set -e AWS_PROFILE;" in lines
