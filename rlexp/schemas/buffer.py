"""Schemas of buffers. Meanings stand in conf/buffer/*.yaml, above each key."""

from __future__ import annotations

from dataclasses import dataclass

from rlexp.registry import register
from rlexp.schemas.fields import MISSING, choice, number


@dataclass
class BufferConfig:
    """What every buffer has."""

    name: str = MISSING
    capacity: int = number(low=1)
    storage: str = choice("memory", "disk")


@dataclass
class PriorityConfig(BufferConfig):
    """What buffers of single moves have."""

    priority_alpha: float = number(low=0, high=1)
    priority_beta: float = number(low=0, high=1)
    priority_beta_steps: int | None = number(low=1)
    priority_eps: float = number(above=0)


@register("buffer", "auto", impl="rlexp.build:buffer_auto")
@dataclass
class AutoBufferConfig(PriorityConfig):
    pass


@register("buffer", "replay", impl="rlexp.buffers.replay:ReplayBuffer")
@dataclass
class ReplayConfig(PriorityConfig):
    pass


@register("buffer", "frames", impl="rlexp.buffers.frames:FrameBuffer")
@dataclass
class FramesConfig(PriorityConfig):
    pass


@register("buffer", "sequence", impl="rlexp.buffers.sequence:SequenceBuffer")
@dataclass
class SequenceConfig(BufferConfig):
    recent_share: float = number(low=0, high=1)
    recent: int = number(low=1)
