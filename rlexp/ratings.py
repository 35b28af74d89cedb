"""How strong players are, from all their games with each other: Bradley and Terry (1952)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

MEAN = 1200.0  # the average rating of the players
PRIOR = 1.0  # games drawn against an average player that everyone is credited with


@dataclass(frozen=True)
class Ratings:
    """Elo ratings with 95 % intervals; `cycles`: of `triples`, those that go round in a circle."""

    elo: np.ndarray
    low: np.ndarray
    high: np.ndarray
    cycles: int
    triples: int


def rate(wins: np.ndarray, draws: np.ndarray, samples: int = 300, seed: int = 0) -> Ratings:
    """Of counts [P, P]: wins[i, j] games that i won against j, draws symmetric.

    Each pair is credited with one game more, a third for each outcome: a few games that all went
    one way need not always do so. Intervals are the middle 95 % of ratings under what the pairs'
    rates may be after their games (Rubin's Bayesian bootstrap, 1981).
    """
    rng = np.random.default_rng(seed)
    drawn = np.zeros((samples + 1, *wins.shape))  # the first: what is most believable
    for i, j in combinations(range(len(wins)), 2):
        counts = np.array([wins[i, j], draws[i, j], wins[j, i]]) + 1 / 3
        games = int(wins[i, j] + draws[i, j] + wins[j, i])
        shares = np.vstack([counts / counts.sum(), rng.dirichlet(counts, size=samples)])
        drawn[:, i, j] = games * (shares[:, 0] + shares[:, 1] / 2)
        drawn[:, j, i] = games - drawn[:, i, j]
    found = elo(drawn)
    low, high = np.percentile(found[1:], [2.5, 97.5], axis=0)
    cycles, triples = intransitive(wins + draws / 2)
    return Ratings(found[0], low, high, cycles, triples)


def elo(points: np.ndarray, rounds: int = 500) -> np.ndarray:
    """Ratings [B, P] of points [B, P, P], draws by half, on average MEAN.

    Maximum likelihood by Hunter's algorithm (2004, eq. 3), each player credited with PRIOR draws
    against an average one, so that who never lost is not infinitely strong.
    """
    games = points + points.swapaxes(1, 2)
    won = points.sum(2) + PRIOR / 2
    strength = np.ones(points.shape[:2])
    for _ in range(rounds):
        met = games / (strength[:, :, None] + strength[:, None])
        found = won / (met.sum(2) + PRIOR / (strength + 1))
        found /= np.exp(np.log(found).mean(1, keepdims=True))
        done = np.abs(np.log(found / strength)).max() < 1e-9
        strength = found
        if done:
            break
    return MEAN + 400 * np.log10(strength)


def intransitive(points: np.ndarray) -> tuple[int, int]:
    """(circles a beats b beats c beats a, triples in which every pair has a better one)."""
    better = points > points.T
    cycles = triples = 0
    for a, b, c in combinations(range(len(points)), 3):
        if all(better[i, j] or better[j, i] for i, j in ((a, b), (b, c), (a, c))):
            triples += 1
            cycles += bool(
                (better[a, b] and better[b, c] and better[c, a])
                or (better[b, a] and better[c, b] and better[a, c])
            )
    return cycles, triples
