"""Schemas of environments. Meanings stand in conf/env/*.yaml, above each key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rlexp.errors import did_you_mean
from rlexp.registry import register
from rlexp.schemas.fields import MISSING, choice, finite, fixed, key, number


def _size(value: Any) -> None:
    if value is not None and (len(value) != 2 or min(value) < 1):
        raise ValueError("must be null or [height, width]")


def _wrappers(value: Any) -> None:
    for spec in value:
        if not isinstance(spec, str) and not (isinstance(spec, dict) and "name" in spec):
            raise ValueError(
                "must be names, or mappings with a name: [TimeAwareObservation, "
                "{name: ClipReward, min_reward: -1}]"
            )


def _point(value: Any) -> None:
    if len(value) != 2 or not finite(value):
        raise ValueError("must be [x0, x1], finite numbers")


def _crop(value: Any) -> None:
    if len(value) != 2 or min(value) < 0 or sum(value) > 200:
        raise ValueError("must be [above, below] rows, 0 or more, at most 200 together")


def _back(value: Any) -> None:
    if len(value) != 2 or not 1 <= value[0] <= value[1]:
        raise ValueError("must be [fewest, most] moves, 1 or more")


def _classes(value: Any) -> None:
    counted = isinstance(value, int) and not isinstance(value, bool)
    if not counted and not isinstance(value, list):
        raise ValueError("must be a number of classes or a list of names")
    if (value if counted else len(value)) < 2:
        raise ValueError("must be two classes or more: there is nothing to tell apart in one")


@dataclass
class EnvConfig:
    """What every environment has."""

    name: str = MISSING
    num_envs: int = number(low=1)


@register("env", "gym", "cartpole", impl="rlexp.envs.gym:make")
@dataclass
class GymConfig(EnvConfig):
    id: str = MISSING
    kwargs: dict[str, Any] = MISSING
    wrappers: list[Any] = key(_wrappers)
    vectorization: str = choice("native", "thread", "process")
    workers: int | None = number(low=1)
    max_steps: int | None = number(low=1)
    pixels: bool = MISSING
    resize: list[int] | None = key(_size)
    gray: bool = MISSING
    stack: int = number(low=1)


def _camera(value: Any) -> None:
    if value is not None and (len(value) != 3 or value[0] <= 0 or not finite(value)):
        raise ValueError("must be null or [distance, yaw, pitch]: metres, and degrees twice")


@register("env", "pybullet", impl="rlexp.envs.pybullet:make")
@dataclass
class PyBulletConfig(GymConfig):
    camera: list[float] | None = key(_camera)
    oversample: int = number(low=1, high=8)


@register("env", "mario", impl="rlexp.envs.mario:make")
@dataclass
class MarioConfig(EnvConfig):
    stage: str = MISSING
    actions: str = choice("right_only", "simple", "complex")
    skip: int = number(low=1)
    observation: str = choice("pixels", "tiles")
    gray: bool = MISSING
    crop: list[int] = key(_crop)
    resize: list[int] | None = key(_size)
    stack: int = number(low=1)
    show_action: bool = MISSING
    reward: str = choice("source", "full")
    reward_scale: float = number(above=0)
    noop_max: int = number(low=0, high=30)
    retry: float = number(low=0, high=1)
    retry_back: list[int] = key(_back)
    max_steps: int | None = number(low=1)
    threads: int | None = number(low=1)


@register("env", "bandit", impl="rlexp.envs.bandit:Bandit")
@dataclass
class BanditConfig(EnvConfig):
    arms: list[float] = MISSING
    horizon: int = number(low=1)


@register("env", "catcher", impl="rlexp.envs.catcher:Catcher")
@dataclass
class CatcherConfig(EnvConfig):
    size: int = number(low=1)
    lives: int = number(low=1)
    fps: int = number(low=1)
    observation: str = choice("pixels", "state")
    resize: list[int] | None = key(_size)
    gray: bool = MISSING
    stack: int = number(low=1)
    carry_stack: bool = MISSING
    max_steps: int | None = number(low=1)


@register("env", "line", impl="rlexp.envs.supervised:line")
@dataclass
class LineConfig(EnvConfig):
    points: int = number(low=2)
    slope: float = number()
    intercept: float = number()
    noise: float = number(low=0)
    data_seed: int = number(low=0)


@register("env", "sine", impl="rlexp.envs.supervised:sine")
@dataclass
class SineConfig(EnvConfig):
    points: int = number(low=2)
    periods: float = number(above=0)
    noise: float = number(low=0)
    data_seed: int = number(low=0)


@register("env", "digits", impl="rlexp.envs.supervised:digits")
@dataclass
class DigitsConfig(EnvConfig):
    held_out_share: float = number(above=0, high=0.9)
    data_seed: int = number(low=0)


@register("env", "housing", impl="rlexp.envs.supervised:housing")
@dataclass
class HousingConfig(EnvConfig):
    data: str = choice("boston", "diabetes")
    drop: list[str] = MISSING
    held_out_share: float = number(above=0, high=0.9)
    data_seed: int = number(low=0)


@register("env", "rosenbrock", impl="rlexp.envs.rosenbrock:Rosenbrock")
@dataclass
class RosenbrockConfig(EnvConfig):
    a: float = number()
    b: float = number(above=0)
    start: list[float] = key(_point)
    max_steps: int | None = number(low=1)


@register("env", "maze", impl="rlexp.envs.maze:Maze")
@dataclass
class MazeConfig(EnvConfig):
    layout: list[str] = fixed()
    reward: str = choice("inverse", "step")
    max_steps: int | None = number(low=1)


@register("env", "gridworld", impl="rlexp.envs.gridworld:GridWorld")
@dataclass
class GridWorldConfig(EnvConfig):
    layout: list[str] = fixed()
    goal_reward: float = number()
    pit_reward: float = number()
    move_reward: float = number()
    random_start: bool = MISSING
    max_steps: int | None = number(low=1)


@register("env", "signaling", impl="rlexp.envs.signaling:make")
@dataclass
class SignalingConfig(EnvConfig):
    images: str = choice("emoji", "shapes", "digits", "cifar100")
    classes: Any = key(_classes)
    length: int = number(low=1, high=32_768)
    vocabulary: int = number(low=2, high=32_768)
    train_images: int = number(low=1)
    held_out_images: int | None = number(low=1)
    images_seed: int = number(low=0)
    flip: bool = MISSING
    shift: int = number(low=0, high=16)
    brightness: float = number(low=0, high=1)
    background: str = choice("random", "white")
    data_dir: str = MISSING
    download: bool = MISSING


def _rival(value: Any) -> None:
    names = ("random", "wait", "safe_random", "hunter")
    if value is not None and value not in names:
        raise ValueError(f"must be null or one of {', '.join(names)}.{did_you_mean(value, names)}")


def _side(value: Any) -> None:
    if value < 3 or value % 2 == 0:
        raise ValueError("must be odd, 3 at least: pillars stand at every second cell")


@register("env", "bomberman", impl="rlexp.envs.bomberman.env:make")
@dataclass
class BombermanConfig(EnvConfig):
    rival: str | None = key(_rival)
    teacher: str | None = key(_rival)
    seat: str = choice("player_0", "player_1", "alternate")
    observation: str = choice("codes", "planes", "picture")
    strip: bool = MISSING
    turned: bool = MISSING
    centred: bool = MISSING
    mask: bool = MISSING
    reward: str = choice("source", "win")
    running_score: bool = MISSING
    width: int = key(_side)
    height: int = key(_side)
    bricks: int = number(low=0)
    lives: int = number(low=1)
    bombs: int = number(low=1)
    max_bombs: int = number(low=1)
    reach: int = number(low=1)
    fuse: int = number(low=1)
    chain_at_once: bool = MISSING
    limit: int | None = number(low=1)
    limit_reward: float = number()
    hit_reward: float = number()
    hurt_reward: float = number()
    self_hit_reward: float = number()
    rival_self_hit_reward: float = number()
    brick_reward: float = number()
    last_life_reward: float = number()
    kill_reward: float = number()
    closer_reward: float = number()
    fee: float = number(low=0)
    invulnerable: int = number(low=0)
    power_ups: float = number(low=0, high=1)
