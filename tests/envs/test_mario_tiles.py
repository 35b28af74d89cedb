"""What is read from the game's memory, against what the screen shows at the same moment."""

from __future__ import annotations

import numpy as np

from rlexp.envs import mario_tiles
from rlexp.envs.mario import Emulator
from rlexp.envs.mario_tiles import SIZE, Tiles
from rlexp.types import SOLO
from tests.envs.test_mario import make

# After 33 moves to the right, read off the screen: Mario (in the fourth column) stands on the
# ground, a question block is up in front of him, a Goomba (E) comes towards him under a row of
# five blocks, of which the last is half on the screen; another question block is above that row.
SHOWN = """\
..............
..............
..............
..........#...
..............
..............
..............
....#...#####.
..............
..............
........E.....
#############.
#############.
"""


def walked(moves: int) -> Emulator:
    env = Emulator(target=(1, 1))
    env.reset()
    for _ in range(4 * moves):
        env.step(0x80)
    return env


def test_the_grid_is_what_the_screen_shows() -> None:
    env = walked(33)
    cells = mario_tiles.grid(env.ram)
    assert "\n".join("".join(".#E"[cell] for cell in row) for row in cells) == SHOWN.strip()
    # The same from the picture: where the grid has something, the screen is not all sky.
    screen, scrolled = np.ascontiguousarray(env.screen), int(env.ram[0x71C])
    sky = screen[40, 128]
    for row, column in zip(*np.nonzero(cells), strict=True):
        left = ((env._x_position + 8) // 16 + int(column) - 3) * 16 - scrolled
        left += 6 if cells[row, column] == -1 else 0  # the Goomba is between two cells
        part = screen[32 + 16 * row : 48 + 16 * row, max(0, left) : left + 16]
        assert (part != sky).any(-1).mean() > 0.3, (row, column)


def test_numbers_of_enemies_and_of_mario() -> None:
    env = walked(33)
    seen = Tiles(env).look()
    assert seen.shape == (SIZE,) and seen.dtype == np.float32
    enemy, mario = seen[182:186], seen[-7:]
    assert enemy[0] == 1 and enemy[1] * 128 == 74  # the Goomba, 74 pixels ahead on the screen too
    assert enemy[3] < 0 and (seen[186:202] == 0).all()  # it comes nearer, and it is alone
    assert mario[2] * 40 == 28 and mario[3] == 0  # he walks at full speed, neither up nor down
    assert mario[4] == 1 and mario[5] == 0  # stands; A is not held
    env.step(0x81)
    env.step(0x81)
    jumping = Tiles(env).look()[-7:]
    assert jumping[3] < 0 and jumping[4] == 0 and jumping[5] == 1


def test_as_an_environment() -> None:
    env = make(observation="tiles", num_envs=2)
    tick = env.start(0)
    space = env.spec.observation_spaces[SOLO]
    assert space.shape == (SIZE,) and env.spec.frame_stack == 1
    env.send({SOLO: np.ones(2, dtype=int)})
    after = env.recv().obs[SOLO]
    assert space.contains(after[0]) and (after != tick.obs[SOLO]).any()
    env.close()
