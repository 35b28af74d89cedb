"""Measures of a language: which messages stand for which classes, and how they are built.

Pure functions of what was said in n games: `messages` int [n, length], `classes` int [n] (what the
sender saw), `guesses` int [n] (what the receiver named), `attributes` int [n, k] (features of what
the sender saw). Entropies and information are in bits, from relative frequencies as they are: with
few games a message, information is too high (compare that of `shuffled` messages). Formulas and
sources: docs/language.md.
"""

from __future__ import annotations

import numpy as np

from rlexp.statistics import confusion, spearman

PAIRS = 200_000


def codes(values: np.ndarray) -> np.ndarray:
    """Rows of [n, k] (or values of [n]) as numbers 0, 1, … in their sorted order: int [n]."""
    values = np.asarray(values)
    if values.ndim not in (1, 2) or not values.size:
        raise ValueError(f"wanted [n] or [n, k] with n, k at least 1, got shape {values.shape}")
    return np.unique(values, axis=0, return_inverse=True)[1].reshape(-1)


def counts(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Games with each pair: int [distinct rows, distinct columns], both in sorted order."""
    first, second = codes(rows), codes(columns)
    if len(first) != len(second):
        raise ValueError(f"{len(first)} games beside {len(second)}")
    table = np.zeros((first.max() + 1, second.max() + 1), dtype=np.int64)
    np.add.at(table, (first, second), 1)
    return table


def _bits(table: np.ndarray) -> float:
    share = table[table > 0] / table.sum()
    return max(0.0, float(-(share * np.log2(share)).sum()))  # not -0.0 for a single value


def entropy(values: np.ndarray) -> float:
    """H of the rows of [n, k] or the values of [n], bits (Shannon 1948)."""
    return _bits(np.bincount(codes(values)))


def mutual_information(first: np.ndarray, second: np.ndarray) -> float:
    """I = H(first) + H(second) - H(both), bits, at least 0 (Shannon 1948)."""
    table = counts(first, second)
    return max(0.0, _bits(table.sum(1)) + _bits(table.sum(0)) - _bits(table))


def distinct(messages: np.ndarray) -> int:
    """How many different messages were sent."""
    return int(codes(messages).max()) + 1


def purity(messages: np.ndarray, classes: np.ndarray) -> float:
    """Sum over messages of the games of their largest class, / n (Manning et al. 2008, ch. 16.3).

    The best any fixed answer to each message reaches in these games: no greedy receiver exceeds it.
    """
    return float(counts(messages, classes).max(1).sum() / len(classes))


def capacity_bound(length: int, vocabulary: int, classes: int) -> float:
    """min(1, vocabulary^length / classes): highest success in classes that are equally frequent."""
    messages = vocabulary**length  # exact, however large
    return messages / classes if messages < classes else 1.0


def ambiguity(messages: np.ndarray, classes: np.ndarray) -> float:
    """H(class | message), bits: what a message leaves open (Ferrer i Cancho and Solé 2003)."""
    return max(0.0, entropy(classes) - mutual_information(messages, classes))


def synonymy(messages: np.ndarray, classes: np.ndarray) -> float:
    """H(message | class), bits: how freely a class chooses (Rosenberg and Hirschberg 2007)."""
    return max(0.0, entropy(messages) - mutual_information(messages, classes))


def ambiguous_messages(messages: np.ndarray, classes: np.ndarray) -> float:
    """Share of the distinct messages that were sent for more than one class."""
    return float(((counts(messages, classes) > 0).sum(1) > 1).mean())


def synonymous_classes(messages: np.ndarray, classes: np.ndarray) -> float:
    """Share of the classes that came with more than one message."""
    return float(((counts(messages, classes) > 0).sum(0) > 1).mean())


def v_measure(messages: np.ndarray, classes: np.ndarray) -> float | None:
    """2 I(message; class) / (H(message) + H(class)): 1 for one message a class and back.

    Rosenberg and Hirschberg 2007, beta 1. None where neither varies.
    """
    both = entropy(messages) + entropy(classes)
    return 2 * mutual_information(messages, classes) / both if both > 0 else None


def topographic_similarity(
    messages: np.ndarray, meanings: np.ndarray, pairs: int = PAIRS, seed: int = 0
) -> float | None:
    """Do like meanings get like messages? Spearman's correlation of their distances, -1 to 1.

    Distances are Hamming's: positions that differ, attributes that differ (`meanings` [n, k]), or
    whether the class differs ([n]). Over all pairs of games, or, where there are more than `pairs`,
    over that many drawn with replacement. None where one of the distances is the same in all pairs.
    Brighton and Kirby 2006 (Pearson's there); Lazaridou et al. 2018 (Spearman's).
    """
    games = len(messages)
    messages, meanings = (np.asarray(x).reshape(games, -1) for x in (messages, meanings))
    if games * (games - 1) // 2 <= pairs:
        one, other = np.triu_indices(games, 1)
    else:
        rng = np.random.default_rng(seed)
        one, other = rng.integers(games, size=pairs), rng.integers(games - 1, size=pairs)
        other += other >= one  # never a game with itself
    return spearman(
        (messages[one] != messages[other]).sum(1), (meanings[one] != meanings[other]).sum(1)
    )


def posdis(messages: np.ndarray, attributes: np.ndarray) -> float | None:
    """Positional disentanglement: is every position about one attribute? 0 to 1.

    Mean over positions j, those that never vary left out, of (I(s_j; a1) - I(s_j; a2)) / H(s_j),
    a1 and a2 the attributes with which position j shares most. Chaabouni et al. 2020.
    None with fewer than two attributes, or where no position varies.
    """
    return _gap(np.asarray(messages), attributes)


def bosdis(messages: np.ndarray, attributes: np.ndarray, vocabulary: int) -> float | None:
    """Bag-of-symbols disentanglement: as `posdis`, of how often a message has each symbol.

    Order plays no part. All symbols count: these messages have a fixed length, and no symbol that
    ends them. Chaabouni et al. 2020.
    """
    return _gap(bags(messages, vocabulary), attributes)


def bags(messages: np.ndarray, vocabulary: int) -> np.ndarray:
    """How often each message has each symbol: int [n, vocabulary]."""
    return np.stack([(np.asarray(messages) == s).sum(1) for s in range(vocabulary)], axis=1)


def _gap(parts: np.ndarray, attributes: np.ndarray) -> float | None:
    information = information_by_position(parts, attributes)
    varies = np.array([part.min() < part.max() for part in parts.T])
    if information.ndim < 2 or information.shape[1] < 2 or not varies.any():
        return None
    largest = np.sort(information[varies], axis=1)
    return float(((largest[:, -1] - largest[:, -2]) / entropy_by_position(parts)[varies]).mean())


def information_by_position(messages: np.ndarray, meanings: np.ndarray) -> np.ndarray:
    """I(symbol at position j; meaning), bits: [length] of classes [n], [length, k] of [n, k]."""
    meanings = np.asarray(meanings)
    found = [
        [mutual_information(symbols, meaning) for meaning in np.atleast_2d(meanings.T)]
        for symbols in np.asarray(messages).T
    ]
    return np.array(found) if meanings.ndim == 2 else np.array(found)[:, 0]


def entropy_by_position(messages: np.ndarray) -> np.ndarray:
    """H(symbol at position j), bits: [length]."""
    return np.array([entropy(symbols) for symbols in np.asarray(messages).T])


def success_by_class(classes: np.ndarray, guesses: np.ndarray, number: int) -> np.ndarray:
    """Share of right guesses for each class [number]; NaN for a class that never came."""
    table = confusion(classes, guesses, number)
    games = table.sum(1)
    return np.where(games > 0, np.diag(table) / np.maximum(games, 1), np.nan)


def shuffled(messages: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The same messages, dealt to the games at random: played to the receiver, success must fall
    to chance, or it does not come from the messages."""
    return np.asarray(messages)[rng.permutation(len(messages))]


def shuffled_success(classes: np.ndarray, guesses: np.ndarray) -> float:
    """Success that a greedy receiver has on average over all ways to shuffle the messages.

    Sum over classes of (share of games) x (share of guesses): exact, since the guess goes with the
    message. 1 / classes where the classes are equally frequent.
    """
    number = int(max(np.max(classes), np.max(guesses))) + 1
    came, said = (np.bincount(x, minlength=number) for x in (classes, guesses))
    return float(came @ said / len(classes) ** 2)


def describe(
    messages: np.ndarray,
    classes: np.ndarray,
    guesses: np.ndarray,
    vocabulary: int,
    number: int,
    attributes: np.ndarray | None = None,
) -> dict[str, float]:
    """All of the measures that are one number, by name; without those that are not defined here.

    `number`: classes in the game, of which some may not have come.
    """
    found: dict[str, float | None] = {
        "success": float(np.mean(np.asarray(classes) == guesses)),
        "capacity_bound": capacity_bound(messages.shape[1], vocabulary, number),
        "purity": purity(messages, classes),
        "shuffled_success": shuffled_success(classes, guesses),
        "distinct": float(distinct(messages)),
        "message_entropy": entropy(messages),
        "class_information": mutual_information(messages, classes),
        "guess_information": mutual_information(messages, guesses),
        "v_measure": v_measure(messages, classes),
        "ambiguity": ambiguity(messages, classes),
        "synonymy": synonymy(messages, classes),
        "ambiguous_messages": ambiguous_messages(messages, classes),
        "synonymous_classes": synonymous_classes(messages, classes),
    }
    meanings = classes if attributes is None else attributes
    found["topographic_similarity"] = topographic_similarity(messages, meanings)
    if attributes is not None:
        found["posdis"] = posdis(messages, attributes)
        found["bosdis"] = bosdis(messages, attributes, vocabulary)
    return {name: value for name, value in found.items() if value is not None}
