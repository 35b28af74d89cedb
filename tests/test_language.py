"""Measures of a language: by hand, as published, and against definitions written out plainly."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from rlexp import language
from rlexp.statistics import confusion

# Six games by hand: class 0 says 00 twice and 01 once, class 1 says 01 once and 11 twice.
MESSAGES = np.array([[0, 0], [0, 0], [0, 1], [0, 1], [1, 1], [1, 1]])
CLASSES = np.array([0, 0, 0, 1, 1, 1])
GUESSES = np.array([0, 0, 0, 0, 1, 1])

# Chaabouni et al. 2020, appendix 8.2 (as EGG's documentation has it): two attributes of 4 values,
# 8 symbols; which symbols a message has says it all, where they stand says less.
GRID = np.array(list(itertools.product(range(4), repeat=2)))
BAG = np.array([
    [0, 0, 4], [0, 0, 5], [0, 0, 6], [0, 0, 7], [1, 4, 1], [1, 5, 1], [1, 6, 1], [1, 7, 1],
    [2, 4, 2], [2, 5, 2], [2, 6, 2], [2, 7, 2], [3, 4, 3], [3, 3, 5], [3, 3, 6], [3, 3, 7],
])  # fmt: skip


def plain_entropy(values: list) -> float:
    return -sum(n / len(values) * math.log2(n / len(values)) for n in Counter(values).values())


def plain_information(a: list, b: list) -> float:
    """Sum of p(a, b) log p(a, b) / p(a) p(b)."""
    n, rows, columns = len(a), Counter(a), Counter(b)
    return sum(
        both / n * math.log2(both * n / (rows[x] * columns[y]))
        for (x, y), both in Counter(zip(a, b, strict=True)).items()
    )


def plain_gap(parts: list, attributes: list) -> float:
    gaps = []
    for part in parts:
        if plain_entropy(part) > 0:
            most = sorted((plain_information(part, a) for a in attributes), reverse=True)
            gaps.append((most[0] - most[1]) / plain_entropy(part))
    return sum(gaps) / len(gaps)


def sample(seed: int, games: int = 60) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Random (messages of 3 out of 4 symbols, classes of 5, two attributes), somewhat related."""
    rng = np.random.default_rng(seed)
    attributes = rng.integers(0, (3, 4), size=(games, 2))
    noise = rng.integers(0, 2, size=(games, 3))
    messages = np.minimum(attributes[:, [0, 1, 1]] + noise, 3)
    return messages, attributes.sum(1) % 5, attributes


def test_six_games_by_hand() -> None:
    third = math.log2(3)
    assert language.distinct(MESSAGES) == 3
    assert language.entropy(MESSAGES) == pytest.approx(third)  # three messages, two games each
    assert language.entropy(CLASSES) == pytest.approx(1)
    assert language.counts(MESSAGES, CLASSES).tolist() == [[2, 0], [1, 1], [0, 2]]
    # Only the middle message leaves the class open: one bit in a third of the games.
    assert language.ambiguity(MESSAGES, CLASSES) == pytest.approx(1 / 3)
    assert language.mutual_information(MESSAGES, CLASSES) == pytest.approx(2 / 3)
    # Each class has two messages, at 2/3 and 1/3: log 3 - 2/3 bits.
    assert language.synonymy(MESSAGES, CLASSES) == pytest.approx(third - 2 / 3)
    assert language.purity(MESSAGES, CLASSES) == pytest.approx(5 / 6)
    assert language.ambiguous_messages(MESSAGES, CLASSES) == pytest.approx(1 / 3)
    assert language.synonymous_classes(MESSAGES, CLASSES) == 1
    assert language.v_measure(MESSAGES, CLASSES) == pytest.approx(4 / 3 / (1 + third))
    assert language.entropy_by_position(MESSAGES) == pytest.approx([third - 2 / 3] * 2)
    # Symbol 0: 0 three times and 1 never in class 0; once and twice in class 1.
    each = 1 - 4 / 6 * plain_entropy([0, 0, 0, 1])
    assert language.information_by_position(MESSAGES, CLASSES) == pytest.approx([each, each])
    table = confusion(CLASSES, GUESSES, 3)
    assert table.tolist() == [[3, 0, 0], [1, 2, 0], [0, 0, 0]]
    rates = language.success_by_class(CLASSES, GUESSES, 3)
    assert rates[:2] == pytest.approx([1, 2 / 3]) and np.isnan(rates[2])


@pytest.mark.parametrize(("length", "vocabulary", "classes", "bound"), [
    (5, 2, 2, 1.0), (5, 2, 32, 1.0), (5, 2, 50, 0.64), (5, 2, 100, 0.32), (1, 2, 3, 2 / 3),
    (1000, 50, 100, 1.0),
])  # fmt: skip
def test_capacity(length: int, vocabulary: int, classes: int, bound: float) -> None:
    assert language.capacity_bound(length, vocabulary, classes) == bound


def test_extremes() -> None:
    same = np.zeros((6, 2), dtype=int)
    assert language.entropy(same) == 0 and math.copysign(1, language.entropy(same)) == 1
    assert language.mutual_information(same, CLASSES) == 0
    assert language.purity(same, CLASSES) == 0.5
    assert language.v_measure(same, CLASSES) == 0
    assert language.v_measure(same, same) is None
    assert language.topographic_similarity(same, CLASSES) is None
    assert language.posdis(same, GRID[:6]) is None
    assert language.posdis(MESSAGES, CLASSES[:, None]) is None  # one attribute has no second
    for empty in (MESSAGES[:0], MESSAGES[:, :0]):
        with pytest.raises(ValueError, match="at least 1"):
            language.entropy(empty)
    with pytest.raises(ValueError, match="6 games beside 5"):
        language.purity(MESSAGES, CLASSES[:5])


@pytest.mark.parametrize("seed", range(5))
def test_against_plain_definitions(seed: int) -> None:
    messages, classes, attributes = sample(seed)
    words, kinds = [tuple(m) for m in messages.tolist()], classes.tolist()
    features = attributes.T.tolist()
    assert language.entropy(messages) == pytest.approx(plain_entropy(words))
    information = plain_information(words, kinds)
    assert language.mutual_information(messages, classes) == pytest.approx(information)
    h = {}
    for word, kind in zip(words, kinds, strict=True):
        h.setdefault(word, []).append(kind)
    assert language.ambiguity(messages, classes) == pytest.approx(
        sum(len(k) / len(kinds) * plain_entropy(k) for k in h.values())
    )
    most = sum(Counter(k).most_common(1)[0][1] for k in h.values())
    assert language.purity(messages, classes) == pytest.approx(most / len(kinds))
    assert language.ambiguous_messages(messages, classes) == pytest.approx(
        np.mean([len(set(k)) > 1 for k in h.values()])
    )
    assert language.posdis(messages, attributes) == pytest.approx(
        plain_gap(messages.T.tolist(), features)
    )
    bags = [[word.count(s) for word in words] for s in range(5)]  # symbol 4 is never said
    assert language.bosdis(messages, attributes, 5) == pytest.approx(plain_gap(bags, features))
    assert language.information_by_position(messages, attributes) == pytest.approx(
        np.array([[plain_information(s, a) for a in features] for s in messages.T.tolist()])
    )
    for meanings in (classes[:, None], attributes):
        distances = [
            (sum(x != y for x, y in zip(words[i], words[j], strict=True)),
             sum(x != y for x, y in zip(meanings[i], meanings[j], strict=True)))
            for i, j in itertools.combinations(range(len(words)), 2)
        ]  # fmt: skip
        found = language.topographic_similarity(messages, meanings)
        assert found == pytest.approx(spearmanr(distances).statistic)


def test_topographic_similarity_by_hand() -> None:
    """Three games. Message distances 1, 2, 1; meaning distances 1, 2, 2 of the same pairs."""
    messages = np.array([[0, 0], [0, 1], [1, 1]])
    attributes = np.array([[0, 0], [0, 1], [1, 2]])
    # Ranks 1.5, 3, 1.5 and 1, 2.5, 2.5; centred -.5, 1, -.5 and -1, .5, .5: .75 / 1.5.
    assert language.topographic_similarity(messages, attributes) == pytest.approx(0.5)
    assert language.topographic_similarity(GRID, GRID) == pytest.approx(1)
    # As classes, any two meanings differ by the same.
    assert language.topographic_similarity(messages, np.arange(3)) is None


def test_sampled_pairs_come_near_all_pairs() -> None:
    messages, _, attributes = sample(1, games=800)
    exact = language.topographic_similarity(messages, attributes, pairs=800 * 799 // 2)
    some = language.topographic_similarity(messages, attributes, pairs=50_000)
    assert some == language.topographic_similarity(messages, attributes, pairs=50_000, seed=0)
    assert some != language.topographic_similarity(messages, attributes, pairs=50_000, seed=1)
    assert some != exact and some == pytest.approx(exact, abs=0.02)


def test_published_values_of_posdis() -> None:
    """EGG's documentation: 0.978656 for 1,000 drawn pairs; a constant symbol changes nothing."""
    torch.manual_seed(0)
    attributes = torch.cat([torch.randint(0, 10, (1000, 1)) for _ in range(2)], 1).numpy()
    assert language.posdis(attributes, attributes) == pytest.approx(0.978656, abs=1e-6)
    longer = np.concatenate([attributes, np.zeros_like(attributes)], axis=1)
    assert language.posdis(longer, attributes) == pytest.approx(0.978656, abs=1e-6)


def test_compositional_languages() -> None:
    """A symbol an attribute at its own place: posdis 1. Own symbols at any place: bosdis 1."""
    assert language.posdis(GRID, GRID) == pytest.approx(1)
    assert language.bosdis(BAG, GRID, 8) == pytest.approx(1)
    assert language.posdis(BAG, GRID) < 0.9
    rng = np.random.default_rng(0)
    ordered = GRID + np.array([0, 4])
    mixed = rng.permuted(np.tile(ordered, (200, 1)), axis=1)
    meanings = np.tile(GRID, (200, 1))
    assert language.bosdis(mixed, meanings, 8) == pytest.approx(1)
    assert language.posdis(mixed, meanings) < 0.01
    # The same symbols for both attributes: the bag forgets which is which.
    assert language.bosdis(GRID, GRID, 4) == pytest.approx(0, abs=1e-9)


def test_disentanglement_by_hand() -> None:
    """Numbers between 0 and 1, from h(p), the entropy of a coin."""

    def h(p: float) -> float:
        return -p * math.log2(p) - (1 - p) * math.log2(1 - p)

    # Of 2 x 2 meanings, the first symbol is the first attribute (gap 1); the second is 1 where both
    # are 1, and tells as much of one as of the other (gap 0).
    bits = np.array(list(itertools.product(range(2), repeat=2)))
    messages = np.stack([bits[:, 0], bits[:, 0] & bits[:, 1]], axis=1)
    assert language.information_by_position(messages, bits)[1] == pytest.approx(
        [h(1 / 4) - 0.5] * 2
    )
    assert language.posdis(messages, bits) == pytest.approx(0.5)
    # Of 2 x 4 meanings, the symbol is the first attribute, but always 1 where the second is 3:
    # H(s | first) = h(1/4) / 2 and H(s | second) = 3/4, whose difference is the gap.
    meanings = np.array(list(itertools.product(range(2), range(4))))
    said = np.where(meanings[:, 1] == 3, 1, meanings[:, 0])[:, None]
    gap = (0.75 - h(1 / 4) / 2) / h(5 / 8)
    assert gap == pytest.approx(0.3609, abs=1e-4)
    assert language.posdis(said, meanings) == pytest.approx(gap)
    # One symbol a message: how often it has 0, and how often 1, are the same bit.
    assert language.bosdis(said, meanings, 2) == pytest.approx(gap)


def test_shuffled_messages() -> None:
    rng = np.random.default_rng(0)
    mixed = language.shuffled(MESSAGES, rng)
    assert sorted(mixed.tolist()) == sorted(MESSAGES.tolist())
    assert not np.array_equal(mixed, MESSAGES)
    # Every order of the six guesses against the six classes: classes 3 and 3, guesses 4 and 2.
    rates = [np.mean(np.array(p) == CLASSES) for p in itertools.permutations(GUESSES.tolist())]
    assert language.shuffled_success(CLASSES, GUESSES) == pytest.approx(np.mean(rates))
    assert language.shuffled_success(CLASSES, GUESSES) == pytest.approx((3 * 4 + 3 * 2) / 36)


def test_no_greedy_receiver_beats_purity_and_one_reaches_it() -> None:
    messages, classes, _ = sample(3)
    said, table = language.codes(messages), language.counts(messages, classes)
    rng = np.random.default_rng(0)
    limit = language.purity(messages, classes)
    for answers in rng.integers(0, 5, size=(500, len(table))):
        assert np.mean(answers[said] == classes) <= limit
    assert np.mean(np.unique(classes)[table.argmax(1)][said] == classes) == pytest.approx(limit)


def test_describe_leaves_out_what_is_not_defined() -> None:
    found = language.describe(MESSAGES, CLASSES, GUESSES, vocabulary=2, number=2)
    assert found["success"] == pytest.approx(5 / 6) and found["capacity_bound"] == 1
    assert found["guess_information"] == pytest.approx(plain_entropy([0, 0, 1]))
    assert "posdis" not in found and "topographic_similarity" in found
    whole = language.describe(GRID, GRID[:, 0] * 4 + GRID[:, 1], np.arange(16), 4, 16, GRID)
    assert whole["posdis"] == pytest.approx(1) and whole["ambiguity"] == 0
    assert whole["v_measure"] == 1 and whole["class_information"] == 4
    assert all(type(value) is float for value in whole.values())
