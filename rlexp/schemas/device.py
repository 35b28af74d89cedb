"""Schema of the device group. Meanings stand in conf/device/*.yaml, above each key."""

from __future__ import annotations

from dataclasses import dataclass

from rlexp.registry import register
from rlexp.schemas.fields import choice, number


@register("device", "auto", "cpu", "cuda", "mps", impl="rlexp.device:Device")
@dataclass
class DeviceConfig:
    name: str = choice("auto", "cpu", "cuda", "mps")
    threads: int | None = number(low=1)
