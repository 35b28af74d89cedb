"""The frames of Catcher that TensorBoard gets, through real runs."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import rlexp
from conftest import FAST

RUN = [
    "env=catcher", *FAST, "logger=[csv,tensorboard]", "total_steps=null", "run_dir=run",
    "pictures=[rlexp.media.catcher:Frames]", "env.lives=1", "env.max_steps=7",
]  # fmt: skip


def frames(tag: str) -> list[int]:
    found = EventAccumulator("run/tb", {"images": 0}).Reload()
    if tag not in found.Tags()["images"]:
        return []
    return [image.step for image in found.Images(tag)]


def test_the_first_and_every_100th_learning_episode() -> None:
    """Episodes of 7 moves: the 102nd is moves 708 to 714."""
    agent = ["agent=dqn", "agent.hidden=[8]", "agent.train_every=1000", "env.observation=state"]
    rlexp.train([*RUN, *agent, "agent.learning_starts=1ep", "total_episodes=103"])
    assert frames("frames/episode_0") == []
    assert frames("frames/episode_1") == list(range(8, 14))  # the 14th ended: a new game is shown
    assert frames("frames/episode_101") == list(range(708, 714))
    assert frames("frames/episode_2") == []


@pytest.mark.parametrize("gray", ["true", "false"])
def test_pictures_are_what_the_agent_sees(gray: str) -> None:
    game = ["env.max_steps=30", f"env.gray={gray}"]
    rlexp.train([*RUN, "agent=random", "total_episodes=1", *game])
    assert frames("frames/episode_0") == list(range(1, 31))
    found = EventAccumulator("run/tb", {"images": 0}).Reload()
    image = found.Images("frames/episode_0")[-1]
    picture = np.asarray(Image.open(BytesIO(image.encoded_image_string)))
    assert picture.shape == (80, 80, 3)
    colours = {tuple(int(v) for v in p) for p in picture.reshape(-1, 3)}
    assert (255, 255, 255) in colours
    assert ((160, 160, 160) in colours) == (gray == "true")
    assert ((255, 120, 120) in colours) == (gray == "false")


def test_several_rows_share_the_count() -> None:
    rlexp.train([*RUN, "agent=random", "env.num_envs=4", "total_episodes=12"])
    assert frames("frames/episode_0") == [4, 8, 12, 16, 20, 24, 28]
