"""A2C, PPO and REINFORCE: losses by hand, what is stored, and learning in seconds."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete, MultiDiscrete

from on_policy import KINDS, agent, run
from rlexp.agents import a2c, ppo, reinforce
from rlexp.clock import Clock
from rlexp.envs.base import BatchEnv
from rlexp.loop import train
from rlexp.teams.solo import Solo
from rlexp.types import SOLO, EnvSpec, State, Transition, Tree
from tiny import Corridor


def returns(turns: list[Any], last: int = 20) -> float:
    episodes = [e for turn in turns for e in turn.tick.episodes]
    return float(np.mean([e.returns[SOLO] for e in episodes[-last:]]))


def test_a2c_losses_by_hand() -> None:
    log_prob = torch.tensor([-1.0, -2.0], requires_grad=True)
    advantage = torch.tensor([3.0, -0.5], requires_grad=True)
    losses = a2c.policy_loss(log_prob, advantage)
    assert losses.tolist() == [3.0, -1.0]
    losses.sum().backward()
    assert log_prob.grad.tolist() == [-3.0, 0.5] and advantage.grad is None
    found = a2c.value_loss(torch.tensor([1.0, 2.0]), torch.tensor([3.0, 2.5]))
    assert found.tolist() == [4.0, 0.25]


def test_ppo_losses_by_hand() -> None:
    ratio = torch.tensor([1.5, 1.5, 0.5, 0.5, 1.1], requires_grad=True)
    advantage = torch.tensor([2.0, -2.0, 2.0, -2.0, 1.0])
    losses = ppo.policy_loss(ratio, advantage, 0.2)
    torch.testing.assert_close(losses, torch.tensor([-2.4, 3.0, -1.0, 1.6, -1.1]))
    losses.sum().backward()
    # No gradient where the move has been pushed far enough already.
    assert ratio.grad.tolist() == [0.0, 2.0, -2.0, 0.0, -1.0]
    value, old, target = torch.tensor([3.0, 1.1]), torch.ones(2), torch.tensor([3.0, 2.0])
    torch.testing.assert_close(ppo.value_loss(value, old, target, None), torch.tensor([0, 0.81]))
    torch.testing.assert_close(
        ppo.value_loss(value, old, target, 0.5), torch.tensor([1.5**2, 0.81])
    )
    kl = ppo.approximate_kl(torch.tensor([0.0, np.log(2.0)], dtype=torch.float32))
    torch.testing.assert_close(kl, torch.tensor([0.0, 1 - float(np.log(2))]))


def test_reinforce_loss_by_hand() -> None:
    log_prob = torch.tensor([np.log(0.25), -100.0], dtype=torch.float32)
    losses = reinforce.policy_loss(log_prob, torch.tensor([2.0, 1.0]))
    torch.testing.assert_close(
        losses, torch.tensor([2 * np.log(4), 10 * np.log(10)], dtype=torch.float32)
    )


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_it_learns_the_corridor(kind: str) -> None:
    """Four moves to the right earn 0.7; random play needs about 20 moves and ends below -1."""
    env = Corridor(4)
    turns = run(agent(kind, env), env, 6000)
    assert returns(turns) > 0.6


class Lever(BatchEnv):
    """One move a game: 1 for the action that the observation asks for, less the further away."""

    def __init__(self, actions: Any, num_envs: int = 8) -> None:
        spec = EnvSpec({SOLO: Box(-1.0, 1.0, (1,), np.float32)}, {SOLO: actions}, num_envs)
        super().__init__(spec)
        self.wish = np.zeros(num_envs)

    def reset_rows(self, rows: np.ndarray) -> None:
        self.wish[rows] = self.rng.choice([-1.0, 1.0], size=len(rows))

    def step_rows(self, actions: Tree) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        assert isinstance(actions, np.ndarray)
        if actions.dtype.kind == "f":
            reward = 1 - np.abs(actions[:, 0] - 0.5 * self.wish)
        else:  # two choices: the first 1 or 0, the second always 2
            first = actions[:, 0] == (self.wish > 0)
            reward = first * 0.5 + (actions[:, 1] == 2) * 0.5
        return reward, np.ones(len(reward), dtype=bool), {}

    def observe_rows(self) -> Tree:
        return self.wish[:, None].astype(np.float32)

    def game_state(self) -> State:
        return {"wish": self.wish.copy()}

    def load_game_state(self, state: State) -> None:
        self.wish = np.array(state["wish"])


@pytest.mark.parametrize("kind", ["a2c", "ppo"])
@pytest.mark.parametrize(
    "space", [MultiDiscrete([2, 3]), Box(-1, 1, (1,), np.float32)], ids=["multi", "continuous"]
)
def test_it_learns_other_kinds_of_actions(kind: str, space: Any) -> None:
    env = Lever(space)
    tuned = {"a2c": {"lr": 1e-2}, "ppo": {"lr": 3e-3, "batch_size": 128, "clip_norm": 0.5}}
    player = agent(kind, env, **tuned[kind])
    run(player, env, 14_000)
    obs = np.array([[-1.0], [1.0]], dtype=np.float32)
    action = player.policy(True, 0).act(obs, np.ones(2, dtype=bool))
    if isinstance(space, Box):
        np.testing.assert_allclose(action, [[-0.5], [0.5]], atol=0.15)
    else:
        assert action.tolist() == [[0, 2], [1, 2]]


class Fenced(Corridor):
    """The corridor where only the way right is legal in the middle; records forbidden moves."""

    forbidden = 0

    def legal_rows(self) -> np.ndarray:
        return np.stack([self.cell != 2, np.ones(len(self.cell), dtype=bool)], 1)

    def step_rows(self, actions: Tree) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        rows = np.arange(len(self.cell))
        self.forbidden += int((~self.legal_rows()[rows, actions]).sum())  # type: ignore[index]
        return super().step_rows(actions)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_illegal_actions_are_never_played_nor_learnt_from(kind: str) -> None:
    env = Fenced(4)
    player = agent(kind, env)
    turns = run(player, env, 4000)
    assert env.forbidden == 0 and returns(turns) > 0.5


def test_a_rollout_holds_what_was_played() -> None:
    env = Corridor(2, max_steps=3)
    player = agent("ppo", env, rollout_steps=4)
    seen: list[dict[str, np.ndarray]] = []
    player.update = lambda data: seen.append(data) or {}
    turns = run(player, env, 8)
    (data,) = seen
    moves = [turn.tick.done[SOLO] for turn in turns]
    np.testing.assert_array_equal(data["obs"], np.stack([m.obs for m in moves]))
    np.testing.assert_array_equal(data["action"], np.stack([m.action for m in moves]))
    np.testing.assert_array_equal(data["reward"], np.stack([m.reward for m in moves]))
    with torch.no_grad():
        values = [player.net.values(torch.from_numpy(m.obs)).numpy() for m in moves]
        after = [player.net.values(torch.from_numpy(m.next_obs)).numpy() for m in moves]
    np.testing.assert_allclose(data["value"], np.stack(values), rtol=1e-5)
    # Values of true successors: also after the limit of three moves and at the rollout's end.
    ends = np.stack([m.ended for m in moves])
    assert ends[2].all() and not ends[3].any()
    expected = np.stack(
        [
            m.reward + 0.9 * after[t] - values[t]
            for t, m in enumerate(moves)
        ]
    )  # fmt: skip
    for t in (2, 3):  # nothing follows these two within the rollout's sum
        np.testing.assert_allclose(data["advantage"][t], expected[t], rtol=1e-4, atol=1e-6)


def test_shards_change_nothing() -> None:
    found = []
    for shards in (1, 2):
        env = Corridor(4)
        player = agent("ppo", env, shards=shards)
        run(player, env, 512)
        found.append(player.net.state_dict())
    for name, weight in found[0].items():
        torch.testing.assert_close(weight, found[1][name], rtol=1e-3, atol=1e-5)


def test_continuous_actions_stay_in_bounds_but_are_learnt_as_drawn() -> None:
    env = Lever(Box(-0.01, 0.01, (1,), np.float32))
    player = agent("ppo", env)
    action = player.act(np.ones((8, 1), dtype=np.float32), np.ones(8, dtype=bool), None)
    assert np.abs(action).max() <= 0.01 < np.abs(player.pending["action"]).max()


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_saved_in_the_middle_of_a_rollout(kind: str) -> None:
    env, again = Corridor(3), Corridor(3)
    one, other = agent(kind, env, standardise="running"), agent(kind, again, standardise="running")
    run(one, env, 300)  # six moves into a rollout
    torch.manual_seed(9)
    other.load_state_dict(copy.deepcopy(one.state_dict()))
    again.load_state_dict(env.state_dict())
    team, twin = Solo(one, SOLO, False), Solo(other, SOLO, False)
    clock, second = Clock(total_steps=300), Clock(total_steps=300)
    ours = [t.tick.done[SOLO].action for t in train(team, _pending(env), clock, 0)]
    theirs = [t.tick.done[SOLO].action for t in train(twin, again, second, 0)]
    np.testing.assert_array_equal(np.stack(ours), np.stack(theirs))
    for name, weight in one.net.state_dict().items():
        assert torch.equal(weight, other.net.state_dict()[name]), name


def _pending(env: BatchEnv) -> BatchEnv:
    """Let `start` go on with the games as they are."""
    env.load_state_dict(env.state_dict())
    return env


def test_target_kl_stops_early() -> None:
    env = Corridor(4)
    player = agent("ppo", env, target_kl=1e-6, lr=0.05, epochs=50)
    run(player, env, 64)
    assert player.update_count < 10


def test_learning_rate_and_clip_fall() -> None:
    env = Corridor(1)
    player = agent("ppo", env, lr_decay=100, clip_decay=50)
    run(player, env, 25)
    assert player.learning_rate() == pytest.approx(5e-3 * 0.75)
    assert player.clip_range * player.remaining(player.clip_decay) == pytest.approx(0.1)
    assert player.remaining(10) == 0.0


def test_reinforce_weights_and_bootstrap() -> None:
    env = Corridor(1, max_steps=2)
    player = agent("reinforce", env, baseline="value", normalise_returns="none", episodes=100)
    turns = run(player, env, 2)
    (game,) = player.finished_games
    last = turns[-1].tick.done[SOLO]
    assert last.truncated[0]
    with torch.no_grad():
        value = float(player.net.values(torch.from_numpy(last.next_obs)))
    np.testing.assert_allclose(game["returns"][1], -0.1 + 0.9 * value, rtol=1e-5)
    np.testing.assert_allclose(game["returns"][0], -0.1 + 0.9 * game["returns"][1], rtol=1e-5)
    game["value"] = player.values(game["obs"])
    np.testing.assert_allclose(player.weights(game), game["returns"] - game["value"], rtol=1e-5)
    player.normalise_returns = "both"
    found = player.weights(game)
    assert found.mean() == pytest.approx(0, abs=1e-6) and found.std() == pytest.approx(1, abs=1e-3)
    plain = agent("reinforce", env, baseline="none", normalise_returns="deviation", episodes=100)
    data = {"returns": np.array([1.0, 3.0]), "value": np.array([7.0, 7.0])}
    np.testing.assert_allclose(plain.weights(data), [1.0, 3.0], rtol=1e-6)


def test_a_space_of_one_action_is_no_trouble() -> None:
    env = Corridor(1)
    env.spec.action_spaces[SOLO] = Discrete(1)
    run(agent("ppo", env), env, 40)


def test_leave_one_out_by_hand() -> None:
    """Games of one move (in one piece) and of several, in one update."""
    env = Lever(MultiDiscrete([2, 3]), num_envs=3)
    player = agent("reinforce", env, baseline="leave_one_out", normalise_returns="none", episodes=4)
    obs, no = np.zeros((3, 1), dtype=np.float32), np.zeros(3, dtype=bool)
    seen: list[dict[str, np.ndarray]] = []
    player._update = lambda data: seen.append(data) or {}

    def move(reward: list[float], ended: list[bool]) -> None:
        player.act(obs, no, None)
        done, rows = np.array(ended), np.arange(3)
        earned = np.array(reward, dtype=np.float32)
        player.observe(Transition(rows, obs, player.pending["action"], earned, obs, done, no))

    move([1, 0, 0], [True, True, True])
    assert player.learn(Clock()) is None and player.finished_count == 3
    move([0, 0, 0], [False, True, False])
    player.learn(Clock())
    (data,) = seen
    np.testing.assert_allclose(data["others"], [0, 1 / 3, 1 / 3, 1 / 3])
    np.testing.assert_allclose(player.weights(data), [1, -1 / 3, -1 / 3, -1 / 3])


def test_several_moves_count_as_one_game_for_leave_one_out() -> None:
    env = Corridor(1, max_steps=2)
    player = agent("reinforce", env, baseline="leave_one_out", normalise_returns="none", episodes=9)
    run(player, env, 4)
    games = player.finished_games
    data = {name: np.concatenate([g[name] for g in games]) for name in games[0]}
    totals = [g["returns"][0] for g in games]
    expected = [totals[1], totals[1], totals[0], totals[0]]
    np.testing.assert_allclose(player._others(data), expected, rtol=1e-6)


def test_entropy_weight_falls() -> None:
    env = Corridor(1)
    player = agent("ppo", env, entropy_coef=0.1, entropy_decay=50)
    run(player, env, 25)
    assert player.entropy_weight() == pytest.approx(0.05)


def test_who_is_told_the_answers_learns_them_and_plays_the_best() -> None:
    """One gradient step on -log p(answer), whatever was played and paid; no move is drawn."""
    env = Lever(Discrete(3), 4)
    changes = {"epochs": 1, "batch_size": 4, "rollout_steps": 1, "value_coef": 0.0}
    told = agent("ppo", env, target_loss="cross_entropy", **changes)
    obs = np.array([[-1.0], [0.5], [0.0], [1.0]], dtype=np.float32)
    action = told.act(obs, np.ones(4, dtype=bool), None)
    policy = told.net.policy(torch.from_numpy(obs))
    assert action.tolist() == policy.mode().tolist()
    target, ends = np.array([2, 0, 1, 2]), np.ones(4, dtype=bool)
    reward = np.array([9, -9, 3, 0], dtype=np.float32)  # counts for nothing
    told.observe(
        Transition(np.arange(4), obs, action, reward, obs, ends, ~ends, {"target": target})
    )
    twin = copy.deepcopy(told.net)
    losses = -twin.policy(torch.from_numpy(obs)).log_probs[range(4), target]
    losses.mean().backward()
    before = [p.detach().clone() for p in told.net.parameters()]
    metrics = told.learn(Clock())
    assert metrics["loss/cross_entropy"] == pytest.approx(losses.mean().item())
    assert "loss/policy" not in metrics
    for ours, p, start in zip(told.net.parameters(), twin.parameters(), before, strict=True):
        if p.grad is not None and float(p.grad.abs().max()) > 1e-6:  # Adam's first step: lr sign
            moved = (ours - start)[p.grad.abs() > 1e-6]
            signs = -0.005 * p.grad[p.grad.abs() > 1e-6].sign()
            torch.testing.assert_close(moved.detach(), signs, rtol=0.02, atol=1e-6)
