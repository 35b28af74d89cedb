"""Open-loop prediction on games that training never saw: played, measured, drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from rlexp import strict_json
from rlexp.agents.dreamer.agent import Dreamer
from rlexp.agents.dreamer.open_loop import DREAMS, Played, errors, open_loop, psnr
from rlexp.agents.random import Random
from rlexp.errors import UserError
from rlexp.media import gif
from rlexp.media.pictures import Picture, Scene
from rlexp.media.plots import COLOURS, figure
from rlexp.run_dir import write_text
from rlexp.seeds import derive
from rlexp.types import Env, EnvSpec, Metrics, Seat, Tick, Tree

CONTEXT, HORIZON = 10, 15
"""Steps that are seen before the logged predictions, and how far these reach."""
SHOWN = (1, 5, 10, 15)
GAMES = 16
LATEST = 60
"""Steps after which a stretch of a game begins at the latest, when it is logged."""
TRIES = 8
"""So many games of a row may end before a stretch is whole; the last count from their beginning."""
SEEN, DREAMT = (0, 158, 115), (213, 94, 0)
INK, PAPER = (40, 40, 40), (255, 255, 255)
Act = Callable[[Tick], dict[Seat, Tree]]


def play(
    env: Env, seat: Seat, act: Act, encode: Callable[[np.ndarray], np.ndarray], steps: int,
    seed: int, latest: int, limit: int = 2000,
) -> Played | None:  # fmt: skip
    """A stretch of `steps` steps of one game from every row; None where no game was long enough.

    Each begins a random number of steps, at most `latest`, after its game did. A row that has none
    after `limit` ticks, or after TRIES games, is left out.
    """
    rows = env.spec.num_envs
    offsets = np.random.default_rng(seed).integers(latest + 1, size=rows)
    ages = np.zeros(rows, dtype=np.int64)  # steps of the game before the observation at hand
    short = np.zeros(rows, dtype=np.int64)  # games that were
    parts: list[list[tuple[Any, Any, bool]]] = [[] for _ in range(rows)]
    tick = env.start(seed)
    nothing = None
    for _ in range(limit):
        if all(len(part) == steps or n >= TRIES for part, n in zip(parts, short, strict=True)):
            break
        obs, action = tick.obs[seat], act(tick)
        encoded = encode(np.asarray(action[seat]))
        nothing = np.zeros_like(encoded[0])
        env.send(action)
        following = env.recv()
        done = following.done[seat]
        assert isinstance(obs, np.ndarray) and isinstance(done.next_obs, np.ndarray)
        for row in range(rows):
            part = parts[row]
            if len(part) == steps or short[row] >= TRIES:
                continue
            if not part and ages[row] >= offsets[row]:
                part.append((obs[row].copy(), nothing, True))
            if part:
                part.append((done.next_obs[row].copy(), encoded[row], False))
            ages[row] += 1
            if done.ended[row]:
                ages[row] = 0
                if len(part) < steps:
                    part.clear()
                    short[row] += 1
                    offsets[row] //= 2  # games are shorter than hoped for
        tick = following
    whole = [part for part in parts if len(part) == steps]
    if not whole:
        return None
    columns = [
        np.stack([np.stack([entry[i] for entry in part]) for part in whole], axis=1)
        for i in range(3)
    ]
    return Played(*columns)


def at_random(spec: EnvSpec, seed: int) -> Act:
    """Every seat draws its actions, legal ones where the environment says which are."""
    agents = {seat: Random(space, derive(seed, seat)) for seat, space in spec.action_spaces.items()}

    def act(tick: Tick) -> dict[Seat, Tree]:
        return {
            s: agents[s].act(obs, tick.first, tick.action_mask(s)) for s, obs in tick.obs.items()
        }

    return act


@dataclass(frozen=True)
class Dream:
    """Stretches of games and what the model made of them, `context` steps seen beforehand."""

    played: Played
    shown: np.ndarray
    context: int

    @property
    def pixels(self) -> bool:
        return self.played.obs.ndim == 5

    def by_horizon(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean squared errors [horizon] of the prediction and of the copied frame."""
        ours, copied = errors(self.played, self.shown, self.context)
        return ours.mean(1), copied.mean(1)

    def report(self) -> dict[str, Any]:
        """What the JSON file holds."""
        ours, copied = self.by_horizon()
        found: dict[str, Any] = {
            "games": self.played.obs.shape[1],
            "context": self.context,
            "horizon": list(range(1, len(ours) + 1)),
            "error": ours.tolist(),
            "copied_error": copied.tolist(),
        }
        if self.pixels:
            found["psnr"], found["copied_psnr"] = psnr(ours).tolist(), psnr(copied).tolist()
        return found


def dream(
    agent: Dreamer, env: Env, act: Act, context: int, horizon: int, seed: int,
    latest: int = LATEST, dreams: int = DREAMS, min_p: float = 0.0,
) -> Dream | None:  # fmt: skip
    """Plays and predicts; None where no game is as long as that."""
    seat = next(iter(env.spec.observation_spaces))
    played = play(env, seat, act, agent.actions.encode, context + horizon, seed, latest)
    if played is None:
        return None
    return Dream(played, open_loop(agent.model, played, context, dreams, min_p), context)


class OpenLoop(Picture):
    """Logs how well the model predicts, and draws a dream at the end.

    Its games are its own, the same beginnings every time, played by the agent of the day.
    """

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        agent = getattr(scene.team, "agent", None)
        if not isinstance(agent, Dreamer):
            raise UserError("pictures: OpenLoop is for agents with a world model: agent=dreamer")
        self.agent = agent

    def _dream(self, context: int, horizon: int) -> Dream | None:
        from rlexp import build

        seed = derive(self.scene.config.seed, "open loop")
        act = self.scene.team.policy(greedy=False, seed=derive(seed, "policy"))
        env = build.env(self.scene.config.env, GAMES, evaluation=True)
        try:
            return dream(self.agent, env, act, context, horizon, seed)
        finally:
            env.close()

    def metrics(self) -> Metrics:
        if not self.agent.started:
            return {}
        found = self._dream(CONTEXT, HORIZON)
        if found is None or not found.pixels:
            return {}
        told: Metrics = {}
        for name, values in zip(("open_loop", "copied"), found.by_horizon(), strict=True):
            told |= {f"eval/{name}_psnr_{k}": float(psnr(values[k - 1])) for k in SHOWN}
        return told

    def finish(self, step: int) -> None:
        found = self._dream(CONTEXT, 50) or self._dream(CONTEXT, HORIZON)
        if found is not None:
            write(found, self.scene.run.media, "dream", self.scene.title)


def write(found: Dream, folder: Path, name: str, title: str, fps: int = 10) -> dict[str, str]:
    """NAME.json, NAME.png (error by horizon) and, of pictures, NAME.gif; gives their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = {kind: folder / f"{name}.{kind}" for kind in ("json", "png", "gif")}
    write_text(paths["json"], strict_json.dumps(found.report(), indent=1) + "\n")
    draw(found, title).savefig(paths["png"], dpi=120)
    if found.pixels:
        gif.write(paths["gif"], frames(found), fps)
    else:
        del paths["gif"]
    return {kind: str(path) for kind, path in paths.items()}


def draw(found: Dream, title: str) -> Any:
    """Error by horizon, the prediction's beside the copied frame's."""
    drawn, ((ax,),) = figure(1, 1)
    ours, copied = errors(found.played, found.shown, found.context)
    steps = np.arange(1, len(ours) + 1)
    kinds = (("predicted", ours, COLOURS[1]), ("last frame, copied", copied, COLOURS[0]))
    for label, values, colour in kinds:
        mean = values.mean(1)
        ax.plot(steps, psnr(mean) if found.pixels else np.sqrt(mean), color=colour, label=label)
        low, high = np.quantile(values, [0.25, 0.75], axis=1)
        if found.pixels:
            low, high = psnr(high), psnr(low)
        else:
            low, high = np.sqrt(low), np.sqrt(high)
        ax.fill_between(steps, low, high, color=colour, alpha=0.15, linewidth=0)
    what = "PSNR, dB: higher is better" if found.pixels else "root mean squared error"
    ax.set_title(what, fontsize=9, loc="left")
    ax.set_xlabel(f"steps since the model last saw the game ({found.context} seen)", fontsize=8)
    ax.legend(fontsize=7, frameon=False)
    games = found.played.obs.shape[1]
    drawn.suptitle(f"{title}: open loop, {games} unseen games", fontsize=9)
    return drawn


def frames(found: Dream, games: int = 3) -> list[np.ndarray]:
    """RGB pictures of the GIF: games below one another, each true | predicted | error.

    The border is green while the model sees the game, orange once it dreams.
    """
    steps, count = found.shown.shape[:2]
    count = min(count, games)
    return [_frame(found, t, count) for t in range(steps)]


def _frame(found: Dream, t: int, count: int) -> np.ndarray:
    height, width = found.shown.shape[-2:]
    times = max(1, round(112 / height))
    high, wide, line, head = height * times, width * times, 4, 16
    board = Image.new("RGB", (3 * (wide + 2 * line) + 8, count * (high + 2 * line) + head), PAPER)
    pen, font = ImageDraw.Draw(board), ImageFont.load_default(11)
    colour = SEEN if t < found.context else DREAMT
    ahead = t - found.context + 1
    names = ("true", "predicted", "error")
    state = f"seen, step {t + 1}" if ahead <= 0 else f"dreamt, +{ahead}"
    for column, name in enumerate(names):
        left = column * (wide + 2 * line + 4)
        pen.text((left + line, 1), name, INK, font)
        for game in range(count):
            true = rgb(found.played.obs[t, game].astype(np.float32) / 255)
            ours = rgb(found.shown[t, game])
            shown = (true, ours, np.abs(true - ours))[column]
            picture = Image.fromarray((255 * shown + 0.5).astype(np.uint8))
            picture = picture.resize((wide, high), Image.Resampling.NEAREST)
            top = head + game * (high + 2 * line)
            box = (left, top, left + wide + 2 * line - 1, top + high + 2 * line - 1)
            pen.rectangle(box, fill=colour)
            board.paste(picture, (left + line, top + line))
    pen.text((board.width - line, 1), state, colour, font, anchor="ra")
    return np.array(board)


def rgb(picture: np.ndarray) -> np.ndarray:
    """Channel-first [C, H, W] in 0..1 → [H, W, 3]; of a stack, the newest."""
    channels = picture.shape[0]
    newest = picture[-3:] if channels % 3 == 0 else picture[-1:]
    return np.broadcast_to(newest.transpose(1, 2, 0), (*picture.shape[1:], 3))
