"""`IPython.display` where IPython is not installed: what code written for notebooks imports of it.

Standard library only, on any Python from 3.10.
"""

from __future__ import annotations

import html
import json
import sys
import types
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

_PNG, _JPEG = b"\x89PNG", b"\xff\xd8"
_NAMES = ("IPython", "IPython.display", "IPython.core", "IPython.core.display")


class Shown:
    """Something to show, given as it is or by the name of a file."""

    def __init__(self, data: Any = None, url: str | None = None, filename: Any = None, **_: Any) -> None:
        self.url = url
        self.data = Path(filename).read_text() if filename else data

    def __repr__(self) -> str:
        return f"<{type(self).__name__} object>"


class HTML(Shown):
    def _repr_html_(self) -> Any:
        return self.data


class SVG(Shown):
    def _repr_svg_(self) -> Any:
        return self.data


class Javascript(Shown):
    def _repr_javascript_(self) -> Any:
        return self.data


class JSON(Shown):
    def _repr_json_(self) -> Any:
        return json.loads(self.data) if isinstance(self.data, str | bytes) else self.data


class _Text(Shown):
    """Whoever sees text alone sees this."""

    def __repr__(self) -> str:
        return str(self.data)


class Markdown(_Text):
    def _repr_markdown_(self) -> Any:
        return self.data


class Latex(_Text):
    def _repr_latex_(self) -> Any:
        return self.data


class Math(Latex):
    def _repr_latex_(self) -> Any:
        return f"$\\displaystyle {str(self.data).strip('$')}$"


class Pretty(_Text):
    pass


class Code(_Text):
    pass


class Image(Shown):
    """Of bytes, a file, or an address, which is shown as HTML: nothing is fetched."""

    def __init__(self, data: Any = None, url: str | None = None, filename: Any = None, **_: Any) -> None:
        if isinstance(data, str | Path):
            if str(data).startswith(("http://", "https://", "data:")):
                url, data = str(data), None
            else:
                filename, data = data, None
        self.url = url
        self.data = Path(filename).read_bytes() if filename else data

    def _of_kind(self, magic: bytes) -> Any:
        return self.data if isinstance(self.data, bytes) and self.data.startswith(magic) else None

    def _repr_png_(self) -> Any:
        return self._of_kind(_PNG)

    def _repr_jpeg_(self) -> Any:
        return self._of_kind(_JPEG)

    def _repr_html_(self) -> Any:
        return f'<img src="{html.escape(self.url)}"/>' if self.url else None


class IFrame:
    def __init__(self, src: str, width: Any = "100%", height: Any = 400, **_: Any) -> None:
        self._html = f'<iframe src="{html.escape(src)}" width="{width}" height="{height}"></iframe>'

    def _repr_html_(self) -> str:
        return self._html


def clear_output(*_: Any, **__: Any) -> None:
    """What was shown stays: nobody looks while a cell runs."""


class _Finder:
    """Comes after all others: an IPython that is installed goes before."""

    def __init__(self, modules: dict[str, types.ModuleType]) -> None:
        self._modules = modules

    def find_spec(self, name: str, _path: Any = None, _target: Any = None) -> ModuleSpec | None:
        loader: Any = self
        return ModuleSpec(name, loader, is_package=True) if name in self._modules else None

    def create_module(self, spec: ModuleSpec) -> types.ModuleType:
        return self._modules[spec.name]

    def exec_module(self, module: types.ModuleType) -> None:
        pass


def install(display: Callable[..., None]) -> Any:
    """Make it importable; `display` shows values. The module."""
    modules = {name: types.ModuleType(name) for name in _NAMES}
    kinds: Sequence[Any] = (
        *(HTML, SVG, Javascript, JSON, Markdown, Latex, Math, Pretty, Code, Image, IFrame),
        clear_output,
    )
    for name in ("IPython.display", "IPython.core.display"):
        modules[name].__dict__.update({kind.__name__: kind for kind in kinds}, display=display)
    top = modules["IPython"].__dict__
    top.update(display=modules["IPython.display"], core=modules["IPython.core"], version_info=(9, 0, 0))
    top["get_ipython"] = lambda: None  # who asks looks for hooks that only the real one has
    modules["IPython.core"].__dict__["display"] = modules["IPython.core.display"]
    finder: Any = _Finder(modules)
    sys.meta_path.append(finder)
    return modules["IPython.display"]
