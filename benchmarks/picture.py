"""A plot of time against the size of the fleet, as SVG, without a library."""

import math

WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, TOP, BOTTOM = 60, 170, 20, 50
SERIES = (
    ("step_heard", "every agent has heard", "#7a9cc6"),
    ("step_attested", "every report is durable", "#3b6ea5"),
    ("step_seconds", "the step is green", "#12355b"),
    ("revert_seconds", "a revert is green", "#c0562f"),
)


def plot(by_size: dict[int, dict[str, float]]) -> str:
    """Seconds from the press on a button, by number of agents (logarithmic)."""
    sizes = sorted(by_size)
    most = max(times[key] for times in by_size.values() for key, _, _ in SERIES)
    top = math.ceil(most * 4) / 4
    low, high = math.log10(sizes[0]), math.log10(sizes[-1])

    def x(size: int) -> float:
        share = (math.log10(size) - low) / (high - low)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def y(seconds: float) -> float:
        return HEIGHT - BOTTOM - seconds / top * (HEIGHT - TOP - BOTTOM)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"'
        ' font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
    ]
    for tick in range(int(top * 4) + 1):
        at = y(tick / 4)
        parts.append(f'<path d="M{LEFT} {at:.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">{tick / 4}</text>')
    under = HEIGHT - BOTTOM + 18
    parts += [
        f'<text x="{x(size):.1f}" y="{under}" text-anchor="middle">{size:,}</text>'
        for size in sizes
    ]
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{HEIGHT - 10}" text-anchor="middle">agents</text>')
    parts.append(f'<text x="8" y="{TOP - 6}">seconds</text>')
    ends = sorted((by_size[sizes[-1]][key], key) for key, _, _ in SERIES)
    labels = {key: y(0) - 40 - 22 * rank for rank, (_, key) in enumerate(ends)}
    for key, name, colour in SERIES:
        points = " ".join(f"{x(size):.1f},{y(by_size[size][key]):.1f}" for size in sizes)
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>'
        )
        at = min(labels[key], HEIGHT - BOTTOM)
        parts.append(f'<text x="{WIDTH - RIGHT + 10}" y="{at:.1f}" fill="{colour}">{name}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"
