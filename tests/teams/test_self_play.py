"""Self-play: who sits where and plays whom, what the learner sees, the pool through a resume."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import rlexp
from conftest import FAST
from rlexp import build
from rlexp.clock import Clock
from rlexp.errors import UserError
from rlexp.loop import train
from rlexp.teams.pool import expected, rated
from rlexp.teams.self_play import LATEST
from rlexp.types import SOLO, Tick

GAME = ["env=bomberman", "env.limit=12", "env.num_envs=6", "env.mask=true", "env.width=5",
        "env.height=5", "env.bricks=4", "env.lives=2", "device=cpu", "device.threads=1",
        "self_play.enabled=true"]  # fmt: skip
PPO = ["agent=ppo", "agent.vision=board", "agent.hidden=[16]", "agent.rollout_steps=8",
       "agent.batch_size=24", "agent.epochs=1"]  # fmt: skip
DQN = ["agent=dqn", "agent.padding=same", "agent.hidden=[16]", "agent.learning_starts=60",
       "buffer.capacity=2000", "self_play.both_views=true"]  # fmt: skip


DREAMER = ["agent=dreamer", "buffer=sequence", "agent.hidden=8", "agent.units=8", "agent.deter=8",
           "agent.stoch=2", "agent.classes=4", "agent.depth=2", "agent.chunk=4",
           "agent.batch_size=4", "agent.train_ratio=1", "agent.learning_starts=40",
           "agent.imagine_last=2", "buffer.capacity=2000", "env.observation=picture"]  # fmt: skip


def made(*more: str, agent: list[str] = PPO) -> tuple[Any, Any]:
    config = rlexp.compose([*GAME, *agent, *more]).config
    env = build.env(config.env)
    return build.team(config, build.plan(config, env.spec)), env


class Watched:
    """Notes what an agent is shown."""

    def __init__(self, team: Any) -> None:
        self.agent, self.seen, self.done = team.agent, [], []
        self.act, self.observe = team.agent.act, team.agent.observe
        team.agent.act, team.agent.observe = self.on_act, self.on_observe

    def on_act(self, obs: Any, first: Any, legal: Any) -> Any:
        self.seen.append((obs.copy(), first.copy(), legal.copy()))
        return self.act(obs, first, legal)

    def on_observe(self, t: Any) -> None:
        self.done.append(t)
        self.observe(t)


def test_the_learner_sees_its_own_seat_and_changes_it_with_every_game() -> None:
    team, env = made()
    watched = Watched(team)
    which = team.seating.which.copy()
    assert which.tolist() == [0, 1, 0, 1, 0, 1]
    games = 0
    for turn in train(team, env, Clock(total_steps=6 * 60), 0):
        obs, _, legal = watched.seen[-1]
        t = watched.done[-1]
        np.testing.assert_array_equal(t.obs, obs)
        # Me, on a bomb or not, is on the learner's seat of that row.
        mine = np.isin(obs[:, 0], (3, 6)).reshape(6, -1).argmax(1)
        if turn.clock.steps == 6:
            assert mine.tolist() == [0, 24, 0, 24, 0, 24]
        assert legal[np.arange(6), t.action].all()
        which = (which + t.ended) % 2
        np.testing.assert_array_equal(team.seating.which, which)
        assert list(turn.tick.done) == [SOLO]
        for episode in turn.tick.episodes:
            assert list(episode.returns) == [SOLO, "rival"]
            assert episode.info["lives"] == t.info["lives"][episode.row]
            games += 1
    assert games > 20
    fixed, env = made("self_play.alternate=false")
    for _ in train(fixed, env, Clock(total_steps=6 * 30), 0):
        pass
    assert not fixed.seating.which.any()


def rivals_of(team: Any, env: Any, steps: int) -> list[np.ndarray]:
    found = []
    act = team.act

    def noted(tick: Tick) -> Any:
        actions = act(tick)
        found.append(team.rival.copy())
        return actions

    team.act = noted
    for _ in train(team, env, Clock(total_steps=steps), 0):
        pass
    return found


def test_the_sources_rule_is_one_setting() -> None:
    """Random rivals in the first games; then one copy, renewed by every tenth game."""
    team, env = made("env.num_envs=1", "self_play.window=1", "self_play.latest_ratio=0",
                     "self_play.save_every=10ep", "self_play.random_until=20ep",
                     "self_play.greedy_rivals=true", "self_play.alternate=false")  # fmt: skip
    games: list[int] = []
    act = team.act

    def noted(tick: Tick) -> Any:
        actions = act(tick)
        if tick.first[0]:
            games.append(int(team.rival[0]))
        return actions

    team.act = noted
    for _ in train(team, env, Clock(total_episodes=41), 0):
        pass
    # Copies 2 and 3 are of the games 10 and 20; the first one plays from game 21 on.
    assert games[:20] == [-1] * 20 and games[20:30] == [3] * 10
    assert games[30:40] == [4] * 10 and games[40] == 5
    assert list(team.pool.copies) == [5]


def test_shares_windows_and_swaps() -> None:
    team, env = made("self_play.save_every=60", "self_play.window=3", "self_play.latest_ratio=0.4",
                     "self_play.scripted=[wait,safe_random]", "self_play.scripted_share=0.3",
                     "env.limit=2")  # fmt: skip
    drawn = np.concatenate(rivals_of(team, env, 6 * 300)[::2])
    assert abs((drawn < 0).mean() - 0.3) < 0.05 and set(drawn[drawn < 0]) == {-2, -3}
    assert abs((drawn == LATEST).mean() - 0.7 * 0.4) < 0.05
    copies = list(team.pool.copies)
    assert team.pool.last == 31 and copies[-3:] == [29, 30, 31] and len(copies) <= 9
    assert [team.pool.copies[n].step for n in (29, 30, 31)] == [1680, 1740, 1800]
    # Rows keep their rivals until the next swap.
    team, env = made("self_play.swap_every=120", "self_play.save_every=60",
                     "self_play.window=99", "env.limit=1")  # fmt: skip
    kept = rivals_of(team, env, 6 * 100)
    changes = [i for i in range(1, 100) if (kept[i] != kept[i - 1]).any()]
    assert changes and all(i % 20 == 0 for i in changes)


def test_random_play_ends_within_a_round() -> None:
    team, env = made("self_play.swap_every=100_000", "self_play.random_until=60",
                     "self_play.latest_ratio=1", "env.limit=1")  # fmt: skip
    played = rivals_of(team, env, 6 * 20)
    assert (played[0] < 0).all() and (played[-1] == LATEST).all()


def test_copies_are_frozen_and_the_latest_is_not() -> None:
    team, env = made("self_play.save_every=48", "self_play.window=20", "agent.lr=0.05")
    turns = train(team, env, Clock(), 0)
    tick = env.start(0)
    obs = team.seating.obs(tick)
    first, legal = np.ones(6, dtype=bool), np.ones((6, 6), dtype=bool)

    def chances(policy: Any) -> np.ndarray:
        import torch

        found: np.ndarray = (
            policy.net.policy(torch.from_numpy(obs)).log_probs.detach().numpy().copy()
        )
        return found

    before = chances(team.pool.copies[1].policy)
    np.testing.assert_array_equal(before, chances(team.latest))
    for _ in range(100):
        next(turns)
    np.testing.assert_array_equal(before, chances(team.pool.copies[1].policy))
    assert np.abs(before - chances(team.latest)).max() > 0.1
    newest = team.pool.copies[team.pool.own[-1]]
    assert newest.step == 576
    assert team.pool.copies[1].policy.act(obs, first, legal).shape == (6,)


class Recurrent:
    """A policy that counts its moves in a game, row by row."""

    recurrent = True

    def __init__(self) -> None:
        self.moves = np.zeros(6, dtype=np.int64)

    def act(self, obs: Any, first: np.ndarray, legal: Any = None) -> np.ndarray:
        assert len(obs) == len(first) == 6
        self.moves = np.where(first, 0, self.moves + 1)
        return np.zeros(6, dtype=np.int64)

    def state_dict(self) -> Any:
        return {"moves": self.moves.copy()}

    def load_state_dict(self, state: Any) -> None:
        self.moves = np.array(state["moves"])


@pytest.mark.parametrize("forgets", [True, False])
def test_a_recurrent_rival_forgets_between_games(forgets: bool) -> None:
    team, env = made("self_play.latest_ratio=1", f"self_play.rival_forgets={str(forgets).lower()}")
    team.latest = Recurrent()
    for _ in train(team, env, Clock(total_steps=6 * 30), 0):
        lengths = env.lengths.copy()
    if forgets:
        np.testing.assert_array_equal(team.latest.moves[lengths > 0], lengths[lengths > 0] - 1)
    else:
        assert (team.latest.moves == 30).all()
    saved = copy.deepcopy(team.state_dict())
    again, _ = made("self_play.latest_ratio=1")
    again.latest = Recurrent()
    again.load_state_dict(saved)
    np.testing.assert_array_equal(again.latest.moves, team.latest.moves)


def test_what_the_rival_sees() -> None:
    for sees in ("own", "learner"):
        team, env = made("self_play.latest_ratio=1", f"self_play.rival_sees={sees}")
        seen: list[np.ndarray] = []

        class Spy(Recurrent):
            def act(self, obs: Any, first: Any, legal: Any = None) -> np.ndarray:
                seen.append(obs.copy())  # noqa: B023
                return super().act(obs, first, legal)

        team.latest = Spy()
        tick = env.start(0)
        team.act(tick)
        own, other = team.seating.obs(tick), team.seating.other().obs(tick)
        np.testing.assert_array_equal(seen[0], own if sees == "learner" else other)


def test_both_views_are_stored() -> None:
    team, env = made(agent=DQN)
    added: list[Any] = []
    add = team.agent.buffer.add
    team.agent.buffer.add = lambda t: (added.append(t), add(t))
    for _ in train(team, env, Clock(total_steps=6 * 40), 0):
        pass
    assert len(added) == 80 and team.agent.steps == 240
    for mine, theirs in zip(added[::2], added[1::2], strict=True):
        np.testing.assert_array_equal(theirs.rows, mine.rows + 6)
        np.testing.assert_array_equal(theirs.ended, mine.ended)
        swap = np.array([0, 1, 2, 4, 3, 5, 7, 6])
        np.testing.assert_array_equal(swap[mine.obs], theirs.obs)
        assert (theirs.action >= 0).all()  # what scripted rivals did, too
    assert len(team.agent.buffer) == 480


def test_a_world_model_remembers_the_game_on_either_side() -> None:
    """A rival is asked about all rows at every move: the memory of none is lost in mid-game."""
    team, env = made("self_play.latest_ratio=0.5", "self_play.save_every=30", "self_play.window=2",
                     "self_play.both_views=true", agent=DREAMER)  # fmt: skip
    cleared = 0
    for _ in train(team, env, Clock(total_steps=6 * 40), 0):
        for number in {int(n) for n in team.rival if n >= LATEST}:
            policy = team.latest if number == LATEST else team.pool.copies[number].policy
            rows = (team.rival == number) & (env.lengths > 1)
            before = policy.before[rows] if len(policy.before) else np.ones((0, 6))
            assert len(policy.before) in (0, 6)
            cleared += int((before.sum(-1) == 0).sum())
    assert cleared == 0
    assert team.agent.buffer.rings.rows == 12 and len(team.agent.buffer) > 480


def test_the_first_copy_has_the_weights_that_a_run_begins_with() -> None:
    other, _ = made("seed=7")
    team, _ = made()
    team.load_weights({"learner": other.agent.state_dict()})
    alone, _ = made("seed=9")
    alone.load_weights({"player_0": other.agent.state_dict()})  # of an agent that had no copies
    for one in (team, alone):
        kept = one.pool.copies[1]
        for name, value in other.agent.state_dict()["weights"].items():
            for entry in value if isinstance(value, dict) else ():
                assert torch.equal(kept.weights[name][entry], value[entry])
        for mine, own in zip(vars(kept.policy).values(), vars(one.latest).values(), strict=True):
            if isinstance(mine, torch.nn.Module):
                for a, b in zip(mine.parameters(), own.parameters(), strict=True):
                    assert torch.equal(a, b)


@pytest.mark.parametrize("agent", [PPO, DQN, DREAMER], ids=["ppo", "dqn", "dreamer"])
def test_a_resumed_team_goes_on_the_same(agent: list[str]) -> None:
    more = ["self_play.save_every=50", "self_play.window=3", "self_play.scripted=[random,wait]",
            "self_play.scripted_share=0.3", "self_play.latest_ratio=0.3"]  # fmt: skip
    one, env = made(*more, agent=agent)
    other, again = made(*more, agent=agent)
    clock = Clock()
    turns = train(one, env, clock, 0)
    for _ in range(45):
        next(turns)
    other.load_state_dict(copy.deepcopy(one.state_dict()))
    again.load_state_dict(copy.deepcopy(env.state_dict()))
    twin_clock = Clock()
    twin_clock.load_state_dict(clock.state_dict())
    twins = train(other, again, twin_clock, 0)
    for _ in range(60):
        ours, theirs = next(turns).tick, next(twins).tick
        np.testing.assert_array_equal(ours.done[SOLO].action, theirs.done[SOLO].action)
        np.testing.assert_array_equal(ours.done[SOLO].next_obs, theirs.done[SOLO].next_obs)
        np.testing.assert_array_equal(one.rival, other.rival)
    assert one.rating == other.rating and one.pool.copies.keys() == other.pool.copies.keys()
    assert [c.rating for c in one.pool.copies.values()] == [
        c.rating for c in other.pool.copies.values()
    ]


def test_ratings_follow_elo() -> None:
    assert expected(1200, 1200) == 0.5 and expected(1600, 1200) == pytest.approx(10 / 11)
    assert rated(1200, 1200, 1.0) == (1208, 1192)
    assert rated(1600, 1200, 1.0)[0] == pytest.approx(1600 + 16 / 11)
    assert rated(1300, 1200, 0.5)[0] < 1300


def test_a_run_is_evaluated_from_both_corners(main: Any) -> None:
    run = [*GAME, *PPO, *FAST, "total_steps=288", "log_every=144", "run_dir=run",
           "evaluation.every=288", "evaluation.episodes=6", "self_play.evaluate=[wait,random]",
           "evaluation.gif=true", "checkpoint.archive_every=144"]  # fmt: skip
    rlexp.train(run)
    header = Path("run/metrics.csv").read_text().splitlines()[0].split(",")
    assert {
        "train/return", "train/return/rival", "train/rating", "train/pool", "train/won",
        "eval/ahead_rate/wait", "eval/win_rate_ci_high/random", "eval/hits/wait",
    } <= set(header)  # fmt: skip
    told = json.loads(Path("run/eval/step_000000288.json").read_text())
    assert list(told["by_rival"]) == ["wait", "random"]
    wait = told["by_rival"]["wait"]
    assert wait["ahead_rate"] + wait["behind_rate"] <= 1 and wait["games"] > 1
    assert wait["win_rate"] + wait["draw_rate"] + wait["loss_rate"] == pytest.approx(1)
    assert len(list(Path("run/media").glob("eval_*.gif"))) == 1
    code, out, _ = main("eval", "run", "episodes=4", "--json")
    result = json.loads(out)
    assert code == 0 and set(result["by_rival"]) == {"greedy", "sampled"}
    assert Path(result["gifs"]["median"]).is_file()
    code, out, _ = main("eval", "run", "episodes=2", "gif=false")
    assert code == 0 and "ahead" in out and "own hits" in out
    rlexp.train([*run[:-6], "total_steps=48", "evaluation.every=48", "evaluation.episodes=2",
                 "self_play.evaluate=[]", "evaluation.gif=false", "run_dir=itself"])  # fmt: skip
    told = json.loads(Path("itself/eval/step_000000048.json").read_text())
    assert "by_rival" not in told and told["greedy"]["played"] == 2
    loaded = rlexp.load("run")
    assert loaded.act(np.zeros((1, 5, 5), dtype=np.uint8)) in range(6)
    # Its learner may sit in another run's pool.
    rlexp.train([*run[:-1], "run_dir=next", "self_play.members=[run]", "agent.init_from=run"])
    state = json.loads(next(Path("next/checkpoints").glob("step_*/state.json")).read_text())
    names = [c["name"] for c in state["team"]["pool"]["copies"].values()]
    assert any("run/checkpoints" in name for name in names)
    # It is in the pool for good: the run that it came from may go.
    Path("run").rename("elsewhere")
    assert main("eval", "next", "episodes=1", "gif=false")[0] == 0


def test_matches_are_played_from_both_corners() -> None:
    team, env = made()
    act = team.match("wait", 6, True, 0)
    tick = env.start(0)
    seats = []
    for _ in range(30):
        actions = act(tick)
        seats.append([0 if actions["player_1"][row] == -2 else 1 for row in range(6)])
        assert all(
            (actions["player_0"][r] == -2) != (actions["player_1"][r] == -2) for r in range(6)
        )
        env.send(actions)
        tick = env.recv()
    assert seats[0] == [0, 1, 0, 1, 0, 1]
    assert {tuple(s) for s in seats} > {(0, 1, 0, 1, 0, 1)}


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (["self_play.scripted=[huntr]"], "self_play.scripted: no rival 'huntr'"),
        (["self_play.evaluate=[nobody]"], "self_play.evaluate: no rival 'nobody'"),
        (["self_play.scripted_share=0.5"], "self_play.scripted names nobody"),
        (["self_play.both_views=true"], "agent ppo keeps no buffer"),
        (["env.rival=wait"], "needs a game for two"),
        (["env=signaling"], "needs a game for two"),
        (["env=cartpole"], "needs a game for two"),
    ],
)
def test_mistakes_are_told_in_one_line(wrong: list[str], told: str) -> None:
    game = [o for o in GAME if o.startswith(("device", "self_play"))]
    base = game if wrong[0].startswith("env=") else GAME
    config = rlexp.compose([*base, "agent=ppo", *wrong]).config
    env = build.env(config.env)
    with pytest.raises(UserError) as caught:
        build.plan(config, env.spec)
    assert told in str(caught.value) and "\n" not in str(caught.value)


def test_a_foreign_file_in_the_pool(main: Any) -> None:
    """Neither a file that is no checkpoint nor one of another network leaves anything behind."""
    Path("foreign").mkdir()
    Path("foreign/weights.safetensors").write_bytes(b"not ours")
    start = ["train", *GAME, *PPO, *FAST, "total_steps=48", "run_dir=run"]
    code, _, err = main(*start, "self_play.members=[nowhere]")
    assert code == 2 and "no run or checkpoint 'nowhere'" in err and not Path("run").exists()
    code, _, err = main(*start, "self_play.members=[foreign]")
    assert code == 2 and len(err.strip().splitlines()) == 1 and "foreign" in err
    other = [*GAME, *PPO, *FAST, "agent.hidden=[8]", "total_steps=48", "run_dir=other"]
    rlexp.train(other)
    code, _, err = main(*start, "self_play.members=[other]")
    assert code == 2 and "self_play.members: the weights of other/checkpoints" in err
    assert len(err.strip().splitlines()) == 1 and not Path("run").exists()
    damaged = Path("other/checkpoints/last/weights.safetensors")
    damaged.write_bytes(damaged.read_bytes()[:-1])
    code, _, err = main(*start, "self_play.members=[other]")
    assert code == 2 and "damaged" in err and not Path("run").exists()
