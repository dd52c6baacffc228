"""Registries: named modules of one protocol, built-in ones first, and those of other people's packages by entry point.

Each registry is a dictionary in a module of its own, where mypy checks every built-in member at its line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar

from batchflow.errors import UsageError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Registry(Generic[T]):
    """The members of one protocol by name. group: of the entry points; noun: one member, in error texts.

    protocol: what a member has to have. plural: all members, in error texts; more: what else a name may be.
    """

    group: str
    noun: str
    members: Mapping[str, T]
    protocol: Any
    plural: str
    more: str = ""

    def names(self) -> tuple[str, ...]:
        """All names, built-in ones first."""
        return tuple(dict.fromkeys((*self.members, *sorted(point.name for point in entry_points(group=self.group)))))

    def get(self, name: str) -> T:
        """The member of that name. Raises UsageError that names the nearest one, or says why one cannot be loaded."""
        if name in self.members:
            return self.members[name]
        for point in entry_points(group=self.group, name=name):
            return self._loaded(point)
        raise UsageError(
            f"no {self.noun} is called {name!r}", hint=nearest(name, self.names(), self.plural) + self.more
        )

    def _loaded(self, point: EntryPoint) -> T:
        where = f"{self.noun} {point.name} ({point.value})"
        try:
            member: T = point.load()
        except Exception as error:  # noqa: BLE001 - somebody else's module
            raise UsageError(f"{where} cannot be loaded: {error}", hint="mend its package, or uninstall it") from None
        if lacking := [name for name in vars(self.protocol) if not name.startswith("_") and not hasattr(member, name)]:
            raise UsageError(f"{where} has no {', '.join(lacking)}", hint=f"see {self.protocol.__module__}")
        return member


def nearest(name: str, names: tuple[str, ...], plural: str) -> str:
    """A hint for a name that is not known: the nearest one, if any is near, and all.

    >>> nearest("boxd", ("boxed", "regex"), "extractors")
    'boxed is the nearest; extractors: boxed, regex'
    """
    near = get_close_matches(name, names, n=1)
    meant = f"{near[0]} is the nearest; " if near else ""
    return f"{meant}{plural}: {', '.join(names)}"
