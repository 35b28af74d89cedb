"""How strong players are, from all their games with each other: Bradley and Terry (1952)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

MEAN = 1200.0
PER_NAT = 400 / np.log(10)  # Elo points of one unit of log odds
# Before any game a strength is taken to be normal, so wide: who won all of 20 games may be 400
# points ahead or 1,000. Wider, and such gaps come out too large; narrower, too small.
WIDE = 500 / PER_NAT
TAILS = 5.0  # degrees of freedom of what is drawn from: fewer have longer tails


@dataclass(frozen=True)
class Ratings:
    """Elo ratings with 95 % intervals; `cycles`: of `triples`, those that go round in a circle."""

    elo: np.ndarray
    low: np.ndarray
    high: np.ndarray
    cycles: int
    triples: int


def rate(wins: np.ndarray, draws: np.ndarray, samples: int = 20_000, seed: int = 0) -> Ratings:
    """Of counts [P, P]: wins[i, j] games that i won against j, draws symmetric: half a win each.

    Ratings are medians of what strengths may be after these games (the posterior), intervals its
    middle 95 %. 1200 is the mean of all, each counted by how much its games tell: one that loses
    every game could be any distance behind, and must not move the others.
    """
    points = wins + draws / 2
    drawn, weight = posterior(points, samples, np.random.default_rng(seed))
    told = information(points, most_likely(points)).diagonal()
    told = told / told.sum() if told.sum() > 0 else np.full(len(points), 1 / len(points))
    ratings = MEAN + PER_NAT * (drawn - drawn @ told[:, None])
    low, middle, high = (quantile(ratings, weight, q) for q in (0.025, 0.5, 0.975))
    return Ratings(middle, low, high, *intransitive(points))


def log_posterior(points: np.ndarray, strength: np.ndarray) -> np.ndarray:
    """[B], but for a constant, of strengths [B, P] in nats: i beats j with log odds s_i - s_j."""
    ahead = strength[:, :, None] - strength[:, None]
    likely = -(points * np.logaddexp(0, -ahead)).sum((1, 2))
    return likely - 0.5 * np.square(strength / WIDE).sum(1)


def information(points: np.ndarray, strength: np.ndarray) -> np.ndarray:
    """Minus the second derivative [P, P] of the likelihood's logarithm at strengths [P]."""
    chance = 1 / (1 + np.exp(strength[None] - strength[:, None]))
    off = (points + points.T) * chance * (1 - chance)
    np.fill_diagonal(off, 0)
    return np.diag(off.sum(1)) - off


def most_likely(points: np.ndarray) -> np.ndarray:
    """Strengths [P] where the posterior is highest (Newton's method; it has one maximum)."""
    strength = np.zeros(len(points))
    for _ in range(100):
        chance = 1 / (1 + np.exp(strength[None] - strength[:, None]))
        slope = (points - (points + points.T) * chance).sum(1) - strength / WIDE**2
        curve = information(points, strength) + np.eye(len(points)) / WIDE**2
        step = np.linalg.solve(curve, slope)
        # A whole step from far away may overshoot.
        strength = strength + step * min(1.0, 2.0 / max(np.abs(step).max(), 1e-12))
        if np.abs(step).max() < 1e-10:
            break
    return strength


def posterior(
    points: np.ndarray, samples: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """(strengths [B, P], weights [B] that sum to 1): importance sampling from a multivariate t
    distribution with the posterior's place and curvature."""
    players = len(points)
    centre = most_likely(points)
    curve = information(points, centre) + np.eye(players) / WIDE**2
    # x = L^-T z has the covariance (L L^T)^-1.
    shape = np.linalg.inv(np.linalg.cholesky(curve)).T
    normal = rng.standard_normal((samples, players))
    stretch = np.sqrt(TAILS / rng.chisquare(TAILS, samples))[:, None]
    drawn = centre + (normal * stretch) @ shape.T
    inner = np.square(normal * stretch).sum(1)
    proposed = -(TAILS + players) / 2 * np.log1p(inner / TAILS)
    weight = log_posterior(points, drawn) - proposed
    weight = np.exp(weight - weight.max())
    return drawn, weight / weight.sum()


def quantile(values: np.ndarray, weight: np.ndarray, at: float) -> np.ndarray:
    """Of weighted values [B, P], for each of the P."""
    order = values.argsort(axis=0)
    reached = np.cumsum(weight[order], axis=0)
    index = np.minimum((reached < at).sum(0), len(values) - 1)
    found: np.ndarray = values[order[index, np.arange(values.shape[1])], np.arange(values.shape[1])]
    return found


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
