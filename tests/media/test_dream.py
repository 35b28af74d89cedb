"""Open-loop prediction: what is played, measured and drawn; `rlexp dream` from end to end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import rlexp
from rlexp.agents.dreamer.open_loop import Played, errors, likely, open_loop, psnr
from rlexp.loggers.csv import read
from rlexp.media.dream import DREAMT, SEEN, Dream, at_random, frames, play
from rlexp.networks.dreamer.distributions import CategoricalLatents, GaussianLatents
from rlexp.types import SOLO, Tick
from tiny import Corridor

TINY = [
    "agent.depth=2", "agent.deter=16", "agent.hidden=16", "agent.units=16", "agent.stoch=4",
    "agent.classes=4", "agent.batch_size=2", "agent.chunk=8", "agent.imagine_last=2",
    "agent.horizon=3", "agent.train_ratio=1", "agent.learning_starts=100", "total_steps=240",
    "evaluation.every=null", "device=cpu", "device.threads=1", "logger=csv", "log_every=200",
]  # fmt: skip


def test_errors_and_psnr_by_hand() -> None:
    """One game of two pixels: the model sees two steps and predicts two."""
    obs = np.array([0, 51, 102, 255], np.uint8).reshape(4, 1, 1, 1, 1).repeat(2, -1)
    shown = np.array([0, 0, 0.5, 0.9], np.float32).reshape(4, 1, 1, 1, 1).repeat(2, -1)
    played = Played(obs, np.zeros((4, 1, 1), np.float32), np.zeros((4, 1), bool))
    ours, copied = errors(played, shown, context=2)
    np.testing.assert_allclose(ours[:, 0], [0.01, 0.01], rtol=1e-5)  # 0.4 and 1 are true
    np.testing.assert_allclose(copied[:, 0], [0.04, 0.64], rtol=1e-5)  # 0.2 copied
    np.testing.assert_allclose(psnr(ours[:, 0]), [20.0, 20.0], rtol=1e-5)


def right(tick: Tick) -> dict[str, Any]:
    return {SOLO: np.ones(len(tick.first), dtype=np.int64)}


def encode(action: np.ndarray) -> np.ndarray:
    return np.eye(2, dtype=np.float32)[action]


def test_a_stretch_lies_in_one_game() -> None:
    """Always right: five cells a game, so that four steps from any beginning are rare."""
    played = play(Corridor(6), SOLO, right, encode, steps=4, seed=0, latest=3)
    assert played is not None
    cells = played.obs.argmax(-1)
    assert (np.diff(cells, axis=0) == 1).all()  # no jump back to a new game's first cell
    assert played.first[0].all() and not played.first[1:].any()
    assert (played.action[0] == 0).all() and (played.action[1:, :, 1] == 1).all()
    assert play(Corridor(2), SOLO, right, encode, steps=6, seed=0, latest=0, limit=50) is None


def test_games_that_are_too_short_are_soon_given_up() -> None:
    moves = 0

    def counted(tick: Tick) -> dict[str, Any]:
        nonlocal moves
        moves += 1
        return right(tick)

    assert play(Corridor(2), SOLO, counted, encode, steps=60, seed=0, latest=60) is None
    assert moves <= 8 * 5


def test_the_border_changes_where_prediction_starts() -> None:
    rng = np.random.default_rng(0)
    obs = rng.integers(256, size=(5, 4, 3, 16, 16), dtype=np.uint8)
    played = Played(obs, np.zeros((5, 4, 2), np.float32), np.zeros((5, 4), bool))
    pictures = frames(Dream(played, obs.astype(np.float32) / 255, 2))
    assert len(pictures) == 5 and len({p.shape for p in pictures}) == 1
    colours = [tuple(int(c) for c in p[20, 1]) for p in pictures]
    assert colours == [SEEN, SEEN, DREAMT, DREAMT, DREAMT]
    side = 16 * 7
    true, ours = pictures[3][20:132, 4:116], pictures[3][20:132, 128:240]
    error = pictures[3][20:132, 252 : 252 + side]
    assert true[::7, ::7].tolist() == obs[3, 0].transpose(1, 2, 0).tolist()
    assert (ours == true).all() and (error == 0).all()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Dreamer that has hardly learnt, on Catcher from pictures of 32x32."""
    folder = tmp_path_factory.mktemp("dream") / "run"
    small = ["env.size=32", "env.num_envs=4", "buffer.capacity=2000", f"run_dir={folder}"]
    rlexp.train(["experiment=catcher_dreamer", *TINY, *small])
    return folder


def test_open_loop_is_logged_and_drawn(run: Path) -> None:
    last = read(run / "metrics.csv")[1][-1]
    for k in (1, 5, 10, 15):
        assert float(last[f"eval/open_loop_psnr_{k}"]) > 0
        assert float(last[f"eval/copied_psnr_{k}"]) > 10
    assert float(last["time/updates_per_s"]) > 0
    assert all((run / "media" / f"dream.{kind}").is_file() for kind in ("json", "png", "gif"))


def test_the_prediction_is_the_mean_of_dreams_and_sees_no_future(run: Path) -> None:
    team = rlexp.load(run).team
    model = team.agent.model  # type: ignore[attr-defined]
    rng = np.random.default_rng(0)
    obs = rng.integers(256, size=(7, 3, 3, 32, 32), dtype=np.uint8)
    action = np.eye(3, dtype=np.float32)[rng.integers(3, size=(7, 3))]
    played = Played(obs, action, np.arange(7)[:, None].repeat(3, 1) == 0)
    both = open_loop(model, played, context=3, dreams=2)
    one = open_loop(model, played, context=3, dreams=1)
    assert both.shape == obs.shape and both.min() >= 0 and both.max() <= 1
    other = 2 * both - one  # the second dream alone
    gaps = [np.square(dream[3:] - obs[3:] / 255).mean() for dream in (one, other, both)]
    assert np.abs(one - other)[3:].max() > 1e-4 and gaps[2] < (gaps[0] + gaps[1]) / 2
    later = obs.copy()
    later[3:] = 255 - later[3:]
    unseen = open_loop(model, Played(later, action, played.first), context=3, dreams=2)
    np.testing.assert_array_equal(unseen, both)
    actions = action[:, :, ::-1].copy()
    assert not np.allclose(open_loop(model, Played(obs, actions, played.first), 3, 2), both)


def test_min_p_leaves_out_what_is_unlikely() -> None:
    """Two latents of three classes; a twentieth of the likeliest is less than a tenth."""
    stats = torch.tensor([[0.8, 0.16, 0.04, 0.4, 0.3, 0.3]])
    latents = CategoricalLatents(2, 3, 0.0)
    expected = torch.tensor([[0.8 / 0.96, 0.16 / 0.96, 0.0, 0.4, 0.3, 0.3]])
    torch.testing.assert_close(likely(latents, stats, 0.1), expected)
    assert likely(latents, stats, 0.0) is stats
    assert likely(latents, stats, 1.0).tolist() == [[1.0, 0.0, 0.0, 1.0, 0.0, 0.0]]
    assert likely(GaussianLatents(3, 0.1), stats, 0.5) is stats


def test_dream(run: Path, main: Any) -> None:
    code, out, err = main("dream", str(run), "context=4", "steps=9", "games=2")
    assert code == 0, err
    (gif,) = (run / "media").glob("dream_*.gif")
    with Image.open(gif) as picture:
        assert picture.n_frames == 13  # type: ignore[attr-defined]
    report = json.loads(gif.with_suffix(".json").read_text())
    assert report["horizon"] == list(range(1, 10)) and report["games"] == 2
    assert len(report["psnr"]) == len(report["copied_psnr"]) == 9
    assert str(gif) in out and gif.with_suffix(".png").is_file()
    code, out, err = main(
        "dream", str(run), "steps=9", "games=2", "play=random", "seed=1", "min_p=0.1"
    )
    assert code == 0 and "2 unseen games" in out, err


def test_random_players_draw_legal_actions() -> None:
    env = Corridor(6)
    act = at_random(env.spec, seed=3)
    tick = env.start(0)
    drawn = np.concatenate([act(tick)[SOLO] for _ in range(200)])
    assert set(drawn.tolist()) == {0, 1}
    again = at_random(env.spec, seed=3)
    assert np.concatenate([again(tick)[SOLO] for _ in range(200)]).tolist() == drawn.tolist()
    only = Tick(tick.obs, tick.first, legal={SOLO: np.tile([False, True], (len(tick.first), 1))})
    assert all((act(only)[SOLO] == 1).all() for _ in range(20))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["steps=0"], "steps=0 must be a whole number, at least 1"),
        (["steps=3000", "context=5"], "no game lasted 3005 steps"),
        (["stepps=3"], "Did you mean 'steps'"),
        (["play=randm"], "Did you mean 'random'"),
        (["min_p=half"], "min_p=half must be a number from 0 to 1"),
        (["min_p=2"], "min_p=2 must be a number from 0 to 1"),
    ],
)
def test_what_cannot_be_dreamt(run: Path, main: Any, words: list[str], message: str) -> None:
    code, _, err = main("dream", str(run), *words)
    assert code == 2 and message in err and err.count("\n") == 1


def test_only_world_models_dream(main: Any) -> None:
    rlexp.train(["agent=random", "total_steps=10", "logger=csv", "evaluation.every=null",
                 "run_dir=other"])  # fmt: skip
    code, _, err = main("dream", "other")
    assert code == 2 and "has no world model to dream with" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["agent=dreamer_v1", "env=cartpole"], "agent.encoder=cnn sees pictures"),
        (["agent=dreamer_v1", "env=catcher", "env.stack=1"], "write env.resize=[64,64]"),
        (["agent=dreamer", "env=catcher", "env.resize=[84,84]"], "write env.resize=[80,80]"),
        (["agent=dreamer", "buffer.capacity=20"], "agent.chunk=32 is longer than the buffer"),
        (["agent=dreamer", "agent.mistakes=[swaped_kl]"], "Did you mean 'swapped_kl'"),
        (["agent=dreamer", "agent.bins=10"], "agent.bins=10 must be null or an odd number"),
        (["agent=dreamer", "buffer=replay"], "Choose from: auto, sequence"),
        (["agent=dreamer", "env=maze"], "the agent takes vector or pixels"),
    ],
)
def test_one_clear_line(main: Any, words: list[str], message: str) -> None:
    code, _, err = main("train", *words, "run_dir=none", "logger=csv")
    assert code == 2 and message in err and err.count("\n") == 1
    assert not Path("none").exists()
