"""Options are read from the source as the parts themselves have them, and conflicts are told."""

import pytest

from zoo import options
from zoo.config import EvaluationConfig, ModelConfig
from zoo.options import Option, declares, options_of
from zoo.registry import INSTRUMENTS, LIKELIHOODS, METRICS, MODELS, POSTERIORS, follow

PARTS = {**MODELS, **INSTRUMENTS, **METRICS, **LIKELIHOODS, **POSTERIORS}


@pytest.mark.parametrize("part", PARTS.values(), ids=PARTS)
def test_the_source_says_what_the_class_has(part):
    assert options_of(part) == follow(part).options


def test_every_option_is_a_field_with_its_bounds():
    for table, config in ((MODELS, ModelConfig), (METRICS, EvaluationConfig)):
        for name, part in table.items():
            for option in options_of(part):
                field = config.__dataclass_fields__[option.name]
                assert field.type.removesuffix(" | None") == option.kind
                assert field.metadata["above"] == option.above
                assert field.metadata["choices"] == option.choices
                assert name in field.metadata["help"]


MODULE = """
from zoo.options import Option
SHARED = Option("shared", 1, "A number.", above=0)
class Base:
    options = (SHARED, Option("own", "a", "A choice.", choices=("a", "b")))
class Inherits(Base):
    pass
class Extends(Base):
    options: tuple = (*Base.options, Option("more", None, "A number.", kind="float"))
class Computed(Base):
    options = tuple(name for name in ())
class Called(Base):
    options = (Option("now", max(1, 2), "A number."),)
class Unknown(Base):
    options = (ELSEWHERE,)
"""


@pytest.fixture
def module(monkeypatch, tmp_path):
    (tmp_path / "zoo").mkdir()
    (tmp_path / "zoo" / "part.py").write_text(MODULE)
    monkeypatch.setattr(options, "_ROOT", tmp_path)
    options._Source.of.cache_clear()
    yield
    options._Source.of.cache_clear()


def test_names_bases_and_literals_are_followed(module):
    names = [option.name for option in options_of("zoo.part.Extends")]
    assert names == ["shared", "own", "more"]
    assert options_of("zoo.part.Inherits") == options_of("zoo.part.Base")
    assert options_of("zoo.part.Base")[0] == Option("shared", 1, "A number.", above=0)


@pytest.mark.parametrize("name", ["Computed", "Called", "Unknown"])
def test_what_cannot_be_read_is_refused_by_line(module, name):
    with pytest.raises(
        ValueError, match=r"zoo.part, line \d+: `options` must be a tuple of Option"
    ):
        options_of(f"zoo.part.{name}")


def test_one_name_is_one_setting(module, tmp_path):
    (tmp_path / "other.py").write_text(
        "class Other:\n    options = (Option('shared', 2.0, 'Another number.'),)\n"
    )
    with pytest.raises(ValueError, match="other.Other declares shared unlike base"):
        declares({"base": "zoo.part.Base", "other": "other.Other"})


def test_fields_have_their_defaults_or_none(module):
    table = {"base": "zoo.part.Base", "extends": "zoo.part.Extends"}
    for keep in (False, True):
        cls = declares(table, keep_defaults=keep)(type("Config", (), {"__annotations__": {}}))
        assert cls.__annotations__["own"] == ("str" if keep else "str | None")
        assert cls.own.default == ("a" if keep else None)
        assert cls.own.metadata["help"] == "A choice (base, extends: a)."


def test_a_base_of_another_file_is_followed(module, tmp_path):
    (tmp_path / "zoo" / "far.py").write_text(
        "from zoo.options import Option\nfrom zoo.part import Base\n"
        "class Heir(Base):\n    pass\n"
        "class Far(Base):\n    options = (*Base.options, Option('more', True, 'Whether.'))\n"
    )
    assert options_of("zoo.far.Heir") == options_of("zoo.part.Base")
    assert [option.name for option in options_of("zoo.far.Far")] == ["shared", "own", "more"]
