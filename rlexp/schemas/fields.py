"""Field helpers for schemas: every value comes from YAML, every range is checked with its name."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

from rlexp.errors import UserError, did_you_mean

MISSING: Any = "???"  # omegaconf.MISSING, without importing omegaconf
LARGEST = 2**63 - 1  # what steps, rows and capacities are counted in: int64


def key(check: Callable[[Any], None] | None = None, **metadata: Any) -> Any:
    """A config key whose value YAML must give. `check` raises ValueError on a bad value."""
    return dataclasses.field(default=MISSING, metadata={"check": check, **metadata})


def fixed() -> Any:
    """A key that shapes what a checkpoint holds: a run can't be resumed with another value."""
    return key(fixed=True)


def number(
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    infinite: bool = False,
) -> Any:
    """A number in low..high (both allowed), or greater than `above`; None passes.

    NaN never does, infinity only with `infinite`: null is how a limit is switched off.
    """

    def check(value: Any) -> None:
        if value is None:
            return
        if math.isnan(value) or (math.isinf(value) and not infinite):
            raise ValueError("must be a finite number")
        if low is not None and value < low:
            raise ValueError(f"must be at least {low:g}")
        if high is not None and value > high:
            raise ValueError(f"must be at most {high:g}")
        if above is not None and not value > above:
            raise ValueError(f"must be greater than {above:g}")
        if isinstance(value, int) and abs(value) > LARGEST:
            raise ValueError(f"must be at most {LARGEST:,}")

    return key(check)


def units() -> Any:
    """Units of each hidden layer, a list that may be empty; it shapes what a checkpoint holds."""

    def check(value: Any) -> None:
        if any(not 1 <= units <= LARGEST for units in value or []):
            raise ValueError("must be units of each layer, at least 1, such as [64, 64]")

    return key(check, fixed=True)


def finite(values: Any) -> bool:
    """Return whether a list holds neither NaN nor infinity."""
    return all(math.isfinite(value) for value in values)


def choice(
    *options: str,
    fixed: bool = False,
    asks: dict[str, str] | None = None,
    sees: dict[str, str] | None = None,
) -> Any:
    """One of a few words; `fixed` as in fixed().

    `asks`: an option to what the environment must offer for it (types.OFFERS). `sees`: an option to
    the one kind of observations that it works with (types.Needs).
    """

    def check(value: Any) -> None:
        if value not in options:
            raise ValueError(
                f"is not one of {', '.join(options)}.{did_you_mean(str(value), options)}"
            )

    return key(check, options=options, fixed=fixed, asks=asks or {}, sees=sees or {})


def cadence(zero: bool = False) -> Any:
    """Steps (1000), episodes ("10ep") or null for never; 0 where `zero` is allowed."""

    def check(value: Any) -> None:
        if value is None or (zero and str(value) == "0"):
            return
        from rlexp.clock import parse_every

        parse_every(value)

    return key(check)


def validate(node: Any, path: str = "") -> None:
    """Check every field of a dataclass tree; UserError names the key of the first bad value."""
    for f in dataclasses.fields(node):
        value = getattr(node, f.name)
        name = f"{path}.{f.name}" if path else f.name
        if isinstance(value, str) and value == MISSING:  # taken out on the command line: ~seed
            raise UserError(f"{name} needs a value: write {name}=…")
        if _holds_nan(value):
            raise UserError(f"{name}={_show(value)} must be a finite number")
        check = f.metadata.get("check")
        if check is not None:
            try:
                check(value)
            except ValueError as ex:
                # Of a part with keys of its own, the reason names the key.
                where = f"{name}." if dataclasses.is_dataclass(value) else f"{name}={_show(value)} "
                raise UserError(f"{where}{ex}") from None
        if dataclasses.is_dataclass(value):
            validate(value, name)
        elif isinstance(value, dict):
            for k, v in value.items():
                if dataclasses.is_dataclass(v):
                    validate(v, f"{name}.{k}")


def _holds_nan(value: Any) -> bool:
    """Return whether a value is NaN, or a list with one; a dict's keys are the user's own."""
    if isinstance(value, list):
        return any(map(_holds_nan, value))
    return isinstance(value, float) and math.isnan(value)


def _show(value: Any) -> str:
    return "null" if value is None else str(value)
