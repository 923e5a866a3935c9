#!/usr/bin/env python3
"""Judges the table of a soak: soak_report.py TABLE PICTURE

Fits a line to each column over time, the first fifth left out, draws them into
an SVG and prints the figure. Exits 0 only where nothing grows.
"""

import csv
import statistics
import sys

WARM_UP = 0.2  # of the time
# Column, name, unit; the most it may grow by over the soak, of its mean.
COLUMNS = [
    ("resident_mib", "resident memory", "MiB", 0.05),
    ("files", "open files", "", 0.05),
    ("threads", "threads", "", 0.10),
    ("p50_ms", "p50 of a lone text", "ms", 0.25),
    ("p99_ms", "p99 of a lone text", "ms", 0.25),
]
WIDTH, HEIGHT, LEFT, TOP = 720, 110, 150, 16


def plot(row, name, unit, times, values, slope, start):
    """One row of the picture: the values, and the line fitted to them."""
    most = max(values) * 1.1 or 1
    x = lambda t: LEFT + (WIDTH - LEFT - 20) * t / times[-1]
    y = lambda v: row + HEIGHT - 24 - (HEIGHT - 44) * max(0, min(v, most)) / most
    points = " ".join(f"{x(t):.1f},{y(v):.1f}" for t, v in zip(times, values))
    fit = [(t, start + slope * t) for t in (WARM_UP * times[-1], times[-1])]
    line = " ".join(f"{x(t):.1f},{y(v):.1f}" for t, v in fit)
    return (
        f'<text x="10" y="{row + 40}">{name}</text>'
        f'<text x="10" y="{row + 58}" class="dim">0 to {most:.0f} {unit}</text>'
        f'<path d="M{LEFT},{row + HEIGHT - 24}H{WIDTH - 20}" class="axis"/>'
        f'<polyline points="{points}" class="values"/>'
        f'<polyline points="{line}" class="fit"/>'
    )


def main():
    table, picture = sys.argv[1:]
    rows = list(csv.DictReader(open(table), delimiter="\t"))
    times = [float(row["seconds"]) for row in rows]
    minutes = times[-1] / 60
    first = next(i for i, t in enumerate(times) if t >= WARM_UP * times[-1])
    bodies, words, bad = [], [], []
    for i, (column, name, unit, bar) in enumerate(COLUMNS):
        values = [float(row[column]) for row in rows]
        slope, start = statistics.linear_regression(times[first:], values[first:])
        mean = statistics.mean(values[first:])
        growth = slope * (times[-1] - times[first]) / mean
        if growth > bar:
            bad.append(name)
        bodies.append(plot(TOP + i * HEIGHT, name, unit, times, values, slope, start))
        words.append(f"{name} {mean:.1f}{' ' + unit if unit else ''}, slope {60 * slope:+.3f} a minute: {100 * growth:+.1f}% (bar {100 * bar:.0f})")
    height = TOP + len(COLUMNS) * HEIGHT
    with open(picture, "w") as svg:
        svg.write(
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="13">'
            "<style>.dim{fill:#777}.axis{stroke:#aaa}.values{fill:none;stroke:#2b6cb0}"
            ".fit{fill:none;stroke:#c53030;stroke-dasharray:5 4}</style>"
            f'<rect width="{WIDTH}" height="{height}" fill="white"/>'
            f'{"".join(bodies)}<text x="{LEFT}" y="{height - 6}" class="dim">0 to {minutes:.0f} minutes</text></svg>\n'
        )
    last = rows[-1]
    errors = int(last["errors"])
    print(
        f"{minutes:.0f} minutes, {last['calls']} calls, {last['events']} swaps, rotations, RPC loads, broken models and restarts: "
        f"{errors} unexplained errors; {'; '.join(words)}"
    )
    if bad:
        print(f"soak: too much growth: {', '.join(bad)}", file=sys.stderr)
    sys.exit(bool(bad) or errors > 0)


if __name__ == "__main__":
    main()
