"""Flag what a training did wrong: too short, overfitted, unstable, or without result."""

import math
from collections import Counter
from collections.abc import Iterator

from bench.report.flags.flag import GAP, IDLE, LEARNED_NOTHING, LONG, RISING, Flag, numbers, texts
from bench.report.flags.machine import wait_text
from bench.results.analysis.configurations import Configuration
from bench.results.clean_text import shorten
from bench.results.quantities import TARGET_SECONDS


def learning_flags(member: Configuration) -> Iterator[Flag]:
    """Flag a training that failed to learn, and time that it could have used better."""
    missed = member.seeds - member.spread(TARGET_SECONDS.name).n if member.values["target"] else 0
    if missed:
        yield Flag("target missed", f"{missed} of {member.seeds} seeds did not reach {member.values['target']}")
    rise = member.spread("val_mean_iou_rise").mean
    if rise > RISING and (missed or not member.values["target"]):
        yield Flag("not converged", f"validation mean IoU rose by {rise:.3f} over the last fifth of the budget")
    ok, trials = member.ok, len(member.ok)
    gap, error = member.spread("train_gap").mean, member.spread("train_gap_se").mean
    if gap > GAP and gap > 2 * error:
        seen = member.spread("train_mean_iou").mean
        yield Flag("overfitting", f"mean IoU {seen:.3f} on training images, {seen - gap:.3f} on test images")
    if spikes := sum(numbers(ok, "loss_spikes")):
        worst = max(numbers(ok, "worst_loss_spike"), default=math.nan)
        spiky = sum(1 for count in numbers(ok, "loss_spikes") if count)
        yield Flag("loss spikes", f"{spikes:g} in {spiky} of {trials} trials, up to {worst:.1f} times the usual loss")
    if dead := Counter(filter(None, texts(ok, "never_predicted"))):
        listed = "; ".join(f"{shorten(names, 80)} in {count} of {trials} trials" for names, count in dead.items())
        yield Flag("dead outputs", shorten(f"never predicted: {listed}", 200))
    if (idle := member.spread("gpu_idle_share").mean) > IDLE:
        yield Flag("idle GPU", f"idle in {idle:.0%} of the training time{wait_text(member)}")
    share = member.spread("ledger_evaluate_seconds").mean / (member.spread("wall_seconds").mean or 1)
    if share > LONG:
        yield Flag("long evaluation", f"{share:.0%} of the trial's time")
    score, floor = member.spread("mean_iou").mean, member.spread("majority_class_mean_iou").mean
    if score <= floor:
        yield Flag(LEARNED_NOTHING, f"mean IoU {score:.3f}; always predicting the most common class: {floor:.3f}")
    if (kept := member.spread("random_frozen_params").mean) > 0:
        yield Flag("random backbone", f"{kept:,.0f} frozen weights kept their random values (weights none)")
