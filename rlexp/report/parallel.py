"""Parallel coordinates of a sweep."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Any

from rlexp.report.comparison import Comparison, Scored
from rlexp.report.groups import ABSENT, short, text
from rlexp.report.svg import Frame, picture, ticks
from rlexp.report.table import number


def parallel(
    result: Comparison, keys: dict[str, list[Any]], shown: Sequence[Scored], wide: bool
) -> str:
    """A line a setting through the values it had, ending in its score."""
    frame = Frame(900 if wide else 360, 340 if wide else 300, 70 if wide else 34,
                  76 if wide else 44, 44, 26)  # fmt: skip
    x0, x1, y0, y1 = frame.inner
    values = {key: [s.group.config.get(key, ABSENT) for s in shown] for key in keys}
    order = {key: dict.fromkeys(map(text, column)) for key, column in keys.items()}
    rails = {key: Rail(column, list(order[key])) for key, column in values.items()}
    rails[result.what] = Rail([s.iqm for s in shown])
    places = {key: x0 + (x1 - x0) * i / (len(rails) - 1) for i, key in enumerate(rails)}
    body = labels = ""
    for key, rail in rails.items():
        at = places[key]
        body += f'<line class="axis" x1="{at:.1f}" x2="{at:.1f}" y1="{y0}" y2="{y1}"/>'
        head = short(key, list(keys)) if key in keys else "score"
        anchor = "start" if at == x0 and not wide else "middle"
        labels += (
            f'<text class="name" x="{at:.1f}" y="22" text-anchor="{anchor}">{escape(head)}</text>'
        )
        for share, label in rail.labels():
            height = y1 - share * (y1 - y0)
            last = key == result.what
            side = 'text-anchor="start"' if last else 'text-anchor="end"'
            offset = 7 if last else -7
            place = f'x="{at + offset:.1f}" y="{height + 4:.1f}" {side}'
            labels += f'<text class="halo" {place}>{escape(label)}</text>'
    score = rails[result.what]
    best = shown[0]
    for scored in reversed(shown):
        points = []
        for key, rail in rails.items():
            value = scored.iqm if key == result.what else scored.group.config.get(key, ABSENT)
            points.append(f"{places[key]:.1f},{y1 - rail.place(value) * (y1 - y0):.1f}")
        share = score.place(scored.iqm)
        share = 1 - share if result.lower else share
        kind = "way best" if scored is best else "way"
        tip = f"{scored.label}: {number(scored.iqm)}"
        body += (
            f'<polyline class="{kind}" points="{" ".join(points)}" data-tip="{escape(tip)}" '
            f'style="--share:{share:.2f}"/>'
        )
    name = (
        f"Parallel coordinates: every setting's values and its {result.what}; best: {best.label}."
    )
    return picture(frame, body + labels, name, "tips " + ("wide" if wide else "narrow"))


class Rail:
    """An axis of parallel coordinates: numbers to scale (logarithmic where they span decades),
    anything else in the order it came."""

    def __init__(self, values: Sequence[Any], order: Sequence[str] = ()) -> None:
        numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
        numbers = [v for v in numbers if math.isfinite(v)]
        self.scaled = len(numbers) == len(values)
        known = set(map(text, values))
        self.options = [o for o in order if o in known] or list(dict.fromkeys(map(text, values)))
        if self.scaled:
            low, high = min(numbers), max(numbers)
            self.log = low > 0 and high / low >= 20
            self.low, self.high = self._scale(low), self._scale(high)
            self.numbers = sorted(set(numbers))

    def _scale(self, value: float) -> float:
        return math.log10(value) if self.log else float(value)

    def place(self, value: Any) -> float:
        """0 at the bottom, 1 at the top."""
        if self.scaled:
            span = self.high - self.low
            return (self._scale(value) - self.low) / span if span else 0.5
        return (self.options.index(text(value)) + 0.5) / len(self.options)

    def labels(self) -> list[tuple[float, str]]:
        if not self.scaled:
            return [(self.place(option), option[:14]) for option in self.options[:12]]
        chosen = self.numbers if len(self.numbers) <= 6 else self._round()
        return [(self.place(value), number(float(value))) for value in chosen]

    def _round(self) -> list[float]:
        if not self.log:
            return ticks(self.low, self.high, 5)
        decades = range(math.ceil(self.low - 1e-9), math.floor(self.high + 1e-9) + 1)
        return [10.0**d for d in decades] or [self.numbers[0], self.numbers[-1]]
