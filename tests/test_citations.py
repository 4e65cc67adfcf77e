"""Every citation resolves: the paper's in `docs/paper.md`, other works' in `docs/references.md`."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAPER = (ROOT / "docs/paper.md").read_text()
PARTS = set(re.findall(r'<a id="([^"]+)">', PAPER))
SECTIONS = set(re.findall(r"^#+ (\d+(?:\.\d+)?)\b", PAPER, re.MULTILINE))
SOURCES = set(re.findall(r"^\| (S\d+) \|", PAPER, re.MULTILINE))
ANSWERS = re.findall(r"^(\d+)\. ", PAPER.split("\n## 13. ")[1].split("\n## ")[0], re.MULTILINE)

# Of the paper: "Tables 1 and 2", "eq. 3", "Figures 18 to 20", "Appendix K", "section 4.2".
PART = re.compile(
    r"\b(eq|equation|alg|algorithm|table|fig|figure)s?\.? \(?(\d+(?:(?:, | and | to |-)\d+\b)*)"
    r"|\b(?:appendix|app\.) ([A-Z])\b",
    re.IGNORECASE,
)
KINDS = {"e": "equation", "a": "algorithm", "t": "table", "f": "figure"}
PLACE = re.compile(r"Rosca et al\. 2018[^.;()]*? (section|footnote) (\d+(?:\.\d+)?)")
# Of our page: "paper.md sections 6 and 8", "section 13, item 14"; and of its sources: "[F:S4, S5]".
SECTION = re.compile(r"paper\.md,? sections? (\d+(?:\.\d+)?)(?: and (\d+(?:\.\d+)?))?", re.I)
OWN_SECTION = re.compile(r"\b(?:section|sec\.) (\d+(?:\.\d+)?)")
ITEM = re.compile(r"section 13, item (\d+)", re.IGNORECASE)
SOURCE = re.compile(r"\[[^][]{0,12}F:(S\d+(?:, ?S\d+|-S\d+)*)")
# Of other works: "Burda et al. 2016", "Kingma & Welling 2014", "(Miller 1955)".
WORK = re.compile(
    r"\b([A-Z]\w+)(?:, [A-Z]\w+)*(?: et al\.?| (?:&|and) [A-Z]\w+)?,? \(?((?:19|20)\d\d)\b(?!-\d)"
)
REFERENCES = (ROOT / "docs/references.md").read_text()
WORKS = set(WORK.findall(" ".join(re.findall(r"^\| ([^|]*) \|", REFERENCES, re.MULTILINE))))
FOLDERS = ("zoo", "export", "flags", "tests", "benchmarks", "examples", "docs")


def texts():
    """What cites, by its path, as running text: without ends of lines and signs of comments."""
    folders = dict.fromkeys(FOLDERS, "**/*") | {"": "*"}
    for folder, pattern in folders.items():
        for suffix in ("py", "md", "flags", "json", "c"):
            for file in sorted((ROOT / folder).glob(f"{pattern}.{suffix}")):
                if file not in (Path(__file__), ROOT / "docs/references.md"):
                    text = re.sub(r"\s*\n[\s#*]*", " ", file.read_text())
                    yield str(file.relative_to(ROOT)), text


TEXTS = dict(texts())


def parts(text):
    """The parts of the paper that a text names, as the anchors of our page."""
    for kind, numbers, letter in PART.findall(text):
        if letter:
            yield f"appendix-{letter.lower()}"
            continue
        first, *others = map(int, re.findall(r"\d+", numbers))
        through = re.search("to|-", numbers)
        named = range(first, others[-1] + 1) if through else (first, *others)
        yield from (f"{KINDS[kind[0].lower()]}-{number}" for number in named)
    for kind, number in PLACE.findall(text):
        yield f"{'paper-' if kind == 'section' else ''}{kind}-{number}"


def unresolved(text):
    """The citations in a text that lead nowhere."""
    sections = {number for pair in SECTION.findall(text) for number in pair if number}
    sources = {s for found in SOURCE.findall(text) for s in re.findall(r"S\d+", found)}
    return (
        (set(parts(text)) - PARTS)
        | (sections - SECTIONS)
        | (sources - SOURCES)
        | (set(ITEM.findall(text)) - set(ANSWERS))
        | {f"{name} {year}" for name, year in set(WORK.findall(text)) - WORKS}
    )


@pytest.mark.parametrize("file", TEXTS)
def test_citations_resolve(file):
    assert unresolved(TEXTS[file]) == set()


@pytest.mark.parametrize(
    ("text", "nowhere"),
    [
        ("(Rosca et al. 2018, Table 9)", {"table-9"}),
        ("Figures 25 to 27", {"figure-27"}),
        ("Tables 6 and 7", {"table-7"}),
        ("eq. (16)", {"equation-16"}),
        ("Appendix Q", {"appendix-q"}),
        ("Rosca et al. 2018, section 4.7", {"paper-section-4.7"}),
        ("Rosca et al. 2018, footnote 4", {"footnote-4"}),
        ("paper.md sections 6 and 61", {"61"}),
        ("Section 13, item 99", {"99"}),
        ("chosen [C, F:S1, S99]", {"S99"}),
        ("(Nobody et al. 2016), Nobody & Noone 2017", {"Nobody 2016", "Nobody 2017"}),
    ],
)
def test_what_is_not_there_is_found(text, nowhere):
    assert unresolved(text) == nowhere


def test_the_page_of_the_paper_refers_to_its_own_sections():
    theirs = {part.removeprefix("paper-section-") for part in PARTS if part.startswith("paper-")}
    assert set(OWN_SECTION.findall(PAPER)) - theirs <= SECTIONS


def test_every_reference_is_cited():
    assert set(WORK.findall(" ".join(TEXTS.values()))) == WORKS
