"""Run folders and exports of which something was changed by chance: told in a line, or unharmed."""

import base64
import contextlib
import json
import random
import shutil

import numpy as np
import pytest

from tests.flags.in_process import call
from zoo.errors import UsageError
from zoo.evaluation.subject.subject import Subject
from zoo.files import write_json
from zoo.pictures import save_png
from zoo.run import Run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

CASES = 500
NASTY = [
    *(None, True, False, 0, -1, 1.5, -1e308, 2**63, 10**400, "", "x", "x" * 10_000, "a\nb", "\0"),
    *("\ud800", "$x^{$", "<script>", "../../secret.png", "/etc/passwd", "..", "é", [], {}, [[]]),
    *([1], {"a": 1}, [None] * 3, {"step": 1}, "NaN", 1e-320, {"": {"": [0, {"": ""}]}}),
]


def places(value, path=()):
    """Every place in a JSON value, as the keys that lead to it."""
    yield path
    if not isinstance(value, (dict, list)):
        return
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        yield from places(inner, (*path, key))


def altered(rng, value):
    """The value with something in it replaced, removed, added, renamed or repeated."""
    path = rng.choice(list(places(value)))
    nasty = rng.choice(NASTY)
    if not path:
        return nasty
    *way, last = path
    inner = value
    for key in way:
        inner = inner[key]
    action = rng.choice(["replace"] * 5 + ["remove", "rename", "repeat", "many"])
    if action == "replace" or isinstance(inner, list):
        inner[last] = nasty
    elif action == "remove":
        del inner[last]
    elif action == "rename":
        inner[str(nasty)[:50]] = inner.pop(last)
    elif action == "repeat":
        inner[f"{last}_2"] = inner[last]
    else:
        inner |= {f"more {i}": 0.5 for i in range(300)}
    return value


def altered_bytes(rng, content):
    """The bytes with one changed, cut off, put in or taken out."""
    if not content:
        return b"\0"
    place, flip = rng.randrange(len(content)), 1 << rng.randrange(8)
    return rng.choice(
        [
            content[:place],
            content[:place] + bytes([content[place] ^ flip]) + content[place + 1 :],
            content[:place] + rng.randbytes(3) + content[place:],
            content[:place] + content[place + 2 :],
        ]
    )


def mutate(rng, file):
    """Changes a file: the values of JSON, or the bytes of anything."""
    content = file.read_bytes()
    if file.suffix in (".json", ".jsonl") and rng.random() < 0.8:
        lines = content.splitlines() if file.suffix == ".jsonl" else [content]
        at = rng.randrange(len(lines))
        with contextlib.suppress(ValueError):  # changed before, to something else
            lines[at] = json.dumps(altered(rng, json.loads(lines[at]))).encode()
            file.write_bytes(b"\n".join(lines) + b"\n")
            return
    file.write_bytes(altered_bytes(rng, content))


@pytest.fixture
def run_folder(trained, tmp_path):
    """A trained run with a measurement and its picture, and a secret picture above it."""
    folder = shutil.copytree(trained / "run", tmp_path / "run")
    shutil.rmtree(folder / "checkpoints" / "step-00000001")  # which would take the other's place
    save_png(folder / "evaluation" / "elbo-a.png", np.full((4, 4, 3), 7, np.uint8))
    record = {"metric": "elbo", "value": -1.5, "standard_error": 0.5, "n": 3, "split": "test"}
    record |= {"step": 2, "definition": "nats", "warnings": ["few"], "asked": {"metric": "elbo"}}
    picture = {"file": "evaluation/elbo-a.png", "caption": "seen", "asked": {"metric": "elbo"}}
    write_json(folder / "evaluation.json", {"records": [record, record], "pictures": [picture]})
    save_png(tmp_path / "secret.png", np.full((5, 5, 3), 99, np.uint8))
    return folder


def test_run_folders(run_folder, tmp_path, capsys):
    """The report is made or refused, shows nothing from outside, and no weight changes unseen."""
    rng = random.Random(0)
    weights = Run.open(run_folder).model.fingerprint
    secret = base64.b64encode((tmp_path / "secret.png").read_bytes()).decode()
    files = [f.relative_to(run_folder) for f in run_folder.rglob("*") if f.is_file()]
    files = [f for f in files if "tensorboard" not in f.parts and f.name[0] != "."]
    often = [f for f in files if f.suffix in (".json", ".jsonl", ".npz")]
    codes = []
    for case in range(CASES):
        folder = shutil.copytree(run_folder, tmp_path / "copy")
        changed = rng.choice(often if rng.random() < 0.8 else files)
        for _ in range(rng.choice([1, 1, 2])):
            mutate(rng, folder / changed)
        capsys.readouterr()
        weighty = changed.suffix == ".npz" or changed.name == "config.json"
        code = call("report", f"--run_dir={folder}", f"--draw={weighty}")  # to draw takes seconds
        said = capsys.readouterr().err
        about = f"case {case}: {changed}: {said}"
        assert code in (0, 2) and said.count("\n") == (code == 2), about
        codes.append(code)
        if code == 0:
            page = (folder / "report.html").read_text()
            assert secret not in page and "root:x:0" not in page and "<script>" not in page, about
        if weighty:
            try:
                assert Run.open(folder).model.fingerprint == weights, about
            except UsageError as error:
                assert "\n" not in str(error), about
        shutil.rmtree(folder)
    assert 0.2 * CASES < codes.count(0) < 0.9 * CASES  # both came up


def test_exports(trained, tmp_path):
    """An export loads as it was written, or not at all."""
    rng = random.Random(1)
    sound = trained / "served" / "tiny" / "1"
    expected = Subject.of_saved_model(sound).all("sample", seed=3, count=2)["images"]
    files = [f.relative_to(sound) for f in sound.rglob("*") if f.is_file()]
    refused = 0
    for case in range(CASES):
        folder = shutil.copytree(sound, tmp_path / "copy")
        changed = rng.choice(files)
        if rng.random() < 0.1:
            (folder / changed).unlink()
        else:
            mutate(rng, folder / changed)
        same = (folder / changed).exists() and (folder / changed).read_bytes() == (
            sound / changed
        ).read_bytes()
        try:
            drawn = Subject.of_saved_model(folder).all("sample", seed=3, count=2)["images"]
            np.testing.assert_array_equal(drawn, expected, err_msg=f"{case}: {changed}")
            # Its manifest is gone, which an export of somebody else does not have either.
            assert same or changed.name == "manifest.json", f"{case}: {changed}"
        except UsageError as error:
            refused += 1
            assert "\n" not in str(error)
        shutil.rmtree(folder)
    assert refused > 0.8 * CASES
