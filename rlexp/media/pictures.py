"""What a run draws into media/ besides learning curves: the config's `pictures`.

Each is a class "module:Class" that overrides what it needs of `Picture`. One that fails is told,
and takes nothing along: a run is worth more than its pictures.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlexp import registry
from rlexp.errors import UserError
from rlexp.loggers.base import Logger
from rlexp.loop import Turn
from rlexp.media.plots import pixels
from rlexp.run_dir import RunDir
from rlexp.schemas.run import RunConfig
from rlexp.types import Env, Metrics, Team


@dataclass(frozen=True)
class Scene:
    """What a picture may look at. `env` is the one training plays: look, don't step."""

    run: RunDir
    config: RunConfig
    team: Team
    env: Env
    make_env: Callable[..., Env]  # a new one, as evaluation has it; held_out=False: training's data
    logger: Logger

    @property
    def title(self) -> str:
        return f"{self.config.agent.name} on {self.config.env.name}, seed {self.config.seed}"

    def save(self, figure: Any, name: str, step: int = 0) -> Path:
        """Write a matplotlib figure to media/NAME.png, and to TensorBoard."""
        path = self.run.media / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=120)
        self.logger.image(step, f"media/{name}", pixels(figure))
        return path


class Picture:
    """Base of all: does nothing. Keep no state that a resumed run would miss."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene

    def start(self) -> None:
        """Before the first step of a new run."""

    def turn(self, turn: Turn) -> None:
        """After every tick: be quick."""

    def metrics(self) -> Metrics:
        """Values of now, logged beside the agent's: what needs both agent and environment."""
        return {}

    def finish(self, step: int) -> None:
        """The run is over."""


def picture_class(spec: str) -> type[Picture]:
    """Return the class that an entry of `pictures` names; UserError for anything else."""

    def fits(found: Any) -> bool:
        return isinstance(found, type) and issubclass(found, Picture)

    kind = registry.imported(spec, "pictures", fits, "a Picture (rlexp.media)")
    if not fits(kind):
        raise UserError(f"pictures={spec} is not a class that extends rlexp.media.pictures.Picture")
    return kind  # type: ignore[no-any-return]


class Album:
    """All pictures of a run."""

    def __init__(self, classes: Sequence[type[Picture]], scene: Scene) -> None:
        self.scene = scene
        self.pictures = [kind(scene) for kind in classes]
        self.moving = [p for p in self.pictures if type(p).turn is not Picture.turn]

    def start(self) -> None:
        for picture in list(self.pictures):
            self._try(picture, picture.start)

    def turn(self, turn: Turn) -> None:
        for picture in list(self.moving):
            self._try(picture, lambda picture=picture: picture.turn(turn))  # type: ignore[misc]

    def metrics(self) -> Metrics:
        found: Metrics = {}
        for picture in list(self.pictures):
            self._try(picture, lambda picture=picture: found.update(picture.metrics()))  # type: ignore[misc]
        return found

    def finish(self, step: int) -> None:
        for picture in list(self.pictures):
            self._try(picture, lambda picture=picture: picture.finish(step))  # type: ignore[misc]

    def _try(self, picture: Picture, draw: Callable[[], None]) -> None:
        try:
            draw()
        except (Exception, SystemExit):
            name = type(picture).__name__
            self.scene.logger.note(f"picture {name} failed:\n{traceback.format_exc()}")
            self.pictures.remove(picture)
            if picture in self.moving:
                self.moving.remove(picture)
