"""The live page: files of ours, which call the REST API as any client does.

The browser loads nothing else: the server tells it so, with every answer.
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

# Of every answer of the server: what a browser may do with it.
SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
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
    """The files by path, the page itself at `/`.

    Args:
        model: the name under which the REST API has the model.
        most_rows: of a request.
    """
    values = {"model": model, "most_rows": str(most_rows)}
    found = {}
    for file in _FOLDER.iterdir():
        content = file.read_bytes()
        if file.name == _INDEX:
            for key, value in values.items():
                content = content.replace(b"{{ %b }}" % key.encode(), html.escape(value).encode())
        path = "/" if file.name == _INDEX else f"/{file.name}"
        found[path] = PageFile(content, _TYPES[file.suffix])
    return found
