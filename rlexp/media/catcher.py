"""What an agent that plays Catcher sees, for TensorBoard."""

from __future__ import annotations

import numpy as np

from rlexp.clock import parse_every
from rlexp.envs.base import is_image
from rlexp.loop import Turn
from rlexp.media.pictures import Picture, Scene

EVERY = 100


class Frames(Picture):
    """The newest frame of each step of the first and every 100th learning episode.

    Those of episode 200 are `frames/episode_200`; TensorBoard shows all of them with
    --samples_per_plugin images=10000. Of several rows the first is shown. Which episode it is says
    the clock, so that a resumed run goes on with the right one. Rows that play together share its
    count: with N of them the first row is shown while N games end.
    """

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        starts = getattr(scene.config.agent, "learning_starts", 0)
        self.first = 0  # episodes before the first update, where the config counts in them
        if str(starts) != "0":
            count, unit = parse_every(starts)
            self.first = count if unit == "episodes" else 0

    def turn(self, turn: Turn) -> None:
        episode = turn.clock.previous_episodes  # a tick that ends a game still belongs to it
        rows = self.scene.env.spec.num_envs
        learning = episode - self.first
        if learning < 0 or learning % EVERY >= rows:
            return
        picture = self._newest(turn)
        if picture is not None:
            shown = episode - learning % EVERY
            self.scene.logger.image(turn.clock.steps, f"frames/episode_{shown}", picture)

    def _newest(self, turn: Turn) -> np.ndarray | None:
        """RGB [H, W, 3] as the agent sees it; the game's own picture where it sees a vector."""
        seat, transition = next(iter(turn.tick.done.items()))
        spec = self.scene.env.spec
        space = spec.observation_spaces[seat]
        if not is_image(space):
            return None if transition.ended[0] else self.scene.env.render(0)
        assert isinstance(transition.next_obs, np.ndarray)
        channels = 1 if getattr(self.scene.config.env, "gray", False) else 3
        picture = transition.next_obs[0, -channels:].transpose(1, 2, 0)
        return np.broadcast_to(picture, (*picture.shape[:2], 3))
