"""The only file that turns a config into objects: Class(**fields, **parts)."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from gymnasium.spaces import Box, Discrete, MultiDiscrete, Space

from rlexp import device as devices
from rlexp import machine, registry
from rlexp.buffers.base import Storage
from rlexp.envs.base import is_image
from rlexp.errors import UserError, did_you_mean
from rlexp.schemas.buffer import BufferConfig
from rlexp.schemas.env import EnvConfig
from rlexp.schemas.run import RunConfig
from rlexp.seeds import derive
from rlexp.spaces import Packed
from rlexp.teams.per_seat import PerSeat
from rlexp.teams.self_play import SelfPlay
from rlexp.teams.solo import Solo
from rlexp.types import OFFERS, Env, EnvSpec, Needs, Seat, State, Team


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
            f"env={_name(config)} has one"
        )
    _check_seats(config, needs, spec)
    self_play = config.self_play.enabled
    if self_play:
        _check_self_play(config, needs, spec)
    seats: dict[Seat, SeatPlan] = {}
    names = list(spec.observation_spaces)
    for seat in names[:1] if self_play else names:
        _check_spaces(config, needs, spec, seat)
        name, size = _buffer_name(config, needs, spec, seat), 0
        if name is not None:
            count = 1 if self_play else len(names)
            size = _check_memory(config.buffer, name, spec, seat, folder, count)
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


def _check_self_play(config: RunConfig, needs: Needs, spec: EnvSpec) -> None:
    """UserError where no learner can play its own copies."""
    seats = list(spec.observation_spaces)
    alike = [spec.observation_spaces, spec.action_spaces]
    if len(seats) != 2 or any(spaces[seats[0]] != spaces[seats[1]] for spaces in alike):
        raise UserError(
            f"self_play.enabled=true needs a game for two that see and do the same; "
            f"env={_name(config)} has {', '.join(seats)}"
        )
    if needs.seats != "one" or needs.rows != "shared":
        raise UserError(f"self_play.enabled=true: agent={config.agent.name} can't play one seat")
    given = config.self_play
    if given.both_views and not needs.buffers:
        raise UserError(f"self_play.both_views: agent {config.agent.name} keeps no buffer")
    for name, rivals in (("scripted", given.scripted), ("evaluate", given.evaluate)):
        for rival in rivals:
            if rival not in spec.rivals:
                hint = did_you_mean(rival, spec.rivals) or " It has none."
                raise UserError(f"self_play.{name}: no rival {rival!r} in {_name(config)}.{hint}")
    if given.random_until is not None and "random" not in spec.rivals:
        raise UserError(f"self_play.random_until: {_name(config)} has no rival 'random'")
    if given.scripted_share and not given.scripted:
        raise UserError("self_play.scripted_share: self_play.scripted names nobody")
    for path in given.members:
        find_weights(path)


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
    make = registry.lookup("buffer", name).load()
    values = {k: v for k, v in fields(config).items() if k != "storage"}
    storage = Storage(folder if on_disk else None)
    try:
        return make(spec=plan.stored, seat=seat, storage=storage, **values)
    except ValueError as ex:
        raise UserError(f"buffer.{ex}") from ex


def buffer_auto(*_: Any, **__: Any) -> Any:
    raise AssertionError("buffer=auto is resolved by plan()")


def _kind_of_action(space: Space[Any]) -> str:
    if isinstance(space, Discrete):
        return "discrete"
    if isinstance(space, MultiDiscrete):
        return "multidiscrete"
    return "continuous" if isinstance(space, Box) else type(space).__name__


def _check_seats(config: RunConfig, needs: Needs, spec: EnvSpec) -> None:
    """`config.seats` names seats of this game, each with an agent of its own."""
    known = list(spec.observation_spaces)
    for seat in config.seats:
        if seat not in known:
            raise UserError(
                f"seats.{seat}: env={_name(config)} has no such seat.{did_you_mean(seat, known)}"
            )
        if needs.seats == "all":
            raise UserError(f"seats.{seat}: agent={config.agent.name} plays all seats as one")


def _check_spaces(config: RunConfig, needs: Needs, spec: EnvSpec, seat: Seat) -> None:
    agent = config.agent_at(seat)
    action = _kind_of_action(spec.action_spaces[seat])
    who = f"agent={config.agent.name} env={_name(config)}"
    if action not in needs.actions:
        others = [n for n in registry.names("agent") if _plays(n, action)]
        raise UserError(
            f"{who}: the environment's actions are {action}, "
            f"the agent's {' or '.join(needs.actions)}."
            + (f" Agents for it: {', '.join(others)}." if others else "")
        )
    space = spec.observation_spaces[seat]
    seen = "vector" if isinstance(space, Box) else "other"
    if is_image(space):
        seen = "pixels"
    elif isinstance(space, Discrete):
        seen = "discrete"
    elif isinstance(space, Packed):
        seen = "mixed"
    if seen not in needs.observations:
        raise UserError(
            f"{who}: the agent takes {' or '.join(needs.observations)}, "
            f"the environment gives {space}"
        )
    for asked in needs.asks:
        if asked not in spec.offers.get(seat, ()):
            raise UserError(f"{who}: the agent needs {OFFERS[asked]}; the environment has none")
    for f in dataclasses.fields(agent):
        if "asks" in f.metadata:
            _check_asked(f, str(getattr(agent, f.name)), who, spec, seat)


def _check_asked(
    f: dataclasses.Field[Any], chosen: str, who: str, spec: EnvSpec, seat: Seat
) -> None:
    """An option that asks the environment for something (fields.choice) finds it at its seat."""
    asked = f.metadata["asks"].get(chosen)
    if asked is None or asked in spec.offers.get(seat, ()):
        return
    others = [s for s, offered in spec.offers.items() if asked in offered]
    where = "the environment has none"
    if others:
        where = f"only the {others[0]} is told: write seats.{others[0]}.{f.name}={chosen}"
    raise UserError(f"{who}: {f.name}={chosen} needs {OFFERS[asked]}; {where}")


def _plays(name: str, action: str) -> bool:
    try:
        return action in registry.lookup("agent", name).load().needs.actions
    except Exception:  # a plugin's agent that can't be imported is no suggestion
        return False


def _name(config: RunConfig) -> str:
    id = getattr(config.env, "id", None)
    return f"{config.env.name} ({id})" if id and id != config.env.name else config.env.name


def _buffer_name(config: RunConfig, needs: Needs, spec: EnvSpec, seat: Seat) -> str | None:
    """The buffer this run will have; None for an agent that keeps none."""
    asked = config.buffer.name
    if not needs.buffers:
        if asked != "auto":
            raise UserError(
                f"buffer={asked}: agent {config.agent.name} keeps no buffer. Write buffer=auto."
            )
        return None
    pixels = is_image(spec.observation_spaces[seat])
    fitting = [name for name in needs.buffers if pixels or name != "frames"]
    if asked == "auto":
        return fitting[0]
    if asked not in fitting:
        raise UserError(
            f"buffer={asked} does not go with agent={config.agent.name} on this environment. "
            f"Choose from: {', '.join(['auto', *fitting])}."
        )
    return asked


def _check_memory(
    config: BufferConfig, name: str, spec: EnvSpec, seat: Seat, folder: Path, buffers: int
) -> int:
    """Bytes a buffer will take; UserError with the largest capacity when there are too few."""
    each = registry.lookup("buffer", name).load().bytes_per_item(spec, seat)
    size = each * config.capacity
    each, total = each * buffers, size * buffers
    disk = config.storage == "disk"
    free = machine.available_disk(folder.absolute()) if disk else machine.available_memory()
    if total > free * machine.SHARE:
        where = "disk" if disk else "memory"
        raise UserError(
            f"buffer.capacity={config.capacity} needs {machine.human(total)}, "
            f"{machine.human(free)} of {where} is free: "
            f"at most buffer.capacity={machine.largest(each, free)} fits"
        )
    return size


def find_weights(path: str) -> Path:
    """The checkpoint that a path means: a run's last, or the one that is named."""
    from rlexp import locate

    located = locate.locate(path)
    return located.checkpoint or locate.choose_checkpoint(located.run, "last")


def init_weights(team: Team, folder: Path) -> None:
    """Begin with the weights of a checkpoint."""
    from rlexp import checkpoint

    try:
        team.load_weights(checkpoint.load(folder, weights_only=True)["team"])
    except (RuntimeError, KeyError, TypeError) as ex:
        raise UserError(f"agent.init_from: the weights of {folder} don't fit: {why(ex)}") from ex


def add_members(team: Team, paths: Sequence[str]) -> None:
    """Put the agents of other runs into a self-play team's pool."""
    from rlexp import checkpoint

    for path in paths:
        folder = find_weights(path)
        try:
            weights = agent_weights(checkpoint.load(folder, weights_only=True)["team"])
            team.pool.adopt(weights, str(folder))  # type: ignore[attr-defined]
        except (RuntimeError, KeyError, TypeError) as ex:
            raise UserError(
                f"self_play.members: the weights of {folder} don't fit: {why(ex)}"
            ) from ex


def agent_weights(team: State) -> State:
    """The weights of the one agent in a team's saved branch, whatever its team was."""
    if len(team) != 1:
        raise KeyError(f"it has {len(team)} agents: {', '.join(team)}")
    (one,) = team.values()
    return one["weights"]


def why(ex: Exception) -> str:
    """The telling part of what torch says of weights that don't fit."""
    lines = [line.strip() for line in str(ex).strip().splitlines()]
    return lines[1] if len(lines) > 1 else lines[0]


def loggers(config: RunConfig) -> list[Any]:
    """In the order of the config."""
    return [
        registry.lookup("logger", node.name).load()(**fields(node))
        for node in config.logger.values()
    ]
