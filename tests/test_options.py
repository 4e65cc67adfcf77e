"""Options as they are read from the source, against those of the classes."""

import sys

import pytest

from zoo.options import Option, options_of
from zoo.registry import INSTRUMENTS, LIKELIHOODS, METRICS, MODELS, POSTERIORS, follow

PARTS = [p for t in (MODELS, INSTRUMENTS, METRICS, LIKELIHOODS, POSTERIORS) for p in t.values()]

HEAD = "from zoo.models.vae import VAE\nfrom zoo.options import Option\n\n"
OWN = 'Option("depth", 3, "How deep.", above=0)'


@pytest.fixture
def part(tmp_path, monkeypatch):
    """Writes a module `zoo.part` beside the zoo's own, and reads the options of its class."""
    monkeypatch.setattr("zoo.options._ROOT", tmp_path)
    (tmp_path / "zoo" / "models").mkdir(parents=True)
    vae = sys.modules[follow(MODELS["vae"]).__module__].__file__
    for name in ("vae", "inference", "base"):
        source = vae.replace("vae.py", f"{name}.py")
        (tmp_path / "zoo" / "models" / f"{name}.py").symlink_to(source)

    def read(name, text):
        (tmp_path / "zoo" / f"{name}.py").write_text(HEAD + text)
        return options_of(f"zoo.{name}.Part")

    return read


@pytest.mark.parametrize("path", PARTS)
def test_the_source_says_what_the_class_has(path):
    assert options_of(path) == follow(path).options


def test_options_of_a_class_of_another_file_are_inherited_and_extended(part):
    inherited, own = follow(MODELS["vae"]).options, Option("depth", 3, "How deep.", above=0)
    assert part("heir", "class Part(VAE):\n    pass\n") == inherited
    extended = f"class Part(VAE):\n    options = (*VAE.options, {OWN})\n"
    assert part("extended", extended) == (*inherited, own)
    assert part("own", f"class Part(VAE):\n    options = ({OWN},)\n") == (own,)


@pytest.mark.parametrize(
    "declared",
    ["make()", "[" + OWN + "]", '(Option("depth", max(1, 3), "How deep."),)', "(DEPTH,)"],
)
def test_what_cannot_be_read_is_refused(part, declared):
    name = f"refused_{abs(hash(declared))}"
    with pytest.raises(ValueError, match=f"zoo.{name}, line 5: `options` must be a tuple"):
        part(name, f"class Part(VAE):\n    options = {declared}\n")
