"""One self-contained page: its template, its style and its script, and nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

import jinja2

from zoo.config import ALL_PLAYERS
from zoo.files import atomic_file

_TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader("zoo.report"),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    undefined=jinja2.StrictUndefined,
)
_SCRIPT = "scatter.js"


def setting_text(value: Any) -> str:
    """A setting of `config.json` as flags have it: a rate, or one for each player."""
    if not isinstance(value, dict):
        return str(value)
    if [*value] == [ALL_PLAYERS]:
        return str(value[ALL_PLAYERS])
    return ", ".join(f"{name}={rate}" for name, rate in value.items())


_TEMPLATES.filters["setting"] = setting_text


def write_page(target: Path, template: str, **values: Any) -> Path:
    """Renders a template into a file, atomically, and returns the file.

    Args:
        target: the file.
        template: its name in `templates/`.
        **values: what it shows; texts are escaped.
    """
    script = _source(_SCRIPT)
    # Whatever text might get past the escaping, the browser runs no other script and loads nothing.
    allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    text = _TEMPLATES.get_template(template).render(
        style=_source("page.css"), script=script, script_hash=f"sha256-{allowed}", **values
    )
    with atomic_file(target) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")
    return target


def _source(name: str) -> str:
    return (Path(__file__).parent / "templates" / name).read_text(encoding="utf-8")
