"""Sessions trust private authorities whose certificates lie in Secrets Manager."""

import re
from pathlib import Path

import pytest

from tests.running import Agents, RunningServer
from tests.servers import Servers
from tests.services.code_interpreter.coding import Coding
from tests.services.code_interpreter.conftest import SETTINGS
from tests.services.code_interpreter.test_sessions import custom, refused
from tests.services.code_interpreter.trusting import located, stored, visit
from tests.stories.terminal import ROOT, Terminal
from tests.stories.tls_front import Certificates

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def server(servers: Servers) -> RunningServer:
    return servers.on("sqlite", SETTINGS)


def test_a_server_of_a_private_authority_is_trusted_with_its_certificate_alone(
    server: RunningServer, tmp_path: Path
) -> None:
    certificates = Certificates(tmp_path, "localhost")
    control = server.client("bedrock-agentcore-control")
    arn = stored(server, "tls/root", certificates.authority.read_bytes())
    with_it = custom(control, certificates=located(arn))
    assert with_it["certificates"] == located(arn)
    without = custom(control)
    assert "certificates" not in without
    with Coding(server, without["codeInterpreterId"]) as coding:
        assert visit(coding, certificates) == {"Python": False, "curl": False, "Node.js": False}
    with Coding(server, with_it["codeInterpreterId"]) as coding:
        assert visit(coding, certificates) == {"Python": True, "curl": True, "Node.js": True}
        trusted = "import os, ssl; len(ssl.create_default_context().get_ca_certs())"
        assert int(coding.out(trusted)) > 1
        assert coding.out(trusted, clearContext=True) == coding.out(trusted)
    with Coding(server, without["codeInterpreterId"], certificates=located(arn)) as coding:
        assert "hello" in coding.invoke("executeCommand", command="echo hello")["structuredContent"]["stdout"]
        assert coding.out("import ssl; ssl.create_default_context().get_ca_certs()[-1]['subject']").count(
            "Authority"
        )


def test_what_cannot_be_trusted_is_named_when_a_session_starts(server: RunningServer) -> None:
    agents = Agents(server)
    nonsense, hidden = stored(server, "tls/nonsense", b"no PEM"), stored(server, "tls/hidden", b"of a role")
    lost = nonsense[:-6] + "aaaaaa"
    for arn, expected in ((nonsense, "ValidationException"), (lost, "ResourceNotFoundException")):
        interpreter = custom(agents.control, certificates=located(arn))["codeInterpreterId"]
        code, message = refused(
            agents.data.start_code_interpreter_session, codeInterpreterIdentifier=interpreter
        )
        assert (code, arn in message, "no PEM" in message) == (expected, True, False)
    keys = server.client("sts").assume_role(RoleArn=agents.role, RoleSessionName="starter")["Credentials"]
    role = server.client("bedrock-agentcore", (keys["AccessKeyId"], keys["SecretAccessKey"]))
    role._request_signer._credentials.token = keys["SessionToken"]
    wanted = {"codeInterpreterIdentifier": "aws.codeinterpreter.v1", "certificates": located(hidden)}
    assert refused(role.start_code_interpreter_session, **wanted)[0] == "AccessDeniedException"


def test_the_guide_can_be_followed(server: RunningServer, tmp_path: Path) -> None:
    user = Terminal(tmp_path, {**server.environment, "INNKEEPER_DATA_DIR": str(server.data_dir)})
    page = (ROOT / "docs/guide/secrets.md").read_text()
    blocks = re.findall(r"^```(bash|python)\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    said = [
        user.ok(*(("bash", "-euo", "pipefail", "-c") if language == "bash" else ("python", "-c")), block)
        for language, block in blocks
    ]
    assert said[0].count("staple") == 1
    assert "wrong horse" in said[0] and "correct horse" not in said[0]
    assert said[1] == "two\none\n"
    assert "Our own authority" in said[3]
