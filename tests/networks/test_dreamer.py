"""The parts of a world model, against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from rlexp.errors import UserError
from rlexp.networks.dreamer.decoder import ConvDecoder
from rlexp.networks.dreamer.distributions import (
    CategoricalLatents,
    GaussianLatents,
    Latents,
    mix_uniform,
    pick,
    straight_through,
    symexp,
    symexp_bins,
    symlog,
    tanh_gaussian,
    tanh_gaussian_entropy,
    two_hot,
    two_hot_loss,
    two_hot_mean,
)
from rlexp.networks.dreamer.encoder import ConvEncoder, to_floats
from rlexp.networks.dreamer.heads import NumberHead
from rlexp.networks.dreamer.layers import Style
from rlexp.networks.dreamer.rssm import RSSM, LocalPrior, ModelState, kl_losses

V1, V3 = Style("elu", norm=False), Style("silu", norm=True)
KINDS: list[tuple[Latents, Style]] = [
    (CategoricalLatents(4, 5, 0.01), V3),
    (GaussianLatents(6, 0.1), V1),
]


def test_symlog_and_its_inverse() -> None:
    x = torch.tensor([-1000.0, -1.0, -1e-3, 0.0, 1e-3, math.e - 1, 20_000.0])
    assert symlog(x)[3:6].tolist() == pytest.approx([0.0, math.log(1.001), 1.0], rel=1e-4)
    torch.testing.assert_close(symexp(symlog(x)), x, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(symlog(-x), -symlog(x))


def test_two_hot_and_its_inverse() -> None:
    bins = symexp_bins(41)
    assert bins[20] == 0 and bins[0] == -bins[-1]
    x = torch.tensor([-5000.0, -3.3, 0.0, 0.1, 1.0, 499.0, float(bins[7])])
    weights = two_hot(x, bins)
    assert ((weights > 0).sum(-1) <= 2).all()
    torch.testing.assert_close(weights.sum(-1), torch.ones(len(x)))
    torch.testing.assert_close((weights * bins).sum(-1), x, rtol=1e-5, atol=1e-5)
    # As probabilities: the logits of these weights have that very mean.
    mean = two_hot_mean(weights.clamp_min(1e-30).log(), bins)
    torch.testing.assert_close(mean, x, rtol=1e-4, atol=1e-4)


def test_two_hot_of_a_third() -> None:
    bins = torch.tensor([-2.0, -1.0, 0.0, 1.0, 2.0])
    assert two_hot(torch.tensor(0.25), bins).tolist() == [0, 0, 0.75, 0.25, 0]
    assert two_hot(torch.tensor(7.0), bins).tolist() == [0, 0, 0, 0, 1]


def test_two_hot_loss_is_the_cross_entropy() -> None:
    torch.manual_seed(0)
    bins = symexp_bins(21)
    logits, x = torch.randn(4, 21), torch.tensor([0.3, -70.0, 0.0, 1e9])
    expected = -(two_hot(x, bins) * logits.log_softmax(-1)).sum(-1)
    torch.testing.assert_close(two_hot_loss(logits, x, bins), expected)


def test_a_fresh_head_says_exactly_zero() -> None:
    head = NumberHead(3, 8, 1, 127, V3)
    head.zero()
    assert head.mean(head(torch.randn(5, 3))).tolist() == [0.0] * 5


def test_classes_are_drawn_as_often_as_they_should() -> None:
    probs = torch.tensor([0.1, 0.0, 0.6, 0.3])
    noise = torch.linspace(0, 1, 10_001)[:-1]
    shares = torch.bincount(pick(probs.expand(len(noise), 4), noise), minlength=4) / len(noise)
    torch.testing.assert_close(shares, probs, rtol=0, atol=1e-3)
    assert pick(probs, torch.tensor(1.0 - 1e-8)).item() == 3


def test_straight_through_is_exactly_one_hot_and_has_the_gradient_of_the_probabilities() -> None:
    torch.manual_seed(0)
    latents = CategoricalLatents(7, 9, 0.01)
    raw = torch.randn(50, 63, requires_grad=True)
    stats = latents.stats(raw)
    sample = latents.sample(stats, torch.rand(50, 7))
    parts = sample.detach().view(50, 7, 9)
    assert set(parts.unique().tolist()) == {0.0, 1.0}  # exactly, not nearly
    assert (parts.sum(-1) == 1).all()
    weight = torch.randn(50, 63)
    (ours,) = torch.autograd.grad((sample * weight).sum(), raw, retain_graph=True)
    (expected,) = torch.autograd.grad((stats * weight).sum(), raw)
    torch.testing.assert_close(ours, expected)
    one = torch.tensor([0.0, 1.0])
    assert straight_through(one, torch.tensor([0.3, 0.7])).tolist() == [0.0, 1.0]


def test_unimix() -> None:
    mixed = mix_uniform(torch.tensor([1.0, 0.0, 0.0, 0.0]), 0.01)
    assert mixed.tolist() == pytest.approx([0.9925, 0.0025, 0.0025, 0.0025])


def test_kl_has_its_direction() -> None:
    """p is narrow, q is wide: KL(p || q) is small, KL(q || p) is not."""
    gaussian = GaussianLatents(1, 0.1)
    p, q = torch.tensor([0.0, 0.5]), torch.tensor([1.0, 2.0])  # mean, deviation
    # ln(2 / 0.5) + (0.25 + 1) / 8 - 1/2, and the other way round
    assert gaussian.kl(p, q).item() == pytest.approx(math.log(4) + 1.25 / 8 - 0.5)
    assert gaussian.kl(q, p).item() == pytest.approx(-math.log(4) + 5 / 0.5 - 0.5)
    coin = CategoricalLatents(1, 2, 0.0)
    a, b = torch.tensor([0.9, 0.1]), torch.tensor([0.5, 0.5])
    assert coin.kl(a, b).item() == pytest.approx(0.9 * math.log(1.8) + 0.1 * math.log(0.2))
    assert coin.kl(b, a).item() == pytest.approx(0.5 * math.log(5 / 9) + 0.5 * math.log(5))


@pytest.mark.parametrize("swapped", [False, True])
def test_the_kl_losses_are_of_the_posterior_given_the_prior(swapped: bool) -> None:
    gaussian = GaussianLatents(1, 0.1)
    posterior = torch.tensor([0.0, 0.5], requires_grad=True)
    prior = torch.tensor([1.0, 2.0], requires_grad=True)
    dynamics, representation = kl_losses(gaussian, posterior, prior, 0.0, swapped)
    expected = (posterior, prior) if not swapped else (prior, posterior)
    torch.testing.assert_close(dynamics, gaussian.kl(*expected))
    torch.testing.assert_close(representation, dynamics)
    both = (posterior, prior)
    moves_prior = torch.autograd.grad(dynamics, both, allow_unused=True, retain_graph=True)
    moves_posterior = torch.autograd.grad(representation, both, allow_unused=True)
    assert moves_prior[0] is None and moves_prior[1] is not None
    assert moves_posterior[0] is not None and moves_posterior[1] is None


def test_below_the_free_nats_nothing_moves() -> None:
    gaussian = GaussianLatents(1, 0.1)
    posterior = torch.tensor([0.0, 0.5], requires_grad=True)
    prior = torch.tensor([0.1, 0.5])
    _, representation = kl_losses(gaussian, posterior, prior, 1.0)
    assert representation.item() == 1.0
    assert torch.autograd.grad(representation, posterior)[0].abs().sum() == 0


@pytest.mark.parametrize(("latents", "style"), KINDS)
def test_kl_and_entropy_against_torch(latents: Latents, style: Style) -> None:
    from torch import distributions as td

    torch.manual_seed(0)
    a, b = (latents.stats(torch.randn(3, latents.outputs)) for _ in range(2))

    def theirs(stats: torch.Tensor) -> td.Distribution:
        if isinstance(latents, CategoricalLatents):
            return td.Independent(td.Categorical(stats.view(3, 4, 5)), 1)
        return td.Independent(td.Normal(*stats.chunk(2, -1)), 1)

    torch.testing.assert_close(latents.kl(a, b), td.kl_divergence(theirs(a), theirs(b)))
    torch.testing.assert_close(latents.entropy(a), theirs(a).entropy())


@pytest.mark.parametrize(("latents", "style"), KINDS)
def test_a_spliced_chunk_equals_two(latents: Latents, style: Style) -> None:
    """Five steps of one game and three of the next, in one chunk or each by itself."""
    torch.manual_seed(0)
    rssm = RSSM(embed=7, actions=3, latents=latents, deter=9, hidden=8, style=style)
    embed, action = torch.randn(8, 3, 7), torch.randn(8, 3, 3)
    noise = latents.draw((8, 3), torch.Generator().manual_seed(1))
    first = torch.zeros(8, 3, dtype=torch.bool)
    first[5, 1] = True
    spliced = rssm.observe(embed, action, first, noise)
    begins = torch.zeros(3, 3, dtype=torch.bool)
    begins[0] = True
    alone = rssm.observe(embed[5:], action[5:], begins, noise[5:])
    for ours, theirs in zip(spliced.states, alone.states, strict=True):
        torch.testing.assert_close(ours[5:, 1], theirs[:, 1], rtol=0, atol=1e-5)
    went_on = spliced.states.h[5:, 0], alone.states.h[:, 0]
    assert not torch.allclose(*went_on)
    torch.testing.assert_close(spliced.posterior[5:, 1], alone.posterior[:, 1], rtol=0, atol=1e-5)
    torch.testing.assert_close(spliced.prior[5:, 1], alone.prior[:, 1], rtol=0, atol=1e-5)


@pytest.mark.parametrize(("latents", "style"), KINDS)
def test_a_step_at_a_time_is_the_same(latents: Latents, style: Style) -> None:
    torch.manual_seed(0)
    rssm = RSSM(embed=7, actions=3, latents=latents, deter=9, hidden=8, style=style)
    embed, action = torch.randn(4, 2, 7), torch.randn(4, 2, 3)
    noise = latents.draw((4, 2), torch.Generator().manual_seed(1))
    first = torch.zeros(4, 2, dtype=torch.bool)
    chunk = rssm.observe(embed, action, first, noise)
    state = rssm.initial(2)
    for t in range(4):
        state = rssm.observe_step(state, action[t], embed[t], noise[t])
        torch.testing.assert_close(state.h, chunk.states.h[t])
        torch.testing.assert_close(state.z, chunk.states.z[t])


def test_the_plain_cell_is_torchs() -> None:
    from rlexp.networks.dreamer.rssm import Cell

    torch.manual_seed(0)
    ours, theirs = Cell(3, 5, norm=False), torch.nn.GRUCell(3, 5)
    theirs.weight_ih.data, theirs.bias_ih.data = ours.given.weight.data, ours.given.bias.data
    theirs.weight_hh.data, theirs.bias_hh.data = ours.own.weight.data, ours.own.bias.data
    x, h = torch.randn(4, 3), torch.randn(4, 5)
    torch.testing.assert_close(ours(x, h), theirs(x, h))


def test_pictures_there_and_back() -> None:
    picture = torch.zeros(2, 3, 64, 64, dtype=torch.uint8)
    picture[0] = 255
    floats = to_floats(picture)
    assert floats[0].eq(0.5).all() and floats[1].eq(-0.5).all()
    encoder = ConvEncoder((3, 64, 64), 32, "valid", V1)
    assert encoder.out_features == 1024 and encoder(floats).shape == (2, 1024)
    assert ConvDecoder(230, (3, 64, 64), 32, "valid", V1)(torch.zeros(2, 230)).shape[1:] == (
        3,
        64,
        64,
    )
    small = ConvEncoder((1, 32, 48), 4, "same", V3)
    assert small.out_features == 32 * 2 * 3
    made = ConvDecoder(9, (1, 32, 48), 4, "same", V3)(torch.zeros(2, 9))
    assert made.shape == (2, 1, 32, 48)
    fewer = ConvEncoder((1, 32, 48), 4, "same", V3, 3)
    assert fewer.grid == (4, 6) and fewer.out_features == 16 * 4 * 6
    made = ConvDecoder(9, (1, 32, 48), 4, "same", V3, count=3)(torch.zeros(2, 9))
    assert made.shape == (2, 1, 32, 48)
    with pytest.raises(UserError, match="agent.conv_layers=4"):
        ConvEncoder((3, 64, 64), 4, "valid", V1, 3)


@pytest.mark.parametrize(
    ("padding", "size", "hint"),
    [("valid", (80, 80), "env.resize=[64,64]"), ("same", (84, 80), "env.resize=[80,80]")],
)
def test_pictures_that_cannot_be_made(padding: str, size: tuple[int, int], hint: str) -> None:
    with pytest.raises(UserError, match="80") as error:
        ConvEncoder((3, *size), 8, padding, V3)
    assert hint in str(error.value)


def test_the_tanh_gaussian_of_2020() -> None:
    mean, std = tanh_gaussian(torch.tensor([10.0, 0.0]))
    assert mean.item() == pytest.approx(5 * math.tanh(2))
    assert std.item() == pytest.approx(5.0001, abs=1e-3)  # where it begins
    x = torch.tensor([[0.3], [-2.0]], dtype=torch.float64)
    mean, std = torch.tensor([[0.1]], dtype=torch.float64), torch.tensor([[0.7]])
    normal = torch.distributions.Normal(mean, std)
    expected = -(normal.log_prob(x) - (1 - x.tanh().square()).log()).squeeze(-1)
    torch.testing.assert_close(tanh_gaussian_entropy(mean, std, x), expected, check_dtype=False)


def test_the_first_transposed_convolution_is_a_dense_layer() -> None:
    """What `valid` computes is what four transposed convolutions from a single point would."""
    torch.manual_seed(0)
    decoder = ConvDecoder(7, (3, 64, 64), 4, "valid", Style("relu", norm=False))
    widen, spread, _ = decoder.dense
    point = torch.nn.ConvTranspose2d(128, 16, 5, 2)
    # [5, 5, 16] outputs x 128 inputs → [128, 16, 5, 5]
    point.weight.data = spread.weight.data.view(5, 5, 16, 128).permute(3, 2, 0, 1).contiguous()
    point.bias.data = spread.bias.data.view(25, 16)[0]
    spread.bias.data = point.bias.data.repeat(25)
    features = torch.randn(2, 7)
    small = point(widen(features).view(2, 128, 1, 1)).relu()
    torch.testing.assert_close(decoder(features), decoder.layers(small), rtol=1e-4, atol=1e-5)


def test_what_local_latents_see_in_one_cell_they_see_in_every_other() -> None:
    """Embeddings of two cells exchanged: so are the cells' statistics, and what is drawn."""
    from rlexp.networks.dreamer.rssm import LocalPosterior

    torch.manual_seed(0)
    posterior = LocalPosterior(
        embed=4 * 6, deter=5, cells=4, outputs=4 * 2 * 3, style=Style("silu", True)
    )
    h, embed = torch.zeros(2, 5), torch.randn(2, 4, 6)
    order = [2, 1, 0, 3]
    one = posterior(h, posterior.prepare(embed.flatten(1))).unflatten(1, (4, 6))
    other = posterior(h, posterior.prepare(embed[:, order].flatten(1))).unflatten(1, (4, 6))
    torch.testing.assert_close(other, one[:, order])

    decoder = ConvDecoder(5 + 16 * 6, (3, 64, 64), 4, "same", Style("silu", True), local=16 * 6)
    z = torch.zeros(1, 16, 6)
    z[0, 0] = torch.randn(6)  # the cell above, left
    empty = decoder(torch.zeros(1, 5 + 96))
    drawn = (decoder(torch.cat([torch.zeros(1, 5), z.flatten(1)], 1)) - empty).abs()
    assert drawn[0, :, :16, :16].max() > 0.01 and not drawn[0, :, 48:, 48:].any()


def local_rssm() -> RSSM:
    torch.manual_seed(0)
    latents = CategoricalLatents(4 * 6, 3, 0.0)  # four latents for each of 2 x 3 cells
    return RSSM(6 * 5, 2, latents, 7, 8, Style("silu", True), grid=(2, 3), local_prior=True)


def test_a_local_prior_can_copy_and_looks_next_door_and_along_lines() -> None:
    rssm = local_rssm()
    assert isinstance(rssm.prior_head, LocalPrior)
    torch.nn.init.constant_(rssm.prior_head.copy, 0.3)  # learnt ten times as fast: 3
    index = torch.randint(3, (1000, 24))
    z = torch.nn.functional.one_hot(index, 3).float().flatten(1)
    h, still = torch.zeros(1000, 7), torch.zeros(1000, 2)
    probs = rssm.prior(h, z, still).unflatten(1, (24, 3))
    # e^3 against two others, but for what untrained weights add.
    copied = probs.gather(2, index.unsqueeze(2)).mean()
    assert 0.85 < copied < 0.95

    # Of 5 x 6 cells, row by row, one is changed: the others of its row and column know, and those
    # that touch it.
    latents = CategoricalLatents(4 * 30, 3, 0.0)
    large = RSSM(30 * 5, 2, latents, 7, 8, Style("silu", True), grid=(5, 6), local_prior=True)
    z = torch.nn.functional.one_hot(torch.randint(3, (1000, 120)), 3).float().flatten(1)
    other = z.clone()
    other.view(1000, 30, 12)[:, 6 + 2] = other.view(1000, 30, 12)[:, 6 + 2].roll(1, 1)
    changed = (large.prior(h, other, still) - large.prior(h, z, still)).abs()
    changed = changed.reshape(1000, 5, 6, -1).amax((0, 3)) > 1e-6
    expected = torch.zeros(5, 6, dtype=torch.bool)
    expected[1], expected[:, 2], expected[:3, 1:4] = True, True, True
    assert changed.tolist() == expected.tolist()


def test_a_local_prior_learns_what_an_action_does_once_for_all_places() -> None:
    rssm = local_rssm()
    z = torch.nn.functional.one_hot(torch.zeros(24, dtype=torch.long), 3).float().view(1, 72)
    z = z.repeat(2, 1)
    with torch.no_grad():
        probs = rssm.prior(torch.zeros(2, 7), z, torch.eye(2)).view(2, 2, 3, 12)
    moved = probs[1] - probs[0]
    assert moved.abs().max() > 1e-3
    head = rssm.prior_head
    assert isinstance(head, LocalPrior)
    with torch.no_grad():
        head.place[1, 2, 0] = 1.0
        told = rssm.prior(torch.zeros(2, 7), z, torch.eye(2)).view(2, 2, 3, 12)
    changed = (told - probs).abs().amax((0, 3)) > 1e-6
    assert changed.tolist() == [[False, False, False], [False, False, True]]


def test_a_local_prior_is_the_same_whether_seen_or_imagined() -> None:
    """What `observe` compares the posterior with is what `imagine_step` draws from."""
    rssm = local_rssm()
    first = torch.zeros(4, 3, dtype=torch.bool)
    first[0] = first[2, 1] = True
    action, noise = torch.rand(4, 3, 2), torch.rand(4, 3, 24)
    with torch.no_grad():
        seen = rssm.observe(torch.randn(4, 3, 30), action, first, noise)
    asked = []

    class Asked(CategoricalLatents):
        def sample(self, stats: Tensor, noise: Tensor) -> Tensor:
            asked.append(stats)
            return super().sample(stats, noise)

    rssm.latents = Asked(24, 3, 0.0)
    with torch.no_grad():
        for t in range(1, 4):
            before = ModelState(seen.states.h[t - 1], seen.states.z[t - 1])
            rssm.imagine_step(before, action[t], noise[t])
    went_on = ~first[1:]
    torch.testing.assert_close(torch.stack(asked)[went_on], seen.prior[1:][went_on])
    # A game begins from nothing: after its first step there is nothing to copy.
    nothing = rssm.prior(seen.states.h[2, 1:2], torch.zeros(1, 72), torch.zeros(1, 2))
    torch.testing.assert_close(seen.prior[2, 1:2], nothing)
