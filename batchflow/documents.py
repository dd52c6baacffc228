"""Files that people declare things in: TOML or YAML, with every unknown key and wrong type told by file and line."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchflow.errors import UsageError
from batchflow.records import Json
from batchflow.registries import nearest

ENDINGS = (".toml", ".yaml", ".yml")
_WORDS = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "a table",
}


@dataclass(frozen=True, slots=True)
class Table:
    """One table of a file. keys: those that lead to it."""

    path: Path
    text: str
    values: Json
    keys: tuple[str, ...] = ()

    def where(self, *keys: str) -> str:
        """The place of a key, for errors: file, line as far as it can be told, and key."""
        line = _line(self.text, (*self.keys, *keys))
        name = ".".join((*self.keys, *keys))
        return f"{self.path}{f', line {line}' if line else ''}{f', key {name}' if name else ''}"

    def known(self, *keys: str) -> None:
        """Refuse all other keys. Raises UsageError that names the nearest one."""
        for key in self.values:
            if key not in keys:
                raise UsageError(f"{self.where(str(key))}: there is no such key", hint=nearest(str(key), keys, "keys"))

    def get(self, key: str, kind: type[Any], default: Any = None) -> Any:
        """The value of a key, which has this type. Raises UsageError."""
        value = self.values.get(key)
        if value is None:
            return default
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            return float(value)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            is_word = kind is str and isinstance(value, bool | int | float)
            raise UsageError(
                f"{self.where(key)}: {_WORDS[kind]} is expected, not {value!r:.60}",
                hint="put it in quotes" if is_word else "see docs/tasks.md",
            )
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """The texts of a list; one text is a list of its own. Raises UsageError."""
        value = self.values.get(key)
        listed = [value] if isinstance(value, str) else self.get(key, list, [])
        if wrong := [one for one in listed if not isinstance(one, str)]:
            raise UsageError(f"{self.where(key)}: texts are expected, not {wrong[0]!r:.60}", hint="put it in quotes")
        return tuple(listed)

    def needed(self, key: str) -> str:
        """The text of a key that has to be there. Raises UsageError."""
        value = self.get(key, str)
        if not value:
            raise UsageError(f"{self.where()}: the key {key} is missing")
        return str(value)

    def table(self, key: str) -> Table:
        """A table in it, empty where there is none. Raises UsageError."""
        return Table(self.path, self.text, self.get(key, dict, {}), (*self.keys, key))


def read(path: Path) -> Table:
    """The whole of a file. Raises UsageError for one that cannot be read, with the line where it tells."""
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read ({error})") from None
    values = _yaml(path, text) if path.suffix.lower() in {".yaml", ".yml"} else _toml(path, text)
    if not isinstance(values, dict):
        raise UsageError(f"{path}: keys with values are expected, not {type(values).__name__}")
    return Table(path, text, values)


def _toml(path: Path, text: str) -> Any:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path}: not TOML ({error})", hint="https://toml.io has the syntax") from None


def _yaml(path: Path, text: str) -> Any:
    import yaml

    class Loader(yaml.SafeLoader):
        """Refuses a key that is there twice, of which the library takes the last in silence."""

        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
            seen: set[Any] = set()
            for key, _ in node.value:
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(None, None, f"{key.value} is there twice", key.start_mark)
                seen.add(key.value)
            return dict(super().construct_mapping(node, deep))

    try:
        return yaml.load(text, Loader)  # noqa: S506 - a safe loader
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark is not None else ""
        raise UsageError(
            f"{path}{line}: not YAML ({getattr(error, 'problem', None) or type(error).__name__})"
        ) from None


def _line(text: str, keys: tuple[str, ...]) -> int | None:
    """The line where a key stands, behind those that lead to it; None where it cannot be told."""
    place = 0
    for key in keys:
        word = re.escape(key)
        pattern = rf"""^[ \t-]*(?:\[+\s*(?:[\w"'-]+\s*\.\s*)*["']?{word}["']?\s*\]|["']?{word}["']?\s*[:=])"""
        match = re.compile(pattern, re.MULTILINE).search(text, place)
        if match is None:  # an inline table
            match = re.compile(rf"[{{,]\s*[\"']?{word}[\"']?\s*[:=]").search(text, place)
        if match is None:
            return None
        place = match.start() if keys[-1] == key else match.end()
    return text.count("\n", 0, place) + 1 if keys else None


def is_document(name: str) -> bool:
    """Tells whether a word names such a file."""
    return name.lower().endswith(ENDINGS)


def merged(values: Mapping[str, Any]) -> Json:
    """The values that are there: what a record keeps."""
    return {key: value for key, value in values.items() if value not in (None, (), [], {}, "")}
