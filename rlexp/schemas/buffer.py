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


@register("buffer", "auto", impl="rlexp.build:buffer_auto")
@dataclass
class AutoBufferConfig(BufferConfig):
    pass


@register("buffer", "replay", impl="rlexp.buffers.replay:ReplayBuffer")
@dataclass
class ReplayConfig(BufferConfig):
    pass


@register("buffer", "frames", impl="rlexp.buffers.frames:FrameBuffer")
@dataclass
class FramesConfig(BufferConfig):
    pass


@register("buffer", "sequence", impl="rlexp.buffers.sequence:SequenceBuffer")
@dataclass
class SequenceConfig(BufferConfig):
    recent_share: float = number(low=0, high=1)
    recent: int = number(low=1)
