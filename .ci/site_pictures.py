"""The pictures of docs/statistics.md, drawn when the site is built, by the functions that judge results.

The numbers are made up, from fixed seeds, so that the true scores are known; the intervals are those of reports.
"""

import io
from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from bench.report.plots.figures import COLORS, GREY, our_style
from bench.results.analysis.bootstrap import Uncertainty, bootstrap, ranks
from bench.results.analysis.intervals.scales import Scale
from bench.results.analysis.prediction_interval import predict

ONE, OTHER, WRONG = COLORS[0], COLORS[1], COLORS[4]
Numbers = np.ndarray


def drawn(name: str) -> bytes:
    """Draw a picture as SVG, equal each time."""
    with our_style():
        figure = Figure(figsize=(7.2, 3.0), layout="constrained")
        PICTURES[name](figure)
        text = io.StringIO()
        figure.savefig(text, format="svg", bbox_inches="tight", metadata={"Date": None, "Creator": None})
    return text.getvalue().encode()


def overlap(figure: Figure) -> None:
    """The pixels of two disks, label and prediction: what both share is divided by what either covers"""
    for axes, shift in zip(figure.subplots(1, 3), (1.2, 0.55, 0.12), strict=True):
        y, x = np.mgrid[-2:2:400j, -2:3:500j]
        label, predicted = x**2 + y**2 < 1, (x - shift) ** 2 + y**2 < 1
        both, either = (label & predicted).sum(), (label | predicted).sum()
        for centre, color in ((0, ONE), (shift, OTHER)):
            axes.add_patch(Circle((centre, 0), 1, facecolor=color, alpha=0.5))
        axes.text(shift - 1.55, -1.25, "label", color=ONE, ha="left")
        axes.text(1.55, -1.25, "prediction", color=OTHER, ha="right")
        middle = shift / 2
        axes.set(xlim=(middle - 1.7, middle + 1.7), ylim=(-1.3, 1.1), aspect="equal", title=f"IoU {both / either:.2f}")
        axes.axis("off")


def lucky(figure: Figure) -> None:
    """Scores of many seeds of two networks that overlap, and how often the worse network is ahead by number of seeds"""
    left, right = figure.subplots(1, 2)
    rng, means, sd = np.random.default_rng(0), (0.60, 0.62), 0.02
    worse, better = (rng.normal(mean, sd, (4000, 10)) for mean in means)
    bins = np.linspace(0.52, 0.70, 61)
    for values, color, label in ((worse, GREY, "worse network"), (better, ONE, "better network")):
        left.hist(values.ravel(), bins=bins, density=True, histtype="stepfilled", color=color, alpha=0.6, label=label)
    left.set(xlabel="mean IoU of one seed", yticks=[], xticks=[0.54, 0.58, 0.62, 0.66])
    left.set_ylim(top=26)
    left.legend(loc="upper left")
    seeds = np.arange(1, 11)
    wrong = [100 * float((worse[:, :n].mean(1) > better[:, :n].mean(1)).mean()) for n in seeds]
    right.plot(seeds, wrong, marker="o", color=WRONG)
    right.set(xlabel="seeds of each", ylabel="the worse one is ahead (%)", ylim=(0, None), xticks=seeds)


def coverage(figure: Figure) -> None:
    """Forty experiments with a 95 % interval each, around a true score that is known; those that miss it are red"""
    axes, truth = figure.subplots(), 0.70
    rng = np.random.default_rng(3)
    for place in range(40):
        found = _row(rng, truth + 0.01 * rng.standard_normal(3)).interval
        color = ONE if found.low <= truth <= found.high else WRONG
        axes.plot([place, place], [found.low, found.high], color=color)
        axes.plot(place, found.mean, marker="o", markersize=3, color=color)
    axes.axhline(truth, color=GREY, linestyle="--")
    axes.set(xlabel="experiment: three seeds, 60 test images", ylabel="mean IoU", xticks=[])


def paired(figure: Figure) -> None:
    """Scores of two networks image by image along the diagonal, and the interval of their difference both ways"""
    left, right = figure.subplots(1, 2)
    rng = np.random.default_rng(1)
    hard = rng.beta(6, 2.5, 60)
    one, other = (np.clip(hard + gain + rng.normal(0, 0.04, (3, 60)), 0, 1) for gain in (0.0, 0.03))
    left.scatter(one.mean(0), other.mean(0), s=12, color=ONE)
    left.plot([0, 1], [0, 1], color=GREY, linestyle="--")
    left.set(xlabel="IoU of network A on an image", ylabel="IoU of network B", xlim=(0.2, 1), ylim=(0.2, 1))
    together = _rows([one, other])
    apart = [*_rows([one]), *_rows([other], draw=7)]
    for place, pair in enumerate((apart, together)):
        found = pair[1].minus(pair[0])
        if found:  # as always with three seeds
            right.plot([found.low, found.high], [place, place], color=(GREY, ONE)[place], linewidth=3)
            right.plot(found.mean, place, marker="o", color=(GREY, ONE)[place])
    right.axvline(0, color=WRONG, linestyle="--")
    right.set(
        yticks=[0, 1], yticklabels=["other images each", "the same images"], ylim=(-0.6, 1.6), xlabel="B - A, 95 %"
    )


def near_one(figure: Figure) -> None:
    """Intervals of scores from 0.5 to 0.99: symmetric ones pass 1, those on the scale of logits do not"""
    axes = figure.subplots()
    for place, mean in enumerate((0.5, 0.8, 0.9, 0.95, 0.98, 0.99)):
        for shift, scale, color in ((-0.12, Scale.PLAIN, GREY), (0.12, Scale.SHARE, ONE)):
            found = scale.around(mean, 0.025)
            label = {Scale.PLAIN: "symmetric", Scale.SHARE: "on the scale of logits"}[scale] if not place else None
            axes.plot([found.low, found.high], [place + shift] * 2, color=color, linewidth=3, label=label)
            axes.plot(mean, place + shift, marker="o", markersize=4, color=color)
    axes.axvline(1, color=WRONG, linestyle="--")
    axes.set(yticks=[], xlabel="IoU with the same standard error")
    axes.legend(loc="center left")


def ranges(figure: Figure) -> None:
    """Five networks with their intervals, and the range of ranks that each could have"""
    axes = figure.subplots()
    rng = np.random.default_rng(5)
    hard = rng.beta(6, 3, 80)
    gains, sd = (0.08, 0.07, 0.045, 0.0, -0.01), 0.006
    scores = [hard + gain + rng.normal(0, sd, (3, 1)) + rng.normal(0, 0.05, (3, 80)) for gain in gains]
    rows = sorted(_rows([np.clip(some, 0, 1) for some in scores]), key=lambda row: -row.mean)
    for place, (row, (best, worst)) in enumerate(zip(rows, ranks(rows), strict=True)):
        axes.plot([row.interval.low, row.interval.high], [place, place], color=COLORS[place], linewidth=3)
        axes.plot(row.mean, place, marker="o", color=COLORS[place])
        axes.text(
            row.interval.high + 0.004, place, f"rank {best} to {worst}" if worst > best else f"rank {best}", va="center"
        )
    axes.set(yticks=range(5), yticklabels=[f"network {name}" for name in "ABCDE"], xlabel="mean IoU, 95 %")
    axes.set_xlim(right=max(row.interval.high for row in rows) + 0.03)
    axes.invert_yaxis()


def next_seed(figure: Figure) -> None:
    """Half widths of two intervals by number of seeds: that of the mean shrinks to 0, that of one more seed does not"""
    axes, sd = figure.subplots(), 0.01
    seeds = np.arange(2, 16)
    widths = []
    for n in seeds:
        pattern = np.arange(n) - (n - 1) / 2
        found = predict(list(0.7 + sd * pattern / pattern.std(ddof=1)))
        widths.append((found.high - found.low) / 2)
    of_mean = np.array(widths) / np.sqrt(seeds + 1)  # t s / sqrt(n), where the other is t s sqrt(1 + 1 / n)
    _line(axes, seeds, np.array(widths), OTHER, "prediction: where one more seed falls")
    _line(axes, seeds, of_mean, ONE, "confidence: where the true mean is")
    axes.axhline(1.96 * sd, color=GREY, linestyle="--")
    axes.set(xlabel="seeds", ylabel="half width (mean IoU)", ylim=(0, 0.06), xticks=seeds)
    axes.legend()


def _line(axes: Axes, x: Numbers, y: Numbers, color: str, label: str) -> None:
    axes.plot(x, y, marker="o", color=color, label=label)


def _row(rng: np.random.Generator, means: Numbers) -> Uncertainty:
    """Make a row of three seeds whose images scatter around the means, hard images alike for all seeds."""
    hard = rng.normal(0, 0.12, 60)
    images = means[:, None] + hard + rng.normal(0, 0.03, (len(means), 60))
    return _rows([images])[0]


def _rows(scores: list[Numbers], draw: int = 0) -> list[Uncertainty]:
    """Bootstrap rows of seeds by images, with the reports' function."""
    values = [[np.stack([seed, np.ones_like(seed)], -1) for seed in row] for row in scores]
    names = [str(place) for place in range(scores[0].shape[1])]
    return bootstrap(values, names, lambda sums: sums[..., 0] / sums[..., 1], scale=Scale.SHARE, seed=draw)


PICTURES: dict[str, Callable[[Figure], None]] = {
    each.__name__: each for each in (overlap, lucky, coverage, paired, near_one, ranges, next_seed)
}
"""The drawing function of each picture; its docstring is the text for who can't see the picture."""
