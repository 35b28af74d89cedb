"""Seeds for everything random, all from the run's one seed, none from another's draws."""

from __future__ import annotations

import zlib


def derive(seed: int, purpose: str) -> int:
    """A 32-bit seed for `purpose`: independent streams for different purposes and seeds."""
    import numpy as np  # not above: the command line starts without it

    key = [seed & 0xFFFFFFFF, seed >> 32, zlib.crc32(purpose.encode())]
    return int(np.random.SeedSequence(key).generate_state(1)[0])
