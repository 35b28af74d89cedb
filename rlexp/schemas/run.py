"""The schema of a whole run: the root of every composed config (conf/train.yaml)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from rlexp.schemas.agent import AgentConfig
from rlexp.schemas.buffer import BufferConfig
from rlexp.schemas.device import DeviceConfig
from rlexp.schemas.dreamer import DreamerConfig  # noqa: F401  # its name, in the registry
from rlexp.schemas.env import EnvConfig
from rlexp.schemas.fields import MISSING, cadence, choice, key, number
from rlexp.schemas.logger import LoggerConfig


@dataclass
class EvaluationConfig:
    every: int | str | None = cadence()
    episodes: int = number(low=1)
    max_steps: int | None = number(low=1)
    sampled: bool = MISSING
    gif: bool = MISSING
    mp4: bool = MISSING


@dataclass
class CheckpointConfig:
    every: int | str | None = cadence()
    keep: int = number(low=1)
    archive_every: int | str | None = cadence()


@dataclass
class SelfPlayConfig:
    enabled: bool = MISSING
    save_every: int | str | None = cadence()
    swap_every: int | str | None = cadence()
    window: int = number(low=1)
    latest_ratio: float = number(low=0, high=1)
    scripted: list[str] = MISSING
    scripted_share: float = number(low=0, high=1)
    random_until: int | str | None = cadence()
    members: list[str] = MISSING
    greedy_rivals: bool = MISSING
    alternate: bool = MISSING
    both_views: bool = MISSING
    rival_sees: str = choice("own", "learner")
    rival_forgets: bool = MISSING
    evaluate: list[str] = MISSING


def _resume(value: Any) -> None:
    if value not in (None, "auto"):
        raise ValueError("must be null or auto")


@dataclass
class RunConfig:
    seed: int = number(low=0)
    total_steps: int | None = number(low=1)
    total_episodes: int | None = number(low=1)
    run_dir: str | None = MISSING
    resume: str | None = key(_resume)
    sweep_figure: str | None = MISSING
    pictures: list[str] = MISSING
    log_every: int | str | None = cadence()
    report_every: int | str | None = cadence()
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
    self_play: SelfPlayConfig = field(default_factory=SelfPlayConfig)
    env: EnvConfig = MISSING
    agent: AgentConfig = MISSING
    buffer: BufferConfig = MISSING
    device: DeviceConfig = MISSING
    logger: dict[str, LoggerConfig] = field(default_factory=dict)
    seats: dict[str, dict[str, Any]] = MISSING

    def agent_at(self, seat: str) -> AgentConfig:
        """The agent's config with what `seats` says of this seat."""
        return replace(self.agent, **self.seats.get(seat, {}))
