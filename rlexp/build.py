"""The only file that turns a config into objects: Class(**fields, **parts)."""

from __future__ import annotations

import dataclasses
import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from rlexp import device as devices
from rlexp import fitting, machine, registry
from rlexp.buffers.base import Storage
from rlexp.envs.base import is_image
from rlexp.errors import UserError
from rlexp.schemas.buffer import BufferConfig
from rlexp.schemas.env import EnvConfig
from rlexp.schemas.run import RunConfig
from rlexp.seeds import derive
from rlexp.teams.per_seat import PerSeat
from rlexp.teams.self_play import SelfPlay
from rlexp.teams.solo import Solo
from rlexp.types import Env, EnvSpec, Needs, Seat, Team


def fields(node: Any) -> dict[str, Any]:
    """A schema's values but those that build itself reads: arguments of what it describes."""
    ours = ("name", "init_from")
    return {f.name: getattr(node, f.name) for f in dataclasses.fields(node) if f.name not in ours}


def env(config: EnvConfig, num_envs: int | None = None, evaluation: bool = False) -> Env:
    """The environment; `num_envs` replaces the config's.

    For evaluation, one that has data of its own for it (parameter `held_out`) gives those, and one
    that trains on other games than it is judged by (parameter `evaluation`) plays those.
    """
    values = fields(config)
    if num_envs is not None:
        values["num_envs"] = num_envs
    if has_splits(config):
        values["held_out"] = evaluation
    make = registry.lookup("env", config.name).load()
    if "evaluation" in inspect.signature(make).parameters:
        values["evaluation"] = evaluation
    made: Env = make(**values)
    return made


def has_splits(config: EnvConfig) -> bool:
    """True for an environment that keeps data for evaluation which training never shows."""
    make = registry.lookup("env", config.name).load()
    return "held_out" in inspect.signature(make).parameters


@dataclass(frozen=True)
class SeatPlan:
    """The buffer that the agent of a seat will have, and its size in bytes."""

    buffer_name: str | None
    buffer_bytes: int


@dataclass(frozen=True)
class Plan:
    """What was checked before anything is made: agent's class, seats, buffers, the device.

    With `self_play` one learner is built, for the first seat; `seats` holds that alone. `stored`
    is the environment as a buffer is to see it: twice the rows where it stores both views.
    """

    spec: EnvSpec
    agent_class: Any
    seats: dict[Seat, SeatPlan]
    device: devices.Device
    self_play: bool
    stored: EnvSpec

    def __str__(self) -> str:
        names = {seat.buffer_name for seat in self.seats.values()} - {None}
        size = sum(seat.buffer_bytes for seat in self.seats.values())
        buffer = f"buffer {', '.join(map(str, names))}, {machine.human(size)}; " if names else ""
        return f"{buffer}device {self.device}"


def plan(config: RunConfig, spec: EnvSpec) -> Plan:
    """Check that agent, environment, buffer, memory and device go together; UserError if not."""
    agent_class = registry.lookup("agent", config.agent.name).load()
    needs: Needs = agent_class.needs
    folder = Path(config.run_dir or ".")
    if needs.seats == "all" and len(spec.observation_spaces) == 1:
        raise UserError(
            f"agent={config.agent.name} plays all seats of a game with several; "
            f"env={fitting.env_name(config)} has one"
        )
    fitting.check_seats(config, needs, spec)
    self_play = config.self_play.enabled
    if self_play:
        fitting.check_self_play(config, needs, spec)
    seats: dict[Seat, SeatPlan] = {}
    names = list(spec.observation_spaces)
    for seat in names[:1] if self_play else names:
        fitting.check_spaces(config, needs, spec, seat)
        name, size = fitting.buffer_name(config, needs, spec, seat), 0
        if name is not None:
            count = 1 if self_play else len(names)
            size = fitting.check_memory(config.buffer, name, spec, seat, folder, count)
        seats[seat] = SeatPlan(name, size)
    pixels = any(is_image(space) for space in spec.observation_spaces.values())
    can_shard = "shards" in _parameters(agent_class)
    device = devices.choose(
        config.device.name, config.device.threads, pixels, can_shard, needs.overlap
    )
    stored = spec
    if self_play and config.self_play.both_views:
        stored = dataclasses.replace(spec, num_envs=2 * spec.num_envs)
    return Plan(spec, agent_class, seats, device, self_play, stored)


def team(config: RunConfig, plan: Plan, folder: Path | None = None) -> Team:
    """Networks, buffers and agents, seeded. `folder` is for buffers that live on disk."""
    devices.apply(plan.device)
    torch.manual_seed(derive(config.seed, "networks"))
    if plan.agent_class.needs.seats == "all":
        joint: Team = _agent(config, plan, next(iter(plan.seats)), folder)
        return joint
    agents = {seat: _agent(config, plan, seat, folder) for seat in plan.seats}
    overlap = plan.agent_class.needs.overlap
    if plan.self_play:
        (agent,) = agents.values()
        seats, rows = list(plan.spec.observation_spaces), plan.spec.num_envs
        seed, values = derive(config.seed, "self-play"), fields(config.self_play)
        return SelfPlay(agent, seats, plan.spec.rivals, rows, overlap, seed, **values)
    if len(agents) == 1:
        ((seat, agent),) = agents.items()
        return Solo(agent, seat, overlap)
    return PerSeat(agents, overlap)


def _agent(config: RunConfig, plan: Plan, seat: Seat, folder: Path | None) -> Any:
    alone = len(plan.seats) == 1 or plan.agent_class.needs.seats == "all"
    available = {
        "observation_space": plan.spec.observation_spaces[seat],
        "action_space": plan.spec.action_spaces[seat],
        "observation_spaces": plan.spec.observation_spaces,
        "action_spaces": plan.spec.action_spaces,
        "num_envs": plan.spec.num_envs,
        "device": torch.device(plan.device.name),
        "shards": plan.device.shards,
        "seed": derive(config.seed, "agent" if alone else f"agent {seat}"),
    }
    if plan.seats[seat].buffer_name is not None:
        own = folder if folder is None or alone else folder / seat
        available["buffer"] = _buffer(config.buffer, plan, seat, own)
    wanted = _parameters(plan.agent_class)
    parts = {name: part for name, part in available.items() if name in wanted}
    return plan.agent_class(**parts, **fields(config.agent_at(seat)))


def _parameters(cls: Any) -> set[str]:
    """Names its constructor takes; one with **others hands them on to the class above."""
    found: set[str] = set()
    for parent in inspect.getmro(cls):
        parameters = inspect.signature(getattr(parent, "__init__")).parameters.values()  # noqa: B009
        found |= {p.name for p in parameters}
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    return found


def _buffer(config: BufferConfig, plan: Plan, seat: Seat, folder: Path | None) -> Any:
    on_disk = config.storage == "disk" and folder is not None
    name = plan.seats[seat].buffer_name
    assert name is not None
    entry = registry.lookup("buffer", name)
    make, known = entry.load(), {f.name for f in dataclasses.fields(entry.schema)}
    # buffer=auto has keys that not every buffer has.
    values = {k: v for k, v in fields(config).items() if k in known and k != "storage"}
    storage = Storage(folder if on_disk else None)
    try:
        return make(spec=plan.stored, seat=seat, storage=storage, **values)
    except ValueError as ex:
        raise UserError(f"buffer.{ex}") from ex


def buffer_auto(*_: Any, **__: Any) -> Any:
    raise AssertionError("buffer=auto is resolved by plan()")


def loggers(config: RunConfig) -> list[Any]:
    """In the order of the config."""
    return [
        registry.lookup("logger", node.name).load()(**fields(node))
        for node in config.logger.values()
    ]
