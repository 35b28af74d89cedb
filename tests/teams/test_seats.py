"""Teams of a game with two seats, on the signaling game: who learns what, saving, exact resume."""

from __future__ import annotations

import copy
import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import rlexp
from conftest import FAST
from rlexp import build, checkpoint, going_on, runner, verify
from rlexp.agents.gumbel import straight_through
from rlexp.clock import Clock
from rlexp.config.compose import load
from rlexp.envs.signaling import RECEIVER, SENDER, Signaling
from rlexp.interrupt import Interrupted
from rlexp.loop import train
from rlexp.media.language import speak
from rlexp.run_dir import RunDir

COLOURS = "env.classes=[red_circle,blue_circle,green_circle,white_circle]"
GAME = ["env=signaling", "env.images=shapes", COLOURS, "env.num_envs=64", "env.length=2",
        "device=cpu", "device.threads=1"]  # fmt: skip
AGENTS = {
    "ppo": ["agent=ppo", "agent.rollout_steps=8", "agent.lr=2e-3", "agent.batch_size=128"],
    "reinforce": [
        "agent=reinforce", "agent.baseline=leave_one_out", "agent.episodes=64",
        "agent.normalise_returns=none", "agent.lr=1e-3", "agent.entropy_coef=0.02",
    ],
    "gumbel": ["agent=gumbel"],
}  # fmt: skip


def made(agent: str, *more: str) -> tuple[Any, Any]:
    """(team, environment)."""
    config = rlexp.compose([*GAME, *AGENTS[agent], "env.vocabulary=3", *more]).config
    env = build.env(config.env)
    return build.team(config, build.plan(config, env.spec)), env


@pytest.mark.parametrize(("agent", "games"), [("ppo", 40_000), ("reinforce", 25_000),
                                              ("gumbel", 20_000)])  # fmt: skip
def test_two_seats_find_a_language(agent: str, games: int) -> None:
    """Four colours, nine messages; chance is a quarter."""
    team, env = made(agent)
    for _ in train(team, env, Clock(total_steps=games), 0):
        pass
    said = speak(env, team.policy(greedy=True, seed=0), "train")
    assert (said.guesses == said.classes).mean() > 0.9
    # Messages handed on to other games mean nothing.
    shuffled = np.random.default_rng(0).permutation(len(said.classes))
    assert abs((said.guesses[shuffled] == said.classes).mean() - 0.25) < 0.1


TOLD = "seats={receiver: {target_loss: cross_entropy, lr: 5e-3, hidden: [32]}}"


def test_a_seat_with_settings_of_its_own() -> None:
    team, env = made("ppo", TOLD)
    sender, receiver = (team.solos[seat].agent for seat in (SENDER, RECEIVER))
    assert (sender.lr, receiver.lr) == (2e-3, 5e-3)
    assert (sender.told_answers, receiver.told_answers) == (False, True)
    assert receiver.net.actor.out_features == 32 and sender.net.actor.out_features == 64
    for _ in train(team, env, Clock(total_steps=20_000), 0):  # half of what two rewarded ones need
        pass
    said = speak(env, team.policy(greedy=True, seed=0), "train")
    assert (said.guesses == said.classes).mean() > 0.9


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("seats.reciever.lr=1e-3", "seats.reciever: env=signaling has no such seat. Did you mean"),
        ("seats.receiver.lrr=1e-3", "unknown key 'seats.receiver.lrr'. Did you mean"),
        ("seats.receiver.name=dqn", "unknown key 'seats.receiver.name'"),
        ("seats.receiver.lr=-1", "seats.receiver.lr=-1.0 must be greater than 0"),
        ("seats.receiver.lr=fast", "seats.receiver.lr=fast: 'fast' is not a number"),
        ("seats.receiver=3", "seats.receiver=3: a number is no value for seats.receiver"),
        ("agent.target_loss=cross_entropy", "write seats.receiver.target_loss=cross_entropy"),
        ("seats.sender.target_loss=cross_entropy", "only the receiver is told"),
    ],
)
def test_bad_settings_of_a_seat_are_one_line(main: Any, override: str, told: str) -> None:
    code, _, err = main("train", *GAME, "agent=ppo", override)
    assert code == 2 and told in err and err.count("\n") == 1 and not Path("outputs").exists()


def test_who_can_not_have_settings_of_a_seat(main: Any) -> None:
    code, _, err = main("train", *GAME, "agent=gumbel", "seats.sender.lr=1e-3")
    assert code == 2 and "agent=gumbel plays all seats as one" in err
    code, _, err = main("train", "env=cartpole", "agent=ppo", "agent.target_loss=cross_entropy")
    assert code == 2 and "the environment has none" in err


def test_a_seats_settings_are_kept_and_its_numbers_may_change(main: Any) -> None:
    short = [*GAME, "agent=ppo", TOLD, *FAST, "log_every=512", "evaluation.gif=false"]
    rlexp.train([*short, "total_steps=512", "run_dir=run"])
    code, _, err = main("resume", "run", "total_steps=1024", "seats.receiver.hidden=[64]")
    assert code == 2 and "seats.receiver.hidden can't change" in err
    code, _, err = main("resume", "run", "total_steps=1024", "seats.receiver.lr=1e-3")
    assert code == 0 and "seats.receiver.lr" in err
    loaded = rlexp.load("run")
    assert loaded.config.seats["receiver"]["lr"] == 1e-3
    assert loaded.team.solos[RECEIVER].agent.told_answers


def test_each_agent_learns_from_its_own_moves() -> None:
    team, env = made("ppo")
    turns = list(train(team, env, Clock(total_steps=64 * 7), 0))
    sender, receiver = (team.solos[seat].agent for seat in (SENDER, RECEIVER))
    assert len(sender.rollout) == len(receiver.rollout) == 7
    for agent, seat in ((sender, SENDER), (receiver, RECEIVER)):
        done = [t.tick.done[seat] for t in turns if t.tick.done]
        columns = agent.rollout.columns
        np.testing.assert_array_equal(
            np.stack(columns["action"]), np.stack([d.action for d in done])
        )
        np.testing.assert_array_equal(
            np.stack(columns["reward"]), np.stack([d.reward for d in done])
        )
    assert not np.array_equal(sender.rng.random(4), receiver.rng.random(4))


@pytest.mark.parametrize("agent", sorted(AGENTS))
def test_saved_between_the_two_moves_of_a_game(agent: str) -> None:
    """Wherever a run is cut, also while the receiver is to move, it goes on the same."""
    one, env = made(agent)
    other, again = made(agent)
    turns = train(one, env, Clock(), 0)
    for _ in range(37):  # an odd number: the messages of the 19th games are on their way
        next(turns)
    other.load_state_dict(copy.deepcopy(one.state_dict()))
    again.load_state_dict(copy.deepcopy(env.state_dict()))
    twins = train(other, again, Clock(), 0)
    for _ in range(60):
        ours, theirs = next(turns).tick, next(twins).tick
        assert ours.done.keys() == theirs.done.keys()
        for seat, moves in ours.done.items():
            np.testing.assert_array_equal(moves.action, theirs.done[seat].action)
            np.testing.assert_array_equal(moves.reward, theirs.done[seat].reward)


def stop_after(turns: int, number: int) -> Callable[[Clock], None]:
    """Between turns: send oneself a signal after so many of them."""
    count = itertools.count(1)

    def each_turn(_: Clock) -> None:
        if next(count) == turns:
            os.kill(os.getpid(), number)

    return each_turn


WHOLE = [
    *GAME, *AGENTS["ppo"], "env.vocabulary=3", *FAST, "total_steps=2048", "log_every=640",
    "checkpoint.every=256", "evaluation.every=1024", "evaluation.episodes=20",
    "evaluation.gif=false",
]  # fmt: skip


def test_stopped_between_the_two_moves_and_resumed(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the first game, right after a save at the same step, and in the midst of a rollout: what
    is saved there, messages on their way included, ends as a run that never stopped."""
    rlexp.train([*WHOLE, "run_dir=straight"])
    run = RunDir(Path("stopped"))

    def saved() -> tuple[int, Any]:
        state = checkpoint.load(run.full_checkpoints()[-1])
        return state["clock"]["steps"], state["env"]["messages"]

    start = Signaling.start
    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        # A signal is noticed once the turn is over: here the very first.
        patch.setattr(
            Signaling, "start", lambda env, seed: (os.kill(os.getpid(), signal.SIGTERM),
                                                   start(env, seed))[1],
        )  # fmt: skip
        rlexp.train([*WHOLE, "run_dir=stopped"])
    assert saved()[0] == 0 and saved()[1] is not None
    # A resumed run begins with the receiver's move: after an odd number a message is sent next.
    for turns, steps in ((7, 256), (17, 832)):
        with pytest.raises(Interrupted):
            runner.resume(run, load(run.config), run.full_checkpoints()[-1],
                          stop_after(turns, signal.SIGTERM))  # fmt: skip
        assert saved()[0] == steps and saved()[1] is not None
    going_on.resume("stopped")
    found = verify.compare(RunDir(Path("straight")), run)
    assert found.parts == [] and found.hashes[0] == found.hashes[1] and found.count > 100


KILLED = """
import os, signal, sys
from rlexp import going_on
from rlexp.config.compose import compose

turns = 0

def each_turn(clock):
    global turns
    turns += 1
    if turns == 41:  # the messages of the 21st games are on their way
        os.kill(os.getpid(), signal.SIGKILL)

going_on.start_or_resume(compose(sys.argv[1:]), each_turn=each_turn)
"""


def test_killed_between_the_two_moves_and_resumed() -> None:
    rlexp.train([*WHOLE, "run_dir=straight"])
    done = subprocess.run([sys.executable, "-c", KILLED, *WHOLE, "run_dir=killed"])
    assert done.returncode == -signal.SIGKILL
    run = RunDir(Path("killed"))
    assert run.read_status()["state"] == "running"
    going_on.resume("killed")
    assert verify.compare(RunDir(Path("straight")), run).parts == []


def test_metrics_name_their_seat_and_evaluation_its_split(main: Any) -> None:
    run = [*GAME, *AGENTS["ppo"], *FAST, "total_steps=1024", "log_every=512", "run_dir=run",
           "evaluation.every=1024", "evaluation.episodes=80", "evaluation.gif=false",
           "pictures=[rlexp.media.language:Language]"]  # fmt: skip
    rlexp.train(run)
    header = Path("run/metrics.csv").read_text().splitlines()[0].split(",")
    for name in (
        "loss/policy/sender", "loss/policy/receiver", "train/return/sender", "train/success_rate",
        "eval/success_rate/train", "eval/success_rate/heldout", "eval/purity/heldout",
    ):  # fmt: skip
        assert name in header
    told = json.loads(Path("run/eval/step_000001024.json").read_text())
    assert set(told["by_split"]) == {"train", "heldout"}
    assert told["by_split"]["heldout"] == told["greedy"]
    for name in ("lexicon_heldout", "confusion_train", "curves"):
        assert Path(f"run/media/{name}.png").exists()
    language = json.loads(Path("run/media/language.json").read_text())
    assert np.sum(language["train"]["confusion"]) == language["train"]["pictures"]
    code, out, _ = main("eval", "run", "episodes=50", "gif=false", "--json")
    result = json.loads(out)
    assert code == 0 and result["by_split"]["heldout"] == result["greedy"]
    assert result["by_split"]["train"]["played"] == 50


def test_straight_through_is_a_draw_whose_gradient_is_the_softmaxs() -> None:
    logits = torch.tensor([[0.0, np.log(3.0)]], dtype=torch.float32).repeat(8000, 1)
    noise = torch.from_numpy(np.random.default_rng(0).gumbel(size=(8000, 2))).float()
    logits.requires_grad_()
    drawn = straight_through(logits, noise, temperature=0.7)
    assert set(drawn.detach().round(decimals=5).unique().tolist()) == {0.0, 1.0}
    assert abs(float(drawn.detach()[:, 1].mean()) - 0.75) < 0.02
    (ours,) = torch.autograd.grad(drawn[:, 1].sum(), logits)
    soft = ((logits + noise) / 0.7).softmax(-1)
    (theirs,) = torch.autograd.grad(soft[:, 1].sum(), logits)
    torch.testing.assert_close(ours, theirs)


def test_an_agent_of_all_seats_wants_several(main: Any) -> None:
    code, _, err = main("train", "env=cartpole", "agent=gumbel")
    assert code == 2 and "several" in err and not Path("outputs").exists()


def test_agents_for_one_kind_of_action_are_refused(main: Any) -> None:
    code, _, err = main("train", "env=signaling", "agent=dqn")
    assert code == 2 and "multidiscrete" in err
