"""The pages: each is found from the index, and each of their links leads somewhere."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
INDEX = ROOT / "docs/README.md"
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("benchmarks/*.md"),
        *ROOT.glob("deploy/*.md"),
    ]
    + [*ROOT.glob(".github/**/*.md")]
)
LINK = re.compile(r"\]\(([^()\s]+)\)")
CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.MULTILINE | re.DOTALL)


def links(page: Path) -> list[str]:
    """What a page links to, but for code and other places on the web."""
    found = LINK.findall(CODE.sub("", page.read_text()))
    return [link for link in found if not link.startswith(("https://", "http://", "mailto:"))]


def anchors(page: Path) -> set[str]:
    """Ids, and headings as GitHub makes ids of them."""
    text = page.read_text()
    ids = set(re.findall(r'<a id="([^"]+)">', text))
    for heading in re.findall(
        r"^#+ (.*)$", CODE.sub(lambda m: m[0].strip("`"), text), re.MULTILINE
    ):
        words = re.sub(r"<[^>]*>|[^\w\s-]", "", heading).strip().lower()
        ids.add(re.sub(r"\s", "-", words))
    return ids


def leads_somewhere(page: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    return target.exists() and (not anchor or anchor in anchors(target))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    assert [link for link in links(page) if not leads_somewhere(page, link)] == []


def test_dead_links_are_found():
    assert leads_somewhere(INDEX, "paper.md#67-veegan") and leads_somewhere(INDEX, "#documentation")
    for dead in ("none.md", "paper.md#68-veegan", "../docs/none", "#none"):
        assert not leads_somewhere(INDEX, dead)


def test_the_index_lists_every_page():
    listed = {(INDEX.parent / link).resolve() for link in links(INDEX)}
    assert {page for page in PAGES if ".github" not in page.parts} - {INDEX} <= listed
