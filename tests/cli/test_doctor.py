"""A user asks whether this machine can host agents."""

import json
import shutil

import pytest

from tests.cli.conftest import Run


def test_doctor_names_each_check_and_what_to_do(run: Run) -> None:
    said = run("doctor", "--json")
    found = {check["name"]: check for check in json.loads(said.stdout)["checks"]}
    programs = {"python", "bwrap", "slirp4netns", "nft", "uv", "postgresql"}
    assert programs | {"sandbox", "disk", "server"} <= set(found)
    assert found["server"]["fix"] == "innkeeper up --detach"
    missing = [name for name, check in found.items() if check["state"] == "missing"]
    assert said.returncode == (1 if missing else 0)
    assert all(check["fix"] for check in found.values() if check["state"] == "missing")


@pytest.mark.skipif(not shutil.which("bwrap"), reason="needs bubblewrap")
def test_doctor_really_starts_a_sandbox(run: Run) -> None:
    assert "sandbox      ok " in run("doctor").stdout


@pytest.mark.skipif(not shutil.which("bwrap"), reason="needs bubblewrap")
def test_doctor_says_where_untrusted_code_is_refused_and_what_to_do(run: Run) -> None:
    refused = run("doctor", INNKEEPER_SANDBOX_DRIVER="bubblewrap")
    assert refused.returncode == 0
    assert "untrusted    warning" in refused.stdout
    assert "untrusted: install gVisor" in refused.stderr
    assert "INNKEEPER_UNTRUSTED_CODE_IN_NAMESPACES=true" in refused.stderr
    settings = {"INNKEEPER_SANDBOX_DRIVER": "bubblewrap", "INNKEEPER_UNTRUSTED_CODE_IN_NAMESPACES": "true"}
    assert "untrusted    ok" in run("doctor", **settings).stdout


def test_doctor_says_which_model_lacks_its_key(run: Run) -> None:
    models = json.dumps({"mine": {"kind": "openai", "api_key_variable": "NO_SUCH_KEY"}})
    said = run("doctor", INNKEEPER_MODELS=models)
    assert "model mine: export NO_SUCH_KEY=… before innkeeper up" in said.stderr


def test_doctor_names_the_sandbox_drivers_there_are(run: Run) -> None:
    said = run("doctor", INNKEEPER_SANDBOX_DRIVER="shoebox")
    assert said.returncode == 1
    assert "sandbox: set INNKEEPER_SANDBOX_DRIVER to one of: " in said.stderr
