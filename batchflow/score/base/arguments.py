"""Checks of what callers of the library pass in: a value that cannot be computed with never becomes a number."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from batchflow.errors import ArgumentError

FloatArray = npt.NDArray[np.float64]


def numbers(
    name: str, values: Any, *, low: float = 0.0, high: float = 1.0, size: int | None = None, dims: int = 1
) -> FloatArray:
    """The values as float64, all from low to high. Raises ArgumentError with the argument's name.

    size: how many values there have to be along the last axis, where that is known.
    """
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise ArgumentError(f"{name}: these are not numbers: {values!r:.60}") from None
    shaped(name, array, size=size, dims=dims)
    bad = ~((array >= low) & (array <= high))
    if bad.any():
        where = tuple(int(axis) for axis in np.argwhere(bad)[0])
        at = where[0] if dims == 1 else where
        raise ArgumentError(f"{name}: item value {array[where]} at position {at} lies outside {low:g}..{high:g}")
    return array


def shaped(name: str, values: Any, *, size: int | None = None, dims: int = 1) -> None:
    """Raise ArgumentError for an array of other dimensions, or another length of the last one."""
    if values.ndim != dims:
        raise ArgumentError(f"{name}: an array of {dims} dimension{'s' * (dims > 1)} is needed, not of {values.ndim}")
    if size is not None and values.shape[-1] != size:
        raise ArgumentError(f"{name}: {values.shape[-1]} values, and {size} are needed")


def one_of(name: str, values: Any, codes: Sequence[int], *, dims: int, meaning: str) -> None:
    """Raise ArgumentError for an array of other dimensions, and for a value that is none of these codes."""
    array = np.asarray(values)
    shaped(name, array, dims=dims)
    bad = ~among(array, codes)
    if bad.any():
        where = np.argwhere(bad)[0]
        raise ArgumentError(f"{name}: {array[tuple(where)]} at position {where.tolist()} is not {meaning}")


def among(array: npt.NDArray[Any], codes: Sequence[int]) -> npt.NDArray[np.bool_]:
    """Tells of each value whether it is one of some codes."""
    low, high = min(codes), max(codes)
    if array.dtype.kind == "i" and high - low == len(codes) - 1:  # no gaps, so that the ends tell
        return (array >= low) & (array <= high)
    return np.isin(array, codes)


def are_distinct(names: Sequence[Hashable]) -> bool:
    """Tells whether names all differ, in eight bytes for each; False may mean that they only seem not to."""
    hashes = np.fromiter(map(hash, names), dtype=np.int64, count=len(names))
    hashes.sort()
    return not bool((hashes[1:] == hashes[:-1]).any())


def positive(name: str, value: float, *, zero: bool = False) -> float:
    """The value, a finite number above 0, or 0 where that is allowed. Raises ArgumentError."""
    if not math.isfinite(value) or value < 0 or (value == 0 and not zero):
        raise ArgumentError(f"{name} is {value:g}, it has to be {'0 or more' if zero else 'more than 0'}")
    return value


def label(value: Hashable, name: str, position: int) -> Hashable:
    """The label as groups are told apart: 1, 1.0 and "1" are one, true is not 1. Raises ArgumentError for nan."""
    if value is None:
        return None
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, float | np.floating):
        if math.isnan(value):
            raise ArgumentError(
                f"{name}: nan at position {position} is no label", hint="None stands for a group of its own"
            )
        return str(int(value)) if float(value).is_integer() else repr(float(value))
    if isinstance(value, int | np.integer):
        return str(int(value))
    return value
