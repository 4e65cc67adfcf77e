"""The page of a model: files of ours, which call it where it runs, on a server by the REST API as
any client does, or in the browser itself (`zoo.export.web`).

The browser loads nothing else: the page tells it so, and the server with every answer.
"""

from __future__ import annotations

import html
from pathlib import Path
from typing import NamedTuple

_FOLDER = Path(__file__).parent / "page"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_INDEX = "index.html"
_POLICY = (
    "default-src 'none'; script-src {scripts}; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'"
)


class BackEnd(NamedTuple):
    """Where the page's model runs.

    Attributes:
        files: those of the page that it alone has, its `Model` in the first.
        policy: what a browser may load and run for it.
    """

    files: tuple[str, ...]
    policy: str


REST = BackEnd(("rest.js",), _POLICY.format(scripts="'self'"))
ONNX = BackEnd(("onnx.js", "noise.js"), _POLICY.format(scripts="'self' 'wasm-unsafe-eval'"))

# Of every answer of the server: what a browser may do with it.
SECURITY_HEADERS = {
    # The last is what a page cannot say of itself.
    "Content-Security-Policy": f"{REST.policy}; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


class PageFile(NamedTuple):
    """A file of the page.

    Attributes:
        content: its bytes.
        content_type: for the header.
    """

    content: bytes
    content_type: str


def live_page(model: str, most_rows: int) -> dict[str, PageFile]:
    """The files that a server answers with by path, the page itself at `/`.

    Args:
        model: the name under which the REST API has the model.
        most_rows: of a request.
    """
    return {
        "/" if name == _INDEX else f"/{name}": PageFile(content, _TYPES[Path(name).suffix])
        for name, content in page_files(REST, model, str(most_rows)).items()
    }


def page_files(back_end: BackEnd, model: str, most_rows: str = "Infinity") -> dict[str, bytes]:
    """The files of the page by name, less those that another back end has to itself.

    Args:
        back_end: where its model runs.
        model: its name.
        most_rows: that the model takes at once, as JavaScript reads a number.
    """
    values = {
        "policy": back_end.policy,
        "back_end": back_end.files[0],
        "model": model,
        "most_rows": most_rows,
    }
    others = {name for other in (REST, ONNX) for name in other.files} - {*back_end.files}
    found = {f.name: f.read_bytes() for f in _FOLDER.iterdir() if f.name not in others}
    for key, value in values.items():
        slot = b"{{ %b }}" % key.encode()
        found[_INDEX] = found[_INDEX].replace(slot, html.escape(value).encode())
    return found
