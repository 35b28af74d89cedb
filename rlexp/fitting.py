"""Whether agent, environment and buffer go together, before anything is built."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Discrete, MultiDiscrete, Space

from rlexp import machine, registry
from rlexp.buffers import priorities
from rlexp.config import paths, provenance
from rlexp.envs.base import is_image
from rlexp.errors import UserError, did_you_mean
from rlexp.schemas.buffer import BufferConfig
from rlexp.schemas.env import EnvConfig
from rlexp.schemas.run import RunConfig
from rlexp.spaces import Packed
from rlexp.types import OFFERS, EnvSpec, Needs, Seat


def check_seats(config: RunConfig, needs: Needs, spec: EnvSpec) -> None:
    """`config.seats` names seats of this game, each with an agent of its own."""
    known = list(spec.observation_spaces)
    for seat in config.seats:
        if seat not in known:
            raise UserError(
                f"seats.{seat}: env={env_name(config)} has no such seat.{did_you_mean(seat, known)}"
            )
        if needs.seats == "all":
            raise UserError(f"seats.{seat}: agent={config.agent.name} plays all seats as one")


def check_self_play(config: RunConfig, needs: Needs, spec: EnvSpec) -> None:
    """UserError where no learner can play its own copies."""
    seats = list(spec.observation_spaces)
    alike = [spec.observation_spaces, spec.action_spaces]
    if len(seats) != 2 or any(spaces[seats[0]] != spaces[seats[1]] for spaces in alike):
        raise UserError(
            f"self_play.enabled=true needs a game for two that see and do the same; "
            f"env={env_name(config)} has {', '.join(seats)}"
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
                raise UserError(
                    f"self_play.{name}: no rival {rival!r} in {env_name(config)}.{hint}"
                )
    if given.random_until is not None and "random" not in spec.rivals:
        raise UserError(f"self_play.random_until: {env_name(config)} has no rival 'random'")
    if given.scripted_share and not given.scripted:
        raise UserError("self_play.scripted_share: self_play.scripted names nobody")


def check_spaces(config: RunConfig, needs: Needs, spec: EnvSpec, seat: Seat) -> None:
    agent = config.agent_at(seat)
    action = kind_of_action(spec.action_spaces[seat])
    who = f"agent={config.agent.name} env={env_name(config)}"
    if action not in needs.actions:
        others = [name for name in registry.names("agent") if _accepts(name, spec, seat)]
        raise UserError(
            f"{who}: the environment's actions are {action}, "
            f"the agent's {' or '.join(needs.actions)}."
            + (f" Agents for it: {', '.join(others)}." if others else "")
        )
    if 0 in (spec.action_spaces[seat].shape or ()):
        raise UserError(f"{who}: there is nothing to choose in {spec.action_spaces[seat]}")
    space = spec.observation_spaces[seat]
    seen = kind_of_observation(space)
    if getattr(agent, "pixels", None) == "changes":
        planes = space.shape[0] if seen == "pixels" and space.shape else 0
        if planes < 2 or planes != spec.frame_stack:
            raise UserError(
                f"agent.pixels=changes shows what changed between gray pictures of a stack, and "
                f"{env_name(config)} gives none: write agent.pixels=scaled, or env.gray=true "
                f"env.stack=4 where there are pictures"
            )
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


def check_batches(config: RunConfig, spec: EnvSpec, seats: Iterable[Seat]) -> None:
    """UserError where a new run's batches are too small for what is made of them.

    A run from before this check goes on as it was, so only new ones are held to it.
    """
    for seat in seats:
        problem = config.agent_at(seat).problem(spec.num_envs)
        if problem is not None:
            raise UserError(f"agent={config.agent.name} env={env_name(config)}: {problem}")


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


def kind_of_action(space: Space[Any]) -> str:
    if isinstance(space, Discrete):
        return "discrete"
    if isinstance(space, MultiDiscrete):
        return "multidiscrete"
    return "continuous" if isinstance(space, Box) else type(space).__name__


def kind_of_observation(space: Space[Any]) -> str:
    if is_image(space):
        return "pixels"
    if isinstance(space, Discrete):
        return "discrete"
    if isinstance(space, Packed):
        return "mixed"
    return "vector" if isinstance(space, Box) else "other"


def _accepts(name: str, spec: EnvSpec, seat: Seat) -> bool:
    """Return whether an agent, as it is shipped, passes every check of this environment."""
    entry = registry.lookup("agent", name)
    try:
        needs: Needs = entry.load().needs
    except Exception:  # a plugin's agent that can't be imported is no suggestion
        return False
    shown, space = spec.observation_spaces[seat], spec.action_spaces[seat]
    seen = kind_of_observation(shown)
    keys = {f.name: f.metadata for f in dataclasses.fields(entry.schema)}
    tiny = seen == "pixels" and min((shown.shape or (0,))[1:]) < SMALLEST_PICTURE
    bounded = not isinstance(space, Box) or space.is_bounded()
    return (
        kind_of_action(space) in needs.actions
        and (bounded or not needs.bounded)
        and seen in needs.observations
        and all(asked in spec.offers.get(seat, ()) for asked in needs.asks)
        and (needs.seats == "one" or len(spec.observation_spaces) > 1)
        and not (tiny and "padding" in keys)  # it convolves
        and all(
            about["sees"].get(_shipped(name, key), seen) == seen
            for key, about in keys.items()
            if about.get("sees")
        )
    )


def _shipped(agent: str, key: str) -> str | None:
    """The value that an agent's own YAML file gives a key; None where it gives none."""
    file = paths.options("agent").get(agent)
    sources = provenance.read(file)[1] if file is not None else []
    return next((source.text for source in sources if source.key == key), None)


def env_name(config: RunConfig) -> str:
    id = getattr(config.env, "id", None)
    return f"{config.env.name} ({id})" if id and id != config.env.name else config.env.name


def buffer_name(config: RunConfig, needs: Needs, spec: EnvSpec, seat: Seat) -> str | None:
    """The buffer this run will have; None for an agent that keeps none."""
    asked = config.buffer.name
    if getattr(config.buffer, "priority_alpha", 0) and not needs.priorities:
        raise UserError(
            f"buffer.priority_alpha: agent {config.agent.name} can't learn from priorities. "
            "Write buffer.priority_alpha=0."
        )
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


# Sides of a picture that is large enough for the convolutions of agents as they are shipped.
SMALLEST_PICTURE = 36
# Rows from which on their memory is looked at before they are built, since that builds one more.
MANY_ROWS = 1000
# Bytes that a row takes at least besides what it shows: its generator, counters, and (where rows
# are games of their own) the game with its wrappers.
ROW_BYTES, GAME_BYTES = 100, 20_000


def check_rows(config: EnvConfig) -> None:
    """UserError with the largest num_envs where so many rows can't fit into memory."""
    if config.num_envs <= MANY_ROWS:
        return
    from rlexp import build
    from rlexp.envs.vector import RowsEnv

    one = build.env(config, 1)
    try:
        spaces = one.spec.observation_spaces.values()
        shown = sum(
            int(np.prod(space.shape or ())) * np.dtype(space.dtype or np.float64).itemsize
            for space in spaces
        )
        # What it shows is held as the state, the observation and the last game's, at least.
        each = 3 * shown + (GAME_BYTES if isinstance(one, RowsEnv) else ROW_BYTES)
    finally:
        one.close()
    free = machine.available_memory()
    size = each * config.num_envs
    if size > free * machine.SHARE:
        raise UserError(
            f"env.num_envs={config.num_envs} needs at least {machine.human(size)}, "
            f"{machine.human(free)} of memory is free: "
            f"at most env.num_envs={machine.largest(each, free)} fits"
        )


def check_memory(
    config: BufferConfig, name: str, spec: EnvSpec, seat: Seat, folder: Path, buffers: int
) -> int:
    """Bytes a buffer will take; UserError with the largest capacity when there are too few."""
    each = registry.lookup("buffer", name).load().bytes_per_item(spec, seat)
    disk = config.storage == "disk"
    if getattr(config, "priority_alpha", 0) and not disk:
        each += priorities.BYTES
    size = each * config.capacity
    each, total = each * buffers, size * buffers
    free = machine.available_disk(folder.absolute()) if disk else machine.available_memory()
    if total > free * machine.SHARE:
        where = "disk" if disk else "memory"
        raise UserError(
            f"buffer.capacity={config.capacity} needs {machine.human(total)}, "
            f"{machine.human(free)} of {where} is free: "
            f"at most buffer.capacity={machine.largest(each, free)} fits"
        )
    return size
