"""What CONTRIBUTING shows how to add: each example, taken from that page, in a copy of the tree.

Its files and its line of the registry are all that the copy gets. What users and the contract do
there finds the part, and leaves every other file as it was.
"""

import hashlib
import json
import math
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from zoo import registry

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "CONTRIBUTING.md").read_text()
LEFT_OUT = shutil.ignore_patterns(
    ".*", "__pycache__", "runs", "served", "build", "dist", "node_modules", "*.egg-info"
)
REGISTRY = "zoo/registry.py"
FILES = {
    "model": ("zoo/models/dip_vae.py", "MODELS"),
    "metric": (
        "zoo/evaluation/samples/pixel_histogram.py",
        "METRICS",
        "tests/evaluation/samples/test_pixel_histogram.py",
    ),
    "data set": ("zoo/data/digits.py", "DATASETS"),
    "likelihood": ("zoo/distributions/discretized_logistic.py", "LIKELIHOODS"),
    "network family": ("zoo/networks/mlp.py", "NETWORKS"),
}
TINY = ("--width=0.06", "--latent_size=3", "--batch_size=8", "--strategy=one_device")
TWO_STEPS = (*TINY, "--steps=2", "--log_every=1", "--checkpoint_every=2")
WITHOUT_TENSORFLOW = """\
import sys
from zoo.flags.{name} import run
sys.argv = ["zoo-{name}", "--help"]
try:
    run()
except SystemExit as end:
    heavy = {{"tensorflow", "keras"}} & set(sys.modules)
    sys.exit(end.code or (f"{{heavy}} were imported" if heavy else 0))
"""

in_a_copy = [pytest.mark.slow, pytest.mark.timeout(1800)]


def example(part):
    """The files, and the lines of a table, of a section's example: by the first line of each block
    of code, a path, or the registry's and the table."""
    section = PAGE.split(f"\n### Adding a {part}\n")[1].split("\n### ")[0]
    blocks = re.findall(r"^```python\n# ([^\n]*)\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    return {place.removeprefix(f"{REGISTRY}: "): text for place, text in blocks}


class Tree:
    """A copy of the tree with one example in it."""

    def __init__(self, path, part):
        self.path = path
        shutil.copytree(ROOT, path, symlinks=True, ignore=LEFT_OUT)
        self._before = dict(self._contents())
        self.written = set()
        for place, text in example(part).items():
            if place in vars(registry):
                self._enter(place, text)
            else:
                assert not (path / place).exists()
                (path / place).write_text(text)
                self.written.add(place)

    def _enter(self, table, line):
        """At the end of a table of the registry."""
        file = self.path / REGISTRY
        head, tail = file.read_text().split(f"\n{table} = {{\n")
        entries, rest = tail.split("\n}\n", 1)
        file.write_text(f"{head}\n{table} = {{\n{entries}\n{line}}}\n{rest}")
        self.written.add(REGISTRY)

    def python(self, *arguments, code=0):
        """Runs Python there and returns what it printed."""
        environment = {**os.environ, "PYTHONPATH": str(self.path), "TF_CPP_MIN_LOG_LEVEL": "2"}
        command = [sys.executable, *map(str, arguments)]
        done = subprocess.run(
            command, cwd=self.path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == code, done.stdout[-8000:] + done.stderr[-4000:]
        return done.stdout + done.stderr

    def program(self, name, *arguments, code=0):
        return self.python("-m", f"zoo.flags.{name}", *arguments, code=code)

    def help(self, name):
        """What `--help` prints, which takes no TensorFlow."""
        text = self.python("-c", WITHOUT_TENSORFLOW.format(name=name))
        return " ".join(text.split())

    def passes(self, *arguments):
        """Runs tests there; returns the names of those that passed."""
        chosen = ("-vv", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:randomly")
        output = self.python("-m", "pytest", *chosen, *arguments)
        return re.findall(r"^(\S+::.+?) PASSED", output, re.MULTILINE)

    @property
    def changed(self):
        """Every file that is another than it was in the copy, or new."""
        return {file for file, content in self._contents() if self._before.get(file) != content}

    def _contents(self):
        """Every file by its path, with a hash; what Python and its tools keep aside."""
        for folder, folders, names in os.walk(self.path):
            folders[:] = [n for n in folders if n != "__pycache__" and not n.startswith(".")]
            for file in (Path(folder) / name for name in names):
                content = hashlib.sha256(file.read_bytes()).hexdigest()
                yield file.relative_to(self.path).as_posix(), content


@pytest.fixture
def tree(request, tmp_path):
    return Tree(tmp_path / "tree", request.param)


def adding(part):
    """Runs a test, slowly, in a copy to which the example of a part has been added."""

    def mark(test):
        for each in (*in_a_copy, pytest.mark.parametrize("tree", [part], indirect=True)):
            test = each(test)
        return test

    return mark


@pytest.mark.parametrize("part", FILES)
def test_an_example_is_the_files_that_the_page_lists(part):
    assert tuple(example(part)) == FILES[part]
    (row,) = re.findall(rf"^\| \[a {part}\].* \|$", PAGE, re.MULTILINE)
    (table,) = {*FILES[part]} & {*vars(registry)}
    assert f"`{table}`" in row and ("test" in row) == (len(FILES[part]) > 2)


@pytest.mark.parametrize("part", FILES)
def test_an_example_is_written_as_the_house_is(part):
    for place, text in example(part).items():
        # A module that is not here yet would be taken for somebody else's.
        ours = "lint.isort.known-first-party=['zoo']"
        for check in (("check", f"--config={ours}"), ("format", "--check")):
            if place not in vars(registry):
                command = [sys.executable, "-m", "ruff", *check, f"--stdin-filename={place}", "-"]
                done = subprocess.run(command, cwd=ROOT, input=text, capture_output=True, text=True)
                assert done.returncode == 0, done.stdout


@adding("model")
def test_a_model(tree, tmp_path):
    shown = tree.help("train")
    assert "--covariance_weight: Weight of the codes' covariance (dip_vae: 10.0)." in shown
    assert "--covariance_of: <means|draws>" in shown
    assert "`dip_vae`" in tree.program("train", "--list_models")
    run = tmp_path / "run"
    chosen = (
        f"--run_dir={run}",
        "--preset=color_mnist_mini/dip_vae",
        "--covariance_weight=5",
        *TWO_STEPS,
    )
    refused = tree.program("train", *chosen, "--covariance_weight=-1", code=2)
    assert "covariance_weight=-1.0 is not accepted: expected a number of at least 0" in refused
    assert "to step 2: " in tree.program("train", *chosen)
    model = json.loads((run / "config.json").read_text())["model"]
    assert (model["model"], model["covariance_weight"]) == ("dip_vae", 5)
    assert model["covariance_of"] == "means"
    passed = tree.passes("tests/models/test_contract.py", "-k", "dip_vae")
    for variant in ("dip_vae", "dip_vae-covariance_weight=20.0", "dip_vae-covariance_of=draws"):
        assert f"tests/models/test_contract.py::test_one_replica_equals_two[{variant}]" in passed
    assert tree.changed == tree.written
    tree.python("-m", "zoo.models.overview", "README.md")
    assert tree.changed == {*tree.written, "README.md"}
    assert "\n| `dip_vae` " in (tree.path / "README.md").read_text()
    tree.passes("tests/models/test_overview.py", "tests/test_options.py", "tests/test_citations.py")


@adding("metric")
def test_a_metric(tree, tmp_path):
    assert "--histogram_bins: Bins of a histogram of pixels (pixel_hist" in tree.help("evaluate")
    tree.passes("tests/evaluation/samples/test_pixel_histogram.py", "tests/test_options.py")
    run = tmp_path / "run"
    tree.program("train", f"--run_dir={run}", *TWO_STEPS)
    measure = (f"--run_dir={run}", "--metrics=pixel_histogram", "--num_samples=20")
    tree.program("evaluate", *measure, "--histogram_bins=8")
    tree.program("evaluate", *measure, "--histogram_bins=4")
    assert "already measured" in tree.program("evaluate", *measure, "--histogram_bins=8")
    records = json.loads((run / "evaluation.json").read_text())["records"]
    assert [(r["metric"], r["asked"]["histogram_bins"]) for r in records] == [
        *(("pixel_histogram_data", 8), ("pixel_histogram", 8)),
        *(("pixel_histogram_data", 4), ("pixel_histogram", 4)),
    ]
    assert all(0 <= r["value"] <= 1 and r["n"] == 20 for r in records)
    tree.program("report", f"--run_dir={run}")
    page = (run / "report.html").read_text()
    assert "over 8 bins of grey levels" in page and f"{records[1]['value']:.6g}" in page
    assert tree.changed == tree.written


@adding("data set")
def test_a_data_set(tree, tmp_path):
    assert re.search(r"--dataset: <[^>]*\|digits>", tree.help("train"))
    tree.passes("tests/data/test_images.py")
    run = tmp_path / "run"
    tree.program("train", f"--run_dir={run}", "--dataset=digits", *TWO_STEPS)
    config = json.loads((run / "config.json").read_text())
    assert config["image_shape"] == [32, 32, 1] and config["model"]["network"] == "dcgan"
    assert config["data"]["dataset"] == "digits"
    tree.program("evaluate", f"--run_dir={run}", "--metrics=elbo,reconstruction")
    tree.program("sample", f"--run_dir={run}", f"--output={tmp_path / 'samples.png'}")
    tree.program("report", f"--run_dir={run}")
    refused = tree.program("train", f"--run_dir={run}", "--dataset=digits", "--data_dir=a", code=2)
    assert "does not apply to digits" in refused
    tree.python(
        *("-c", "import zoo; zoo.create_model('vae', dataset='digits', width=0.06, latent_size=3)")
    )
    assert tree.changed == tree.written


@adding("likelihood")
def test_a_likelihood(tree, tmp_path):
    name = "discretized_logistic"
    assert re.search(rf"--likelihood: <[^>]*\|{name}>", tree.help("train"))
    tests = ("test_likelihoods.py", "test_portable.py")
    passed = tree.passes(*(f"tests/distributions/{test}" for test in tests), "-k", name)
    assert len(passed) > 10 and {test for test in tests if any(test in p for p in passed)} == {
        *tests
    }
    assert tree.passes("tests/models/test_contract.py", "-k", f"vae and {name}")
    for model in ("vae", "aae", "adversarial_vb"):
        run = tmp_path / model
        chosen = (f"--run_dir={run}", f"--model={model}", f"--likelihood={name}", *TWO_STEPS)
        tree.program("train", *chosen)
    run = tmp_path / "vae"
    tree.program("evaluate", f"--run_dir={run}", "--metrics=elbo", "--num_samples=20")
    records = json.loads((run / "evaluation.json").read_text())["records"]
    values = {record["metric"]: record["value"] for record in records}
    bits = -values["elbo"] / (28 * 28 * 3 * math.log(2))
    assert values["bits_per_dim"] == pytest.approx(bits) and bits > 0
    formats = "--format=saved_model,tflite"
    tree.program("export", f"--run_dir={run}", f"--output={tmp_path}", "--name=served", formats)
    card = json.loads((tmp_path / "served/1/assets/model_card.json").read_text())
    assert card["likelihood"] == name and "elbo_noise" in card["portable"]["functions"]
    assert tree.changed == tree.written


@adding("network family")
def test_a_network_family(tree, tmp_path, rng):
    assert re.search(r"--network: <[^>]*\|mlp>", tree.help("train"))
    tree.passes("tests/networks/test_architectures.py")
    passed = tree.passes("tests/models/test_contract.py", "-k", "mlp")
    assert {p.split("[")[1] for p in passed} == {
        f"{model}-network=mlp]" for model in ("vae", "dcgan", "aae", "adversarial_vb")
    }
    tree.program("train", f"--run_dir={tmp_path / 'asked'}", "--network=mlp", *TWO_STEPS)
    photos = tmp_path / "photos"
    photos.mkdir()
    for i in range(20):
        pixels = rng.integers(0, 256, (20, 20, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(photos / f"{i}.png")
    small = (f"--run_dir={tmp_path / 'small'}", "--dataset=folder", f"--data_dir={photos}")
    small = (*small, "--network=mlp", *TWO_STEPS)
    refused = tree.program("train", *small, "--image_size=64", code=2)
    assert "no networks of mlp for images of the shape [64, 64, 3]" in refused
    tree.program("train", *small, "--image_size=16")
    for run, side in (("asked", 28), ("small", 16)):
        config = json.loads((tmp_path / run / "config.json").read_text())
        assert config["model"]["network"] == "mlp" and config["image_shape"] == [side, side, 3]
    assert tree.changed == tree.written
