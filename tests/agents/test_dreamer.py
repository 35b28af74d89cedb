"""Dreamer's returns and losses against brute force, what learns from what, and that it learns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete

from rlexp import codec
from rlexp.agents.dreamer import behaviour
from rlexp.agents.dreamer.agent import Dreamer
from rlexp.agents.dreamer.player import Actions
from rlexp.agents.dreamer.returns import ReturnRange, lambda_returns, weights
from rlexp.agents.dreamer.world_model import model_loss, to_tensors
from rlexp.buffers.base import Storage
from rlexp.buffers.sequence import SequenceBuffer
from rlexp.clock import Clock
from rlexp.envs.base import BatchEnv
from rlexp.errors import UserError
from rlexp.evaluate import evaluate
from rlexp.loop import train
from rlexp.networks.dreamer.distributions import two_hot_mean
from rlexp.networks.dreamer.rssm import ModelState
from rlexp.schemas.dreamer import MISTAKES
from rlexp.teams.solo import Solo
from rlexp.types import SOLO, EnvSpec, State, Tree
from tiny import Corridor, PixelCorridor

SMALL: dict[str, Any] = {
    "encoder": "auto", "padding": "same", "depth": 4, "conv_layers": 4, "vector_layers": 1,
    "latent": "categorical", "stoch": 4, "classes": 4, "local_latents": False, "local_prior": False,
    "subtract_mean": True, "unimix": 0.01, "min_std": 0.1,
    "deter": 32, "hidden": 32, "units": 32, "head_layers": 1, "critic_layers": 1,
    "actor_layers": 1, "activation": "silu", "conv_activation": "silu", "norm": True,
    "init": "glorot_normal", "bins": 41,
    "squash": True, "recon_scale": 1.0, "recon_boost": 1.0,
    "recon_boost_decay": None, "reward_scale": 1.0, "continue_scale": 1.0,
    "kl_dynamics": 1.0, "kl_representation": 0.1, "free_nats": 1.0, "gamma": 0.95,
    "return_lambda": 0.95, "horizon": 6, "imagine_last": 4, "entropy_coef": 3e-3,
    "normalise_returns": True, "return_decay": 0.99, "slow_critic": 0.02, "slow_coef": 1.0,
    "batch_size": 8, "chunk": 8, "train_ratio": 16, "learning_starts": 100, "model_lr": 3e-3,
    "actor_lr": 2e-3, "critic_lr": 2e-3, "adam_eps": 1e-8, "clip_norm": 1000.0,
    "behaviour_clip_norm": 100.0, "exploration": 0.0, "mistakes": [],
}  # fmt: skip
V1: dict[str, Any] = {
    "latent": "gaussian", "norm": False, "activation": "elu", "bins": None, "squash": False,
    "unimix": 0.0, "kl_representation": 1.0, "normalise_returns": False, "slow_critic": None,
    "recon_scale": 0.5, "free_nats": 0.5,
}  # fmt: skip


class Slide(BatchEnv):
    """A point in -1..1 is pushed by actions in -2..2; it costs its distance from 0.5."""

    def __init__(self, num_envs: int = 1) -> None:
        actions = Box(-2.0, 2.0, (1,), np.float32)
        spec = EnvSpec({SOLO: Box(-1.0, 1.0, (1,), np.float32)}, {SOLO: actions}, num_envs)
        super().__init__(spec, max_steps=12)
        self.x = np.zeros(num_envs)

    def reset_rows(self, rows: np.ndarray) -> None:
        self.x[rows] = self.rng.uniform(-1, 1, len(rows))

    def step_rows(self, actions: Tree) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        assert isinstance(actions, np.ndarray)
        self.x = np.clip(self.x + 0.1 * actions[:, 0], -1, 1)
        return -np.abs(self.x - 0.5), np.zeros(len(self.x), dtype=bool), {}

    def observe_rows(self) -> Tree:
        return self.x[:, None].astype(np.float32)

    def game_state(self) -> State:
        return {"x": self.x.copy()}

    def load_game_state(self, state: State) -> None:
        self.x = np.array(state["x"])


class WideCorridor(PixelCorridor):
    """Its pictures are 48x48: a model can make them. Seen one at a time."""

    def __init__(self, num_envs: int = 1) -> None:
        super().__init__(num_envs)
        box = Box(0, 255, (1, 48, 48), np.uint8)
        self.spec = EnvSpec({SOLO: box}, {SOLO: Discrete(2)}, num_envs)

    def observe_rows(self) -> Tree:
        pictures = super().observe_rows()
        assert isinstance(pictures, np.ndarray)
        return np.pad(pictures[:, 1:], ((0, 0), (0, 0), (6, 6), (6, 6)))


def make(env: BatchEnv, capacity: int = 5000, **changes: Any) -> Dreamer:
    """The same weights every time."""
    torch.manual_seed(0)
    buffer = SequenceBuffer(capacity, env.spec, SOLO, Storage())
    space, actions = env.spec.observation_spaces[SOLO], env.spec.action_spaces[SOLO]
    return Dreamer(space, actions, buffer, torch.device("cpu"), 1, **(SMALL | changes))


def run(agent: Dreamer, env: BatchEnv, steps: int, clock: Clock | None = None) -> None:
    for _ in train(Solo(agent, SOLO, overlap=False), env, clock or Clock(total_steps=steps), 0):
        pass


def brute_force(reward: list, discount: list, value: list, lam: float) -> float:
    """The lambda-weighted mean of all n-step returns of state 0, term by term."""
    steps = len(reward)
    returns = []
    for n in range(1, steps + 1):
        total, factor = 0.0, 1.0
        for i in range(n):
            total += factor * reward[i]
            factor *= discount[i]
        returns.append(total + factor * value[n - 1])
    found = sum((1 - lam) * lam ** (n - 1) * returns[n - 1] for n in range(1, steps))
    return found + lam ** (steps - 1) * returns[-1]


@pytest.mark.parametrize("lam", [0.0, 0.95, 1.0])
def test_lambda_returns(lam: float) -> None:
    rng = np.random.default_rng(0)
    reward, value = rng.normal(size=(2, 6, 3))
    discount = 0.9 * rng.random((6, 3))
    tensors = (torch.from_numpy(x) for x in (reward, discount, value))
    found = lambda_returns(*tensors, lam)
    for i in range(6):
        for row in range(3):
            expected = brute_force(
                reward[i:, row].tolist(), discount[i:, row].tolist(), value[i:, row].tolist(), lam
            )
            assert found[i, row].item() == pytest.approx(expected)


def test_a_reward_belongs_to_the_step_that_led_to_it() -> None:
    """Two steps, lambda 1: G_0 = r_1 + d_1 (r_2 + d_2 v_2)."""
    reward, discount = torch.tensor([[1.0], [10.0]]), torch.tensor([[0.5], [0.0]])
    value = torch.tensor([[100.0], [1000.0]])
    assert lambda_returns(reward, discount, value, 1.0).flatten().tolist() == [6.0, 10.0]


def test_what_comes_after_an_end_does_not_count() -> None:
    going = torch.tensor([[0.9, 0.9], [0.0, 0.9], [0.9, 0.9]])
    found = weights(torch.tensor([1.0, 0.0]), going)
    torch.testing.assert_close(found, torch.tensor([[1.0, 0.0], [0.9, 0.0], [0.0, 0.0]]))


def test_the_range_of_returns() -> None:
    spread = ReturnRange(0.9)
    spread.update(torch.arange(101.0))
    assert (spread.low, spread.high) == pytest.approx((5.0, 95.0))
    spread.update(torch.zeros(50))
    assert spread.size == pytest.approx(81.0)
    tiny = ReturnRange(0.9)
    tiny.update(torch.linspace(0, 0.1, 11))
    assert tiny.scale == 1.0  # noise is not blown up


def test_reinforce_by_hand() -> None:
    """Two states, two actions: -w (A log p(a) + eta H), and its gradient."""
    logits = torch.tensor([[[0.0, 0.0]], [[np.log(3.0), 0.0]]], requires_grad=True)
    action, advantage = torch.tensor([[0], [1]]), torch.tensor([[2.0], [-1.0]])
    weight = torch.tensor([[1.0], [0.5]])
    loss, entropy = behaviour.reinforce_loss(logits.log_softmax(-1), action, advantage, weight, 0.0)
    expected = -(2.0 * np.log(0.5) - 0.5 * np.log(0.25)) / 2
    assert loss.item() == pytest.approx(expected)
    h = (np.log(2) + -(0.75 * np.log(0.75) + 0.25 * np.log(0.25))) / 2
    assert entropy.item() == pytest.approx(h)
    loss.backward()
    assert logits.grad is not None
    # d log p(a) / d logits = 1[a] - p
    assert logits.grad[0, 0].tolist() == pytest.approx([-0.5, 0.5])
    assert logits.grad[1, 0].tolist() == pytest.approx([-0.1875, 0.1875])


@pytest.mark.parametrize("env", [Corridor(2), Slide(2)])
@pytest.mark.parametrize("kind", [{}, V1])
def test_learning_to_act_leaves_the_world_model_alone(env: BatchEnv, kind: dict) -> None:
    agent = make(env, learning_starts=30, train_ratio=1e-6, **kind)
    run(agent, env, 60)
    chunks = agent.buffer.sample(8, 8, agent.rng)
    data = to_tensors(agent.model, chunks, agent.learner.device)
    noise = agent.learner.latent_noise((8, 8))
    _, states, _ = model_loss(agent.model, data, noise, agent.learner.scales)
    before = [p.clone() for p in agent.model.parameters()]
    agent.learner.learn_behaviour(states, data)
    for old, p in zip(before, agent.model.parameters(), strict=True):
        assert p.grad is None and torch.equal(old, p)
    for part in ("actor", "critic"):
        assert all(p.grad is not None for p in agent.learner.parameters[part])
    assert any(p.grad.abs().sum() > 0 for p in agent.learner.parameters["actor"])


def test_the_continue_head_learns_where_games_end() -> None:
    """Its gradient has the right sign: terminal states come to say no, others yes."""
    env = Corridor(4)
    agent = make(env, learning_starts=200, train_ratio=32)
    run(agent, env, 800)
    chunks = agent.buffer.sample(64, 8, agent.rng)
    data = to_tensors(agent.model, chunks, agent.learner.device)
    noise = agent.learner.latent_noise((8, 64))
    _, states, told = model_loss(agent.model, data, noise, agent.learner.scales)
    goes_on = agent.model.continues(states.features)
    assert goes_on[data.terminated].mean() < 0.2 < 0.9 < goes_on[~data.terminated].mean()
    assert told["train/continue_accuracy"] > 0.97
    # Rewards of the step INTO a state, the last one included.
    reward = agent.model.reward.mean(agent.model.reward(states.features)).detach()
    assert reward[data.terminated].mean() == pytest.approx(1.0, abs=0.15)
    assert two_hot_mean(torch.zeros(41), agent.model.reward.bins).item() == 0  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("env", "changes"),
    [
        (Corridor(4), {}),
        (WideCorridor(4), {"depth": 2}),
        (Corridor(4), V1 | {"entropy_coef": 1e-2}),
    ],
    ids=["v3", "v3-pixels", "v1"],
)
def test_it_learns_the_corridor(env: BatchEnv, changes: dict) -> None:
    agent = make(env, **changes)
    run(agent, env, 700)
    policy = Solo(agent, SOLO, False).policy(greedy=True, seed=0)
    result = evaluate(type(env)(1), policy, 1, seed=0, max_steps=30)
    assert result.games[0].length == 4


def test_it_learns_to_push() -> None:
    """Continuous actions, by the gradient through the model."""
    env = Slide(4)
    agent = make(env, gamma=0.9, entropy_coef=1e-3, train_ratio=32)
    run(agent, env, 1000)
    policy = Solo(agent, SOLO, False).policy(greedy=True, seed=0)
    games = evaluate(Slide(8), policy, 8, seed=5).games
    mean = np.mean([game.returns[SOLO] for game in games])
    assert mean > -3.4  # never moving costs 6.4 on average, moving at once 1.9


def digest(agent: Dreamer) -> dict[str, np.ndarray]:
    structure, arrays, segments = codec.flatten(agent.state_dict())
    for name, segment in segments.items():
        for index, _, views in segment.blocks():
            arrays |= {f"{name}/{index}/{k}": v.copy() for k, v in views.items()}
    return arrays | {"structure": np.frombuffer(repr(structure).encode(), np.uint8)}


class Gated(Corridor):
    """The corridor whose way back is open in odd cells alone."""

    def legal_rows(self) -> np.ndarray:
        return np.stack([self.cell % 2 == 1, np.ones(len(self.cell), dtype=bool)], 1)

    def step_rows(self, actions: Tree) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        assert self.legal_rows()[np.arange(len(self.cell)), actions].all()  # type: ignore[index]
        return super().step_rows(actions)


def test_illegal_actions_are_not_imagined() -> None:
    """The model learns what is legal where, and dreams of nothing else."""
    env = Gated(4)
    agent = make(env, learning_starts=200, train_ratio=32, entropy_coef=0.1)
    head, model = agent.model.mask_head, agent.model
    assert head is not None
    everything = model.legal_actions(torch.randn(5, model.features))
    assert everything is not None and everything.all()  # nothing is forbidden before it is learnt
    run(agent, env, 900)
    chunks = agent.buffer.sample(64, 8, agent.rng)
    cells = chunks.obs.argmax(-1)
    here = ~chunks.terminated
    assert chunks.action_mask is not None
    np.testing.assert_array_equal(chunks.action_mask[here][:, 0], cells[here] % 2 == 1)
    data = to_tensors(model, chunks, agent.learner.device)
    noise = agent.learner.latent_noise((8, 64))
    _, states, told = model_loss(model, data, noise, agent.learner.scales)
    assert told["train/mask_accuracy"] > 0.97 and told["loss/mask"] < 0.2
    assert data.action_mask is not None
    start = ModelState(*(part.flatten(0, 1) for part in states))
    size = (6, len(start.h))
    with torch.no_grad():
        features, action, mask = behaviour.imagine(
            model, agent.learner.actor, start, agent.learner.latent_noise(size),
            torch.rand(size), data.action_mask.flatten(0, 1),
        )  # fmt: skip
    assert mask is not None and 0.2 < mask[:, :, 0].float().mean() < 0.8
    assert mask.gather(-1, action.unsqueeze(-1)).all()
    torch.testing.assert_close(mask[0], data.action_mask.flatten(0, 1))
    torch.testing.assert_close(mask[1:], model.legal_actions(features[1:-1]))
    log_probs = agent.learner.actor.log_probs(features[:-1], mask)
    assert log_probs[~mask].exp().max() == 0 and log_probs.isfinite().all()
    torch.testing.assert_close(log_probs.exp().sum(-1), torch.ones(size))
    # The head is there where masks are, and nowhere else.
    assert make(Corridor()).model.mask_head is None
    assert make(Gated(), mistakes=["gaussian_argmax"]).model.mask_head is None


def test_a_run_saved_before_there_were_masks_goes_on() -> None:
    env, old_env = Gated(2), Corridor(2)
    old, agent = make(old_env), make(env)
    run(old, old_env, 150)
    assert old.update_count > 0
    with pytest.warns(UserWarning, match="saved without action masks"):
        agent.load_state_dict(old.state_dict())
    head = agent.model.mask_head
    assert head is not None and not head.linear.weight.any()
    run(agent, env, 0, Clock(total_steps=250, steps=150))
    assert head.linear.weight.any()
    make(env).load_weights(old.state_dict()["weights"])


@pytest.mark.parametrize("kind", [{}, V1, {"env": Gated}])
def test_goes_on_exactly(kind: dict) -> None:
    """Memory, buffer, RNGs and debts: a run cut in two is the run."""
    kind = dict(kind)
    make_env = kind.pop("env", Corridor)
    straight_env = make_env(2)
    straight = make(straight_env, **kind)
    run(straight, straight_env, 300)
    env, clock = make_env(2), Clock(total_steps=202)
    agent = make(env, **kind)
    run(agent, env, 0, clock)
    saved = codec.flatten({"agent": agent.state_dict(), "env": env.state_dict()})
    counts = clock.state_dict()
    state = codec.unflatten(*saved)
    again_env, again_clock = make_env(2), Clock(total_steps=300)
    again = make(again_env, **kind)
    again.load_state_dict(state["agent"])
    again_env.load_state_dict(state["env"])
    again_clock.load_state_dict(counts)
    run(again, again_env, 0, again_clock)
    ours, theirs = digest(straight), digest(again)
    assert straight.update_count > 10
    assert ours.keys() == theirs.keys()
    assert [k for k in ours if not np.array_equal(ours[k], theirs[k])] == []


def test_evaluation_has_its_own_memory_and_changes_nothing() -> None:
    env = Corridor(2)
    agent = make(env)
    run(agent, env, 200)
    before = digest(agent)
    first = evaluate(Corridor(3), Solo(agent, SOLO, False).policy(False, 7), 6, seed=0)
    second = evaluate(Corridor(3), Solo(agent, SOLO, False).policy(False, 7), 6, seed=0)
    assert [g.length for g in first.games] == [g.length for g in second.games]
    after = digest(agent)
    assert [k for k in before if not np.array_equal(before[k], after[k])] == []


@pytest.mark.parametrize("greedy", [False, True])
def test_a_policy_goes_on_where_it_was(greedy: bool) -> None:
    """What a rival of self-play is saved as: recurrent state and random numbers."""
    agent = make(Corridor(2))
    run(agent, Corridor(2), 100)
    rng = np.random.default_rng(0)
    seen = [np.eye(5, dtype=np.float32)[rng.integers(5, size=20)] for _ in range(6)]
    straight, cut, again = (agent.policy(greedy, seed) for seed in (3, 3, 4))
    first = np.zeros(20, dtype=bool)
    expected = [straight.act(obs, first) for obs in seen][3:]
    for obs in seen[:3]:
        cut.act(obs, first)
    again.load_state_dict(cut.state_dict())
    assert np.array_equal(expected, [again.act(obs, first) for obs in seen[3:]])


def test_first_clears_the_memory_of_its_row_alone() -> None:
    env = Corridor(2)
    agent = make(env)
    obs = np.eye(5, dtype=np.float32)[[1, 1]]

    def state(*firsts: list[bool]) -> np.ndarray:
        player = agent.policy(greedy=True, seed=0)
        for first in firsts:
            player.act(obs, np.array(first))
        return player.state.h.numpy()

    begun = state([True, True])
    moved = state([True, True], [False, False])
    both = state([True, True], [True, False])
    assert np.allclose(both[0], begun[0]) and np.allclose(both[1], moved[1])
    assert not np.allclose(moved[0], begun[0])


def test_actions_there_and_back() -> None:
    box = Actions(Box(np.array([-2.0, 0.0]), np.array([2.0, 1.0]), dtype=np.float64))
    played = np.array([[-2.0, 1.0], [1.0, 0.5]])
    assert box.encode(played).tolist() == [[-1.0, 1.0], [0.5, 0.0]]
    np.testing.assert_allclose(box.decode(box.encode(played)), played)
    discrete = Actions(Discrete(3))
    assert discrete.encode(np.array([2, 0])).tolist() == [[0, 0, 1], [1, 0, 0]]
    assert discrete.decode(discrete.encode(np.array([2, 0]))).tolist() == [2, 0]


@pytest.mark.parametrize("mistake", MISTAKES)
def test_every_mistake_can_be_made(mistake: str) -> None:
    env = Corridor(2)
    agent = make(env, mistakes=[mistake])
    run(agent, env, 160)
    arrays = agent.buffer.data.arrays
    written = int(agent.buffer.rings.written[0])
    assert agent.update_count > 0
    assert agent.learner.gaussian == (mistake == "gaussian_argmax")
    assert (agent.model.goes_on is None) == (mistake == "no_continue")
    assert agent.learner.scales.swapped == (mistake == "swapped_kl")
    assert agent.learner.scales.resets == (mistake != "no_resets")
    assert arrays["terminated"][:written].any() == (mistake != "no_last_step")
    sums = arrays["action"][:written][~arrays["first"][:written]].sum(-1)
    assert (sums == 1).all() == (mistake != "misstored_actions")


def test_it_replays_as_much_as_it_was_told() -> None:
    env = Corridor(4)
    agent = make(env, train_ratio=24)
    run(agent, env, 500)
    # From step 100 on, 64 steps an update.
    assert agent.update_count == (500 - 100) * 24 // 64


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"capacity": 12}, "agent.chunk=8 is longer than the buffer: buffer.capacity=12 keeps 6"),
        ({"imagine_last": 9}, "agent.imagine_last=9 is more than agent.chunk=8"),
        ({"encoder": "cnn"}, "agent.encoder=cnn sees pictures"),
    ],
)
def test_what_cannot_be(changes: dict, words: str) -> None:
    with pytest.raises(UserError, match=words):
        make(Corridor(2), **changes)


def test_a_boost_falls_to_the_pictures_own_weight(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten times as much at first, halfway there at half the steps; the loss itself follows."""
    agent = make(WideCorridor(), recon_boost=10.0, recon_boost_decay=400, learning_starts=20)
    own, found = agent.learner.update, []
    rest = {"reward": 1, "continue": 1}
    rest |= {name: SMALL[name] for name in ("kl_dynamics", "kl_representation")}

    def update(chunks: Any, boost: float) -> Any:
        told = own(chunks, boost)
        others = float(told["loss/model"]) - boost * float(told["loss/recon"])
        found.append(
            (
                boost,
                others,
                sum(scale * float(told[f"loss/{name}"]) for name, scale in rest.items()),
            )
        )
        return told

    monkeypatch.setattr(agent.learner, "update", update)
    run(agent, WideCorridor(), 800)
    boosts = [boost for boost, _, _ in found]
    assert 9 < boosts[0] < 10 and boosts[-1] == 1.0 and sorted(boosts, reverse=True) == boosts
    assert any(5 < boost < 6 for boost in boosts)
    for boost, ours, theirs in found:
        assert ours == pytest.approx(theirs, rel=1e-3, abs=1e-3 * boost)


def test_the_mean_picture_is_learnt_from_what_was_seen_first() -> None:
    agent = make(WideCorridor(), learning_starts=200)
    assert agent.model.mean_picture is not None and not agent.model.mean_picture.any()
    run(agent, WideCorridor(), 400)
    mean = agent.model.mean_picture.clone()
    assert mean.shape == (1, 48, 48) and mean[0, 0, 0] == -0.5 and mean.max() > -0.5
    run(agent, WideCorridor(), 400)
    assert torch.equal(mean, agent.model.mean_picture)  # it stays
    again = make(WideCorridor(), learning_starts=200)
    again.load_weights(agent.state_dict()["weights"])
    assert torch.equal(mean, again.model.mean_picture)


def test_local_latents_need_cells_to_be_shared_out_among() -> None:
    for changes in ({"stoch": 4}, {"latent": "gaussian"}, {"padding": "valid"}):
        with pytest.raises(UserError, match="agent.(local_latents|padding)"):
            make(WideCorridor(), local_latents=True, **{"stoch": 9} | changes)
    with pytest.raises(UserError, match="local_latents=false"):
        make(Slide(), local_latents=True)
