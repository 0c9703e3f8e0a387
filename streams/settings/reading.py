"""From nested text and tables to a tree of frozen classes, with everything that is wrong said at once.

It knows how to read any tree of msgspec Structs whose fields carry a description; which keys there are and how they may
contradict each other is `settings.py`'s business. A problem is a `SettingsError` that names the key.
"""

import re
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from difflib import get_close_matches
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, Union, get_args, get_origin

import msgspec
from msgspec import NODEFAULT, Struct

from schemas.errors import SettingsError

PREFIX = "MAITRED_"
SECTION_MARK = "__"
SECRET = ("copy.security", "kafka.security", "redis.url", "webhook.url")  # may hold passwords

Hint = Any  # a type as it stands behind a field: no class of Python's covers int, Literal and Annotated
Table = dict[str, Any]  # as TOML gives it; nothing is known of the values yet
Tree = TypeVar("Tree", bound=Struct)
_origin: Callable[[Hint], Any] = get_origin  # typed so narrowly that mypy takes our questions for answered


class Key(NamedTuple):
    """A key as it is documented. `name` has its sections: `kafka.bootstrap`."""

    name: str
    hint: Hint
    default: Any  # whatever the field's type is
    description: str

    @property
    def variable(self) -> str:
        return PREFIX + self.name.replace(".", SECTION_MARK).upper()


# ---- what there is -------------------------------------------------------------------------------------------------


def keys_of(tree: type[Struct], section: str = "") -> Iterator[Key]:
    """All keys of a tree, sections unfolded, in the order in which they are written down."""
    for field in msgspec.structs.fields(tree):
        if is_section(field.type):
            yield from keys_of(field.type, f"{section}{field.name}.")
        else:
            yield Key(section + field.name, field.type, _default(field), description_of(field.type))


def is_section(hint: Hint) -> bool:
    return isinstance(hint, type) and issubclass(hint, Struct)


def rows_of(hint: Hint) -> type[Struct] | None:
    """The class of a list of tables, such as `[[tiers]]`."""
    inner = plain(hint)
    if _origin(inner) is tuple and is_section(get_args(inner)[0]):
        return get_args(inner)[0]  # type: ignore[no-any-return]  # is_section has looked
    return None


def description_of(hint: Hint) -> str:
    return next((m.description for m in _constraints(hint) if m.description), "")


def plain(hint: Hint) -> Hint:
    """The type without its annotations, and without None where it is optional."""
    if _origin(hint) is Annotated:
        return plain(get_args(hint)[0])
    if _origin(hint) in (Union, types.UnionType):
        return plain(next(part for part in get_args(hint) if part is not type(None)))
    return hint


def is_optional(hint: Hint) -> bool:
    inner = get_args(hint)[0] if _origin(hint) is Annotated else hint
    return type(None) in get_args(inner)


def expected(hint: Hint) -> str:
    """What a value of this type looks like, in words.

    >>> expected(Annotated[int, msgspec.Meta(ge=1)]), expected(tuple[Literal["a", "b"], ...])
    ('a whole number, at least 1', 'a list, each "a" or "b"')
    """
    words = _words(plain(hint))
    for limits in _constraints(hint):
        words += "".join(f", {text} {value}" for text, value in _limits(limits) if value is not None)
    return re.sub(r"length at least 1\b", "not empty", words)


def _words(inner: Hint) -> str:
    origin = _origin(inner)
    if origin is Literal:
        return " or ".join(f'"{word}"' if isinstance(word, str) else str(word) for word in get_args(inner))
    if is_section(inner):
        return "a table"
    if origin is tuple:
        return f"a list, each {expected(get_args(inner)[0])}"
    if origin is dict:
        return f"a table, each value {expected(get_args(inner)[1])}"
    return {
        int: "a whole number",
        float: "a number",
        bool: "true or false",
        date: "a date such as 2011-03-01",
    }.get(inner, "text")


def _limits(limits: msgspec.Meta) -> tuple[tuple[str, Any], ...]:
    return (
        ("at least", limits.ge),
        ("more than", limits.gt),
        ("at most", limits.le),
        ("less than", limits.lt),
        ("length at least", limits.min_length),
        ("length at most", limits.max_length),
        ("matching", limits.pattern),
    )


def _constraints(hint: Hint) -> Iterator[msgspec.Meta]:
    if _origin(hint) is Annotated:
        yield from (meta for meta in hint.__metadata__ if isinstance(meta, msgspec.Meta))
        yield from _constraints(get_args(hint)[0])
    elif _origin(hint) in (Union, types.UnionType):
        for part in get_args(hint):
            yield from _constraints(part)


def _default(field: msgspec.structs.FieldInfo) -> Any:
    if field.default_factory is not NODEFAULT:
        return field.default_factory()
    return None if field.default is NODEFAULT else field.default


# ---- environment variables -----------------------------------------------------------------------------------------


def overlay(
    raw: Table, tree: type[Struct], environment: Mapping[str, str], others: Sequence[str]
) -> Iterator[SettingsError]:
    """Put what the environment says over the file's `raw` values; gives the variables that name no key.

    `others` are variables with our prefix that are no settings.
    """
    variables = {key.variable: key for key in keys_of(tree)}
    for name in sorted(n for n in environment if n.startswith(PREFIX) and n not in others):
        if (key := variables.get(name)) is None:
            cure = _did_you_mean(name, variables) or "unset it"
            yield SettingsError(name, "the name of a key", name, cure)
        else:
            _put(raw, key.name.split("."), _from_text(environment[name], key.hint))


def _put(raw: Table, path: Sequence[str], value: Any) -> None:
    for section in path[:-1]:
        if not isinstance(raw.get(section), dict):
            raw[section] = {}
        raw = raw[section]
    raw[path[-1]] = value


def _from_text(text: str, hint: Hint) -> Any:
    """A variable's text as the value it stands for: lists and tables are written as JSON."""
    if not text and is_optional(hint):
        return None
    if plain(hint) is str or plain(hint) is date or _origin(plain(hint)) is Literal:
        return text
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text


# ---- reading -------------------------------------------------------------------------------------------------------


class Reader:
    """Reads tables into classes and gathers what is wrong. `origin` says where a key was set, for the cure."""

    def __init__(self, file: str, environment: Mapping[str, str]) -> None:
        self._file, self._environment = file, environment
        self.problems: list[SettingsError] = []

    def read(self, tree: type[Tree], raw: Table, section: str = "") -> Tree:
        """The tree with what `raw` says; where that is wrong, with the default instead."""
        fields = {field.name: field for field in msgspec.structs.fields(tree)}
        values = {}
        for name, value in raw.items():
            if name not in fields:
                self._unknown(section + name, value, [section + known for known in fields])
            elif (read := self._value(fields[name].type, value, section + name)) is not NODEFAULT:
                values[name] = read
        for name, field in fields.items():
            if field.required and name not in values:
                values[name] = None  # to look further; the problem keeps the tree from being used
                if name not in raw:
                    self._wrong(section + name, expected(field.type), None)
        return tree(**values)

    def _value(self, hint: Hint, value: Any, key: str) -> Any:
        row = rows_of(hint)
        if is_section(hint) and isinstance(value, dict):
            return self.read(hint, value, f"{key}.")
        if row is not None and isinstance(value, list) and all(isinstance(item, dict) for item in value):
            return tuple(self.read(row, item, f"{key}[{number}].") for number, item in enumerate(value))
        try:
            return msgspec.convert(value, hint)
        except msgspec.ValidationError:
            self._wrong(key, expected(hint), value)
            return NODEFAULT

    def _wrong(self, key: str, words: str, got: object) -> None:
        shown = "***" if key.startswith(SECRET) else got
        self.problems.append(SettingsError(key, words, shown, self.cure(key)))

    def _unknown(self, key: str, got: object, known: Sequence[str]) -> None:
        cure = _did_you_mean(key, known) or f"remove it; there are {', '.join(known)}"
        self.problems.append(SettingsError(key, "a known key", got, cure))

    def cure(self, key: str) -> str:
        variable = Key(key, str, None, "").variable
        if variable in self._environment:
            return f"change the environment variable {variable}"
        return f"change it in {self._file}"


def _did_you_mean(name: str, known: Sequence[str] | Mapping[str, object]) -> str:
    near = get_close_matches(name, list(known), n=1)
    return f"did you mean {near[0]}?" if near else ""
