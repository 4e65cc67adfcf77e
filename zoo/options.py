"""Options that a part of the zoo declares beside its equations, read without importing it.

A model, likelihood, posterior or metric states its settings as a literal,

    options = (Option("critic_updates", 5, "Updates of the critic per update.", above=0),)

from which its flag, the field of its configuration and that field's validation follow. Parts import
TensorFlow, which takes seconds, and `--help` does not have them: the declarations are read from the
source.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from zoo.settings import Checked, setting

_ROOT = Path(__file__).parent.parent

_Class = TypeVar("_Class", bound=type)


@dataclasses.dataclass(frozen=True)
class Option:
    """A setting that only some parts have.

    Attributes:
        name: of the field and the flag.
        default: what the part that declares it takes where nothing is said.
        help: one sentence for `--help`.
        kind: "bool", "int", "float" or "str"; that of the default where it is left out.
        choices: accepted strings.
        above: exclusive lower bound of a number.
        at_least: inclusive lower bound of a number.
        at_most: inclusive upper bound of a number.
    """

    name: str
    default: Any
    help: str
    kind: str = ""
    choices: tuple[str, ...] | None = None
    above: float | None = None
    at_least: float | None = None
    at_most: float | None = None

    def __post_init__(self) -> None:
        if not self.kind:
            object.__setattr__(self, "kind", type(self.default).__name__)

    def agrees_with(self, other: Option) -> bool:
        """Whether both are one setting, whatever their defaults."""
        return dataclasses.replace(self, default=None) == dataclasses.replace(other, default=None)


class Declared(Checked):
    """A configuration that `declares` adds fields to."""

    if TYPE_CHECKING:  # the fields are known once the parts are read

        def __getattr__(self, name: str) -> Any: ...


def options_of(part: str) -> tuple[Option, ...]:
    """What the class of this dotted path declares, its own or inherited.

    Raises:
        ValueError: the declaration cannot be read from the source: it has to be a tuple of `Option`
            calls with literal arguments, of names of such, and of `*Class.options`.
    """
    module, name = part.rsplit(".", 1)
    return _Source.of(module).options(name)


def summary_of(part: str) -> str:
    """The first line of what the class or function of this dotted path says of itself."""
    module, name = part.rsplit(".", 1)
    for node in _Source.of(module).tree.body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and node.name == name:
            return (ast.get_docstring(node) or "").partition("\n")[0]
    return ""


def declares(*tables: Mapping[str, str], keep_defaults: bool = False) -> Callable[[_Class], _Class]:
    """Gives a `Declared`, which is to become a dataclass, one field per option of these parts.

    Args:
        *tables: of `zoo.registry`, with the parts.
        keep_defaults: the field has the option's default; else None, for "the part's own".

    Raises:
        ValueError: two parts declare one name as two different settings.
    """
    found: dict[str, tuple[Option, dict[str, Any]]] = {}
    for table in tables:
        for name, part in table.items():
            for option in options_of(part):
                first, owners = found.setdefault(option.name, (option, {}))
                if not first.agrees_with(option):
                    raise ValueError(f"{part} declares {option.name} unlike {', '.join(owners)}")
                owners[name] = option.default

    def add_fields(cls: _Class) -> _Class:
        for name, (option, owners) in found.items():
            default = option.default if keep_defaults else None
            cls.__annotations__[name] = option.kind + (" | None" if default is None else "")
            field = setting(
                default,
                f"{option.help.rstrip('.')} {_owners(owners)}.",
                choices=option.choices,
                above=option.above,
                at_least=option.at_least,
                at_most=option.at_most,
            )
            setattr(cls, name, field)
        return cls

    return add_fields


def _owners(defaults: Mapping[str, Any]) -> str:
    """Which parts have an option, and its default there, as (aae, vgh: 1000)."""
    groups: dict[str, list[str]] = {}
    for part, default in defaults.items():
        shown = str(default).lower() if isinstance(default, bool) else f"{default}"
        groups.setdefault("" if default is None else f": {shown}", []).append(part)
    return f"({'; '.join(', '.join(parts) + shown for shown, parts in groups.items())})"


class _Source:
    """A module as its author wrote it."""

    def __init__(self, module: str):
        file = _ROOT.joinpath(*module.split(".")).with_suffix(".py")
        self.module, self.tree = module, ast.parse(file.read_bytes(), str(file))

    @classmethod
    @functools.cache
    def of(cls, module: str) -> _Source:
        return cls(module)

    def options(self, name: str) -> tuple[Option, ...]:
        """Those of a class of this module, or of the one of ours that it comes from."""
        for node in self.tree.body:
            if (source := self._origin(node, name)) is not None:
                return source.options(name)
            if isinstance(node, ast.ClassDef) and node.name == name:
                for statement in node.body:
                    value = _assigned(statement, "options")
                    if value is not None:
                        return self._tuple(value)
                bases = [b.id for b in node.bases if isinstance(b, ast.Name)]
                inherited = [self.options(base) for base in bases]
                return next(filter(None, inherited), ())
        return ()  # a base that is not ours has none

    def _origin(self, node: ast.stmt, name: str) -> _Source | None:
        """The module of the zoo from which this statement imports a name, if it does."""
        match node:
            case ast.ImportFrom(module=str(module), names=names) if module.startswith("zoo."):
                if any(alias.name == name for alias in names):
                    return _Source.of(module)
        return None

    def _tuple(self, node: ast.expr) -> tuple[Option, ...]:
        if not isinstance(node, ast.Tuple):
            self._refuse(node)
        found: list[Option] = []
        for element in node.elts:
            match element:
                case ast.Starred(value=ast.Attribute(value=ast.Name(id=base), attr="options")):
                    found += self.options(base)
                case ast.Name(id=name):
                    found.append(self._named(name, element))
                case _:
                    found.append(self._option(element))
        return tuple(found)

    def _named(self, name: str, node: ast.expr) -> Option:
        """The `Option` that a name stands for, in this module or in the one it comes from."""
        for statement in self.tree.body:
            if (source := self._origin(statement, name)) is not None:
                return source._named(name, node)
            match statement:
                case ast.Assign(targets=[ast.Name(id=target)]) if target == name:
                    return self._option(statement.value)
        return self._refuse(node)

    def _option(self, node: ast.expr) -> Option:
        match node:
            case ast.Call(func=ast.Name(id="Option")):
                try:
                    arguments = [ast.literal_eval(a) for a in node.args]
                    return Option(
                        *arguments, **{str(k.arg): ast.literal_eval(k.value) for k in node.keywords}
                    )
                except ValueError:
                    pass
        return self._refuse(node)

    def _refuse(self, node: ast.expr) -> NoReturn:
        raise ValueError(
            f"{self.module}, line {node.lineno}: `options` must be a tuple of Option(...) with "
            "literal arguments, of names of such, and of *Class.options"
        )


def _assigned(statement: ast.stmt, name: str) -> ast.expr | None:
    """What a statement assigns to a name, if it does."""
    match statement:
        case ast.Assign(targets=targets, value=value):
            pass
        case ast.AnnAssign(target=target, value=ast.expr() as value):
            targets = [target]
        case _:
            return None
    return value if any(isinstance(t, ast.Name) and t.id == name for t in targets) else None
