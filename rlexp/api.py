"""rlexp from Python: train, compose, load, gym_env, aec_env, parallel_env."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlexp.errors import UserError

if TYPE_CHECKING:
    import gymnasium
    import numpy as np
    from pettingzoo import AECEnv, ParallelEnv

    from rlexp.config.compose import Composed
    from rlexp.trained_agent import TrainedAgent


def compose(overrides: Sequence[str] = ()) -> Composed:
    """The checked config that `rlexp train OVERRIDES` would run."""
    from rlexp.config.compose import compose as composed

    return composed(overrides)


def train(overrides: Sequence[str] = ()) -> float:
    """`rlexp train OVERRIDES`; gives the run's score. UserError for a mistake in them."""
    from rlexp import going_on

    return going_on.start_or_resume(compose(overrides)).score


def load(
    path: str | Path, checkpoint: str = "last", overrides: Sequence[str] = (), trust: bool = False
) -> Loaded:
    """The agent of a run or checkpoint: `.act(obs)`, `.evaluate(n)`.

    `trust`: the folder's config may name code of others (docs/security.md).
    """
    from rlexp.isolation import isolate

    isolate()
    from rlexp import device as devices

    devices.prepare()
    return Loaded(str(path), checkpoint, overrides, trust)


def gym_env(overrides: Sequence[str] = ()) -> gymnasium.Env[Any, Any]:
    """One game of `rlexp train OVERRIDES`'s environment, for code that expects Gymnasium's."""
    from rlexp import build
    from rlexp.envs.view import GymView

    env = build.env(compose(overrides).config.env, 1)
    try:
        return GymView(env)
    except BaseException:
        env.close()
        raise


def aec_env(overrides: Sequence[str] = ("env=signaling",)) -> AECEnv[Any, Any, Any]:
    """One game of an environment whose seats move in turn, for code that expects PettingZoo's."""
    return _pettingzoo("rlexp.envs.view_aec", "AECView", overrides)


def parallel_env(overrides: Sequence[str] = ("env=bomberman",)) -> ParallelEnv[Any, Any, Any]:
    """The same of an environment whose seats move at once."""
    return _pettingzoo("rlexp.envs.view_parallel", "ParallelView", overrides)


def _pettingzoo(module: str, view: str, overrides: Sequence[str]) -> Any:
    from importlib import import_module

    from rlexp import build

    try:
        make = getattr(import_module(module), view)
    except ModuleNotFoundError as ex:
        if ex.name != "pettingzoo":
            raise
        raise UserError(f"{view} needs PettingZoo: pip install 'rlexp[pettingzoo]'") from None
    config = compose(overrides).config.env
    env = build.env(config, 1)
    try:
        return make(env, config.name)
    except BaseException:
        env.close()
        raise


class Loaded:
    """A trained agent, ready to play. Its config, run and checkpoint are attributes."""

    def __init__(
        self, path: str, which: str, overrides: Sequence[str], trusted: bool = False
    ) -> None:
        from rlexp import build, locate, trust, weights
        from rlexp import checkpoint as checkpoints
        from rlexp.config.compose import load

        located = locate.locate(path)
        self.run = located.run
        self.checkpoint = located.checkpoint or locate.choose_checkpoint(self.run, which)
        try:
            self.step = checkpoints.manifest(self.checkpoint).step
            state = checkpoints.load(self.checkpoint, weights_only=True)
        except UserError as ex:
            raise UserError(f"{ex}.{locate.whole_ones(self.run)}") from None
        self.config = load(self.run.config, overrides)
        saved = load(self.run.config) if overrides else self.config
        named = trust.of_saved(trust.playing(saved), trust.playing(self.config))
        trust.require(named, self.run.path, trusted)
        # An agent that only plays needs no buffer worth the name.
        self.config.buffer.name, self.config.buffer.storage = "auto", "memory"
        self.config.buffer.capacity = 1000 * self.config.env.num_envs
        env = build.env(self.config.env, 1)
        try:
            # One row is enough to ask; the agent is built for as many as it was trained on.
            self.spec = replace(env.spec, num_envs=self.config.env.num_envs)
            self.plan = build.plan(self.config, self.spec)
        finally:
            env.close()
        self.team = build.team(self.config, self.plan)
        try:
            self.team.load_weights(state["team"])
        except (RuntimeError, KeyError, TypeError) as ex:
            raise weights.Misfit(
                f"{self.checkpoint} does not fit this environment and agent: {weights.why(ex)}"
            ) from ex

    @cached_property
    def agent(self) -> TrainedAgent:
        """The agent of a run with one, for the environment's observations."""
        from rlexp.trained_agent import TrainedAgent

        if len(self.plan.seats) > 1:
            raise ValueError(f"seats {', '.join(self.plan.seats)}: use .team.policy(greedy, seed)")
        return TrainedAgent(
            next(iter(self.spec.observation_spaces.values())),
            next(iter(self.spec.action_spaces.values())),
            self.spec.translator,
            lambda greedy: self.team.agent.policy(greedy, 0),  # type: ignore[attr-defined]
        )

    def act(
        self,
        obs: Any,
        greedy: bool = True,
        first: bool | np.ndarray = False,
        action_mask: np.ndarray | None = None,
        spaces: str = "auto",
    ) -> Any:
        """The action for one observation, or the actions of a batch: see TrainedAgent.act."""
        return self.agent.act(obs, greedy, first, action_mask, spaces)

    def evaluate(self, episodes: int = 10, greedy: bool = True, seed: int = 0) -> dict[str, Any]:
        """Plays `episodes` games; gives return_mean, return_ci, length_mean, success_rate, …"""
        result, _ = self.play(episodes, greedy, seed)
        return result.summary()

    def play(
        self,
        episodes: int,
        greedy: bool,
        seed: int,
        watch: Sequence[tuple[int, int]] = (),
        held_out: bool = True,
        again: bool = False,
    ) -> tuple[Any, float]:
        """(Evaluation, pictures a second): its games and those watched.

        `again`: the games of training's own evaluations, in as many rows, whatever `seed` says: a
        checkpoint saved at an evaluation gives the same returns here.

        A self-play run's are played against each of `self_play.evaluate`'s rivals. Where an
        environment keeps data that training never shows, these are played; training's own
        with `held_out` false.
        """
        from rlexp import build
        from rlexp.evaluate import Repetition, evaluate
        from rlexp.matches import play_rivals

        if episodes < 1:
            raise ValueError(f"episodes={episodes} must be at least 1")
        from rlexp.seeds import derive

        needs = self.plan.agent_class.needs
        repetition = Repetition.of(self.spec, greedy, needs, self.spec.num_envs)
        if not getattr(self.team, "evaluate", None):
            episodes = repetition.enough(episodes)
        # Never the starts that chose `best` while training, unless they are asked for.
        purpose = "evaluation" if again else f"eval command {seed}"
        seed = derive(self.config.seed, purpose)
        rows = min(
            episodes, self.config.env.num_envs if again else max(8, self.config.env.num_envs)
        )
        env = build.env(self.config.env, rows, evaluation=held_out)
        try:
            limit = self.config.evaluation.max_steps
            if getattr(self.team, "evaluate", None):
                games = play_rivals(
                    self.team, env, episodes, seed, greedy, watch, limit, repetition=repetition
                )
                return games, env.spec.fps
            act = self.team.policy(greedy, derive(seed, "policy"))
            games = evaluate(env, act, episodes, seed, watch, limit, repetition=repetition)
            return games, env.spec.fps
        finally:
            env.close()
