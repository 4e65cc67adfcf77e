"""What mkdocs adds to the pages of this folder: pages of the repository's root, and pages that are
made of the code. Links between files of the repository become links between pages."""

from __future__ import annotations

import html
import importlib
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from absl import flags
from mkdocs.structure.files import File, Files

from zoo.markdown import table
from zoo.registry import MODELS

ROOT = Path(__file__).parents[1]
# Files of the repository by page; others of docs/ keep their names.
ELSEWHERE = {
    "index.md": "README.md",
    "contributing.md": "CONTRIBUTING.md",
    "security.md": "SECURITY.md",
    "deploy.md": "deploy/README.md",
    "changelog.md": "CHANGELOG.md",
    "benchmarks/index.md": "benchmarks/README.md",
    "benchmarks/results.md": "benchmarks/results.md",
    "benchmarks/growth.md": "benchmarks/growth.md",
    "benchmarks/instruments.md": "benchmarks/instruments.md",
    "benchmarks/growth.png": "benchmarks/growth.png",
}
PROGRAMS = [
    "train",
    "evaluate",
    "sample",
    "encode",
    "fit_prior",
    "export",
    "serve",
    "report",
    "paper",
]
# What a user of the package meets, by module.
API = {
    "zoo.doors": [
        "train",
        "load_dataset",
        "evaluate",
        "sample",
        "fit_prior",
        "create_model",
        "load_model",
    ],
    "zoo.run": ["load_run", "Run"],
    "zoo.pretrained": ["from_pretrained", "open_pretrained"],
    "zoo.pretrained.saving": ["save_pretrained"],
    "zoo.export.saved_model": ["export_run"],
    "zoo.models.inference": ["GenerativeModel"],
    "zoo.config": ["RunConfig", "EvaluationConfig"],
}
_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^()\s]+)\)")
_CODE = re.compile(r"^```.*?^```|^(?: {4}|\t).*?$|`[^`\n]*`", re.MULTILINE | re.DOTALL)


def on_files(files: Files, config: Any) -> Files:
    """Adds the pages."""
    files.remove(files.src_uris["README.md"])  # the index of the repository, which the menu is here
    for page, source in ELSEWHERE.items():
        content = (ROOT / source).read_bytes()
        text = content.decode() if page.endswith(".md") else content
        files.append(File.generated(config, page, content=text))
    for page, make in (("programs.md", programs), ("models/index.md", models), ("api.md", api)):
        files.append(File.generated(config, page, content=make()))
    return files


def on_page_markdown(markdown: str, page: Any, files: Files, **_: Any) -> str:
    """Leads links to where their files are as pages, and drops those that are no page."""
    uri = page.file.src_uri
    source = ELSEWHERE.get(uri, f"docs/{uri}")
    pages = {file: name for name, file in ELSEWHERE.items()}
    pages |= {f"docs/{name}": name for name in files.src_uris} | {"docs/README.md": "index.md"}

    def led(match: re.Match[str]) -> str:
        picture, text, link = match.groups()
        path, hash, anchor = link.partition("#")
        if not path or "://" in link:
            return match[0]
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
        if target not in pages:
            return text
        place = posixpath.relpath(pages[target], posixpath.dirname(uri) or ".")
        return f"{picture}[{text}]({place}{hash}{anchor})"

    kept: list[str] = []

    def set_aside(match: re.Match[str]) -> str:
        kept.append(match[0])
        return f"\0{len(kept) - 1}\0"

    text = _LINK.sub(led, _CODE.sub(set_aside, markdown))
    return re.sub(r"\0(\d+)\0", lambda match: kept[int(match[1])], text)


def programs() -> str:
    """Each program with its flags."""
    parts = ["# Programs\n\nEach takes `--help` and `--flagfile`, and completes in bash and zsh.\n"]
    for name in PROGRAMS:
        module = importlib.import_module(f"zoo.flags.{name}")
        title, _, about = (module.__doc__ or "").partition("\n")
        values = flags.FlagValues()
        module.define(values)
        parts.append(f"## zoo-{name.replace('_', '-')}\n\n{title.partition(': ')[2]}\n")
        parts.append("```text\n" + about.strip() + "\n```\n")
        parts.append(table(("flag", "default", "what it does"), _rows(values)))
    return "\n".join(parts)


def _rows(values: flags.FlagValues) -> Iterator[tuple[str, str, str]]:
    for name in sorted(values):
        flag = values[name]
        if name != flag.name:
            continue  # its short name, or its negation
        default = "" if flag.default is None else f"`{flag.default_unparsed}`"
        text = html.escape(flag.help or "", quote=False).replace("|", "\\|").replace("\n", " ")
        yield f"`--{name}`", default, text


def models() -> str:
    """Each model's class, with its equations."""
    head = (
        "# Models\n\nEach is a Keras model; its docstring has its equations, with signs, and says\n"
    )
    head += "which gradient reaches which network.\n\n"
    options = "    options:\n      members: [losses]\n      show_root_full_path: false\n"
    return head + "".join(f"::: {path}\n{options}\n" for path in MODELS.values())


def api() -> str:
    """The doors of the package."""
    lines = [f"::: {module}.{name}\n" for module, names in API.items() for name in names]
    return "# Python\n\n" + "\n".join(lines)
