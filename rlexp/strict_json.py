"""JSON as the standard has it: no NaN, no Infinity, which most other readers refuse."""

from __future__ import annotations

import json
import math
from typing import Any


def dumps(value: Any, indent: int | None = None, as_text: bool = False) -> str:
    """`value` as JSON; floats that are not finite become null, or their names with `as_text`."""
    return json.dumps(_finite(value, as_text), indent=indent, allow_nan=False)


def _finite(value: Any, as_text: bool) -> Any:
    if isinstance(value, float):
        if math.isfinite(value):
            return value
        return repr(float(value)) if as_text else None
    if isinstance(value, dict):
        return {key: _finite(each, as_text) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each, as_text) for each in value]
    return value
