"""A new run: everything that can be wrong is found before its directory is made."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rlexp import device as devices
from rlexp import machine, new_run, trust
from rlexp.config.compose import Composed, to_yaml
from rlexp.errors import UserError
from rlexp.runner import EachTurn, Result, Runner
from rlexp.schemas.run import RunConfig


def start(
    composed: Composed,
    path: str | Path | None = None,
    each_turn: EachTurn | None = None,
    remember: bool = True,
) -> Result:
    """Run a new run to its end. Every check comes before its directory is made.

    `remember`: what its config names beyond rlexp counts as agreed to from now on.
    """
    config = composed.config
    devices.prepare()
    from rlexp import build, fitting, weights
    from rlexp.media.pictures import picture_class

    if config.total_steps is None and config.total_episodes is None:
        raise UserError(
            "total_steps and total_episodes are both null: the run would never end. Set one"
        )
    for name in config.pictures:
        picture_class(name)
    with _memory_enough(config):
        fitting.check_rows(config.env)
        env = build.env(config.env)
    try:
        plan = build.plan(config, env.spec)
        fitting.check_batches(config, env.spec, plan.seats)
        given = config.agent.init_from
        found = weights.find_weights(given) if given is not None else None
        invited = config.self_play.members if plan.self_play else []
        members = [weights.find_weights(path) for path in invited]
        new = new_run.create(
            composed.project, to_yaml(config), composed.overrides, path or config.run_dir
        )
    except BaseException:
        env.close()
        raise
    if remember:
        trust.remember(trust.training(config))  # it is the user who starts it
    with new:
        try:
            with _memory_enough(config):
                runner = Runner(config, new.run, env, plan)
                if found is not None:
                    weights.init_weights(runner.team, found)
                weights.add_members(runner.team, members)
        except BaseException:  # nothing has run: leave nothing
            env.close()
            new.undo()
            raise
        try:
            runner.open()
        except UserError:  # a service was asked for that can't be had
            env.close()
            new.undo()
            raise
        return runner.run_to_end(each_turn)


@contextmanager
def _memory_enough(config: RunConfig) -> Iterator[None]:
    """Turn the many ways of "too large to allocate" into a UserError."""
    try:
        yield
    except Exception as ex:
        if not machine.too_large(ex):
            raise
        raise UserError(
            f"env={config.env.name} with env.num_envs={config.env.num_envs} and "
            f"agent={config.agent.name} do not fit into memory: {str(ex).splitlines()[0]}"
        ) from ex
