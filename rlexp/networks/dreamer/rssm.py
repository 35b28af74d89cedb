"""The recurrent state-space model (Hafner et al. 2019): a state of two parts, moved by actions.

h_t = GRU(h_{t-1}, dense(z_{t-1}, a_{t-1}))     deterministic
z_t ~ p(z | h_t)                                the prior, which imagines
z_t ~ q(z | h_t, e_t)                           the posterior, which has seen the embedding e_t
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from rlexp.networks.dreamer.distributions import Latents
from rlexp.networks.dreamer.layers import EPS, Style, dense

WIDTH = 32
"""Units that a cell's latents are made of, at least; as many as they have numbers where more."""
FORETELLING = 128
"""Units that a cell's next latents are predicted by, at least: it takes more to know what walks
where than to see what is there. With 32 it takes twice the updates (measured)."""


class ModelState(NamedTuple):
    """h [..., deter] and z [..., latents.size]."""

    h: Tensor
    z: Tensor

    @property
    def features(self) -> Tensor:
        """[..., deter + size]"""
        return torch.cat(self, -1)


class Observed(NamedTuple):
    """States of T steps of B chunks, and the statistics of both distributions, each [T, B, …]."""

    states: ModelState
    posterior: Tensor
    prior: Tensor


class Cell(nn.Module):
    """A gated recurrent unit (Cho et al. 2014); with `norm` the layer-normalised one of 2023, whose
    update gate begins nearly shut."""

    def __init__(self, inputs: int, units: int, norm: bool) -> None:
        super().__init__()
        self.units = units
        self.norm = nn.LayerNorm(3 * units, EPS) if norm else None
        if norm:
            self.both = nn.Linear(inputs + units, 3 * units, bias=False)
        else:
            self.own = nn.Linear(units, 3 * units)
            self.given = nn.Linear(inputs, 3 * units)

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        if self.norm is not None:
            gates = self.norm(self.both(torch.cat([x, h], -1)))
            reset, new, update = gates.chunk(3, -1)
            new = (reset.sigmoid() * new).tanh()
            return torch.lerp(h, new, (update - 1).sigmoid())
        mine, theirs = self.own(h), self.given(x)
        gates = (mine[..., : 2 * self.units] + theirs[..., : 2 * self.units]).sigmoid()
        reset, keep = gates.chunk(2, -1)
        new = torch.addcmul(theirs[..., 2 * self.units :], reset, mine[..., 2 * self.units :])
        return torch.lerp(new.tanh(), h, keep)


class Posterior(nn.Module):
    """(h, embedding) → what the latents' statistics are made of: one dense layer, then linear."""

    def __init__(self, embed: int, deter: int, hidden: int, outputs: int, style: Style) -> None:
        super().__init__()
        self.from_h = nn.Linear(deter, hidden, bias=False)
        self.from_embed = nn.Linear(embed, hidden, bias=not style.norm)
        self.head = nn.Sequential(*_rest(hidden, style), nn.Linear(hidden, outputs))

    def prepare(self, embed: Tensor) -> Tensor:
        """The part that can be computed for all steps at once."""
        found: Tensor = self.from_embed(embed)
        return found

    def forward(self, h: Tensor, prepared: Tensor) -> Tensor:
        found: Tensor = self.head(self.from_h(h) + prepared)
        return found


class LocalPosterior(nn.Module):
    """The same with an equal share of the latents for each of `cells`, which sees of the embedding
    its own cell alone, by weights that all cells have in common. What is in one place is learnt
    for every place; a dense layer learns each by itself."""

    def __init__(self, embed: int, deter: int, cells: int, outputs: int, style: Style) -> None:
        super().__init__()
        width = max(WIDTH, outputs // cells)
        self.cells = cells
        self.from_h = nn.Linear(deter, cells * width, bias=False)
        self.from_embed = nn.Linear(embed // cells, width, bias=not style.norm)
        self.head = nn.Sequential(*_rest(width, style), nn.Linear(width, outputs // cells))

    def prepare(self, embed: Tensor) -> Tensor:
        found: Tensor = self.from_embed(embed.unflatten(-1, (self.cells, -1)))
        return found

    def forward(self, h: Tensor, prepared: Tensor) -> Tensor:
        found: Tensor = self.head(self.from_h(h).unflatten(-1, (self.cells, -1)) + prepared)
        return found.flatten(-2)


class LocalPrior(nn.Module):
    """(h, z before, the action) → what the prior's statistics are made of, for the same cells,
    `grid` of them: each sees of z its own latents, its neighbours', and those of its whole row and
    column, by weights that all cells have in common, which are told where they are. What burns
    along a line, or is told at a picture's edge of what stands above, is no neighbour.

    What was drawn before can simply be made likelier: a bottleneck like h would have to learn to
    keep each brick of a wall by itself. That weight begins at 0. A prior that copies from the first
    update on makes latents worth most that never change, and they soon tell nothing (measured).
    What a move does to the player is learnt once for all places, too.
    """

    FASTER = 10.0  # than other weights this one learns

    def __init__(
        self, grid: tuple[int, int], deter: int, size: int, actions: int, style: Style
    ) -> None:
        super().__init__()
        cells = grid[0] * grid[1]
        own = size // cells
        width = max(FORETELLING, 2 * own)
        self.grid, self.width = grid, width
        self.from_h = nn.Linear(deter, cells * width, bias=False)
        self.from_z = nn.Conv2d(own, width, 3, padding=1, bias=not style.norm)
        high, wide = (2 * cells_along - 1 for cells_along in grid)  # from one end to the other
        self.from_row = nn.Conv2d(own, width, (1, wide), padding=(0, wide // 2), bias=False)
        self.from_column = nn.Conv2d(own, width, (high, 1), padding=(high // 2, 0), bias=False)
        self.from_action = nn.Linear(actions, width, bias=False)
        self.place = nn.Parameter(torch.zeros(*grid, width))
        self.head = nn.Sequential(*_rest(width, style), *dense(width, width, style),
                                  nn.Linear(width, own))  # fmt: skip
        self.copy = nn.Parameter(torch.zeros(own))

    def forward(self, h: Tensor, z: Tensor, action: Tensor) -> Tensor:
        cells = z.unflatten(-1, (*self.grid, -1))
        flat = cells.flatten(0, -4).permute(0, 3, 1, 2)
        around = self.from_z(flat) + self.from_row(flat) + self.from_column(flat)
        around = around.permute(0, 2, 3, 1).reshape(*cells.shape[:-1], self.width)
        around = around + self.from_action(action)[..., None, None, :] + self.place
        found: Tensor = self.head(self.from_h(h).view_as(around) + around)
        return (found + self.FASTER * self.copy * cells).flatten(-3)


class RSSM(nn.Module):
    """`embed`: numbers of an embedding; `actions`: of an action; `hidden`: units of its layers;
    `grid`: rows and columns of the picture that the embedding is, if each of its cells has latents
    of its own; `local_prior`: these are also predicted cell by cell."""

    def __init__(
        self,
        embed: int,
        actions: int,
        latents: Latents,
        deter: int,
        hidden: int,
        style: Style,
        grid: tuple[int, int] | None = None,
        local_prior: bool = False,
    ) -> None:
        super().__init__()
        self.latents, self.deter = latents, deter
        # Dense layers of two inputs each, cut in two: the part known beforehand is done at once.
        self.from_z = nn.Linear(latents.size, hidden, bias=False)
        self.from_action = nn.Linear(actions, hidden, bias=not style.norm)
        self.into_cell = _rest(hidden, style)
        self.cell = Cell(hidden, deter, style.norm)
        self.prior_head: LocalPrior | nn.Sequential
        if grid is not None and local_prior:
            self.prior_head = LocalPrior(grid, deter, latents.size, actions, style)
        else:
            self.prior_head = nn.Sequential(*dense(deter, hidden, style),
                                            nn.Linear(hidden, latents.outputs))  # fmt: skip
        self.posterior: Posterior | LocalPosterior
        if grid is None:
            self.posterior = Posterior(embed, deter, hidden, latents.outputs, style)
        else:
            cells = grid[0] * grid[1]
            self.posterior = LocalPosterior(embed, deter, cells, latents.outputs, style)

    def initial(self, rows: int) -> ModelState:
        """Zeros: nothing has been seen."""
        weight = self.from_z.weight
        return ModelState(weight.new_zeros(rows, self.deter),
                          weight.new_zeros(rows, self.latents.size))  # fmt: skip

    def _move(self, state: ModelState, action: Tensor) -> Tensor:
        """h of the next step; `action` is already through its layer."""
        h: Tensor = self.cell(self.into_cell(self.from_z(state.z) + action), state.h)
        return h

    def _see(self, h: Tensor, embed: Tensor) -> Tensor:
        """Statistics of the posterior; `embed` is already prepared."""
        return self.latents.stats(self.posterior(h, embed))

    def prior(self, h: Tensor, z: Tensor, action: Tensor) -> Tensor:
        """Statistics of the prior, [..., outputs]; `z` is the latent of the step before, `action`
        led from there to here."""
        if isinstance(self.prior_head, LocalPrior):
            return self.latents.stats(self.prior_head(h, z, action))
        return self.latents.stats(self.prior_head(h))

    def observe_step(
        self, state: ModelState, action: Tensor, embed: Tensor, noise: Tensor
    ) -> ModelState:
        """One step with an observation: state and action before it, its embedding, all [B, …]."""
        h = self._move(state, self.from_action(action))
        return ModelState(
            h, self.latents.sample(self._see(h, self.posterior.prepare(embed)), noise)
        )

    def foretell(self, state: ModelState, action: Tensor) -> tuple[Tensor, Tensor]:
        """h of the next step, and the statistics of its prior."""
        h = self._move(state, self.from_action(action))
        return h, self.prior(h, state.z, action)

    def imagine_step(self, state: ModelState, action: Tensor, noise: Tensor) -> ModelState:
        """One step without an observation: the latent comes from the prior."""
        h, stats = self.foretell(state, action)
        return ModelState(h, self.latents.sample(stats, noise))

    def observe(self, embed: Tensor, action: Tensor, first: Tensor, noise: Tensor) -> Observed:
        """Follows chunks [T, B, …]; `action` led to each step; `first` [T, B] starts from nothing.

        Where a game begins, the state before and the action that led there count as zeros, so that
        a chunk may hold the end of one game and the beginning of the next.
        """
        keep = (~first).to(embed.dtype).unsqueeze(-1)
        action = action * keep
        actions = self.from_action(action)
        embed = self.posterior.prepare(embed)
        breaks = (first[1:].any(1)).tolist() if len(first) > 1 else []
        state = self.initial(first.shape[1])
        hs, zs, stats = [], [], []
        for t, (done, seen) in enumerate(zip(actions.unbind(0), embed.unbind(0), strict=True)):
            if t > 0 and breaks[t - 1]:
                state = ModelState(state.h * keep[t], state.z * keep[t])
            h = self._move(state, done)
            found = self._see(h, seen)
            state = ModelState(h, self.latents.sample(found, noise[t]))
            hs.append(h)
            zs.append(state.z)
            stats.append(found)
        states = ModelState(torch.stack(hs), torch.stack(zs))
        before = torch.cat([torch.zeros_like(states.z[:1]), states.z[:-1]]) * keep
        return Observed(states, torch.stack(stats), self.prior(states.h, before, action))


def _rest(hidden: int, style: Style) -> nn.Sequential:
    """What follows the linear part of a dense layer."""
    norm = [nn.LayerNorm(hidden, EPS)] if style.norm else []
    return nn.Sequential(*norm, style.act())


def kl_losses(
    latents: Latents, posterior: Tensor, prior: Tensor, free_nats: float, swapped: bool = False
) -> tuple[Tensor, Tensor]:
    """(dynamics, representation), each [...]: KL(posterior || prior), each floored at `free_nats`.

    The first moves the prior alone, the second the posterior alone (Hafner et al. 2023, eq. 5).
    Their sum with equal weights has the gradient of the plain KL. `swapped` exchanges the two
    distributions: a mistake, to see what it costs.
    """

    def kl(q: Tensor, p: Tensor) -> Tensor:
        return (latents.kl(p, q) if swapped else latents.kl(q, p)).clamp_min(free_nats)

    return kl(posterior.detach(), prior), kl(posterior, prior.detach())
