"""The gain of several devices: trials over several of them, compared with trials of the same configuration on one."""

import math

import pandas as pd

SPEED, SPEEDUP, EFFICIENCY = "train_images_per_second", "device_speedup", "device_efficiency"
DEVICES = "devices_per_trial"
_SAME = ["configuration", "software", "device"]


def with_scaling(frame: pd.DataFrame) -> pd.DataFrame:
    """Add `device_speedup` and `device_efficiency` to a frame of trials; NaN for those on one device.

    Both are NaN as well if the frame has no ok trial of the same configuration and software on one such device.
    """
    ok = frame[(frame["status"] == "ok") & (frame["configuration"] != "")]
    if not (ok[DEVICES] > 1).any():
        return frame
    alone = ok[ok[DEVICES] == 1].groupby(_SAME)[SPEED].mean().to_dict()
    several = ok[ok[DEVICES] > 1]
    speedup = several.apply(lambda row: row[SPEED] / alone.get(_alone(row), math.nan), axis=1)
    efficiency = speedup / several[DEVICES]
    return frame.assign(**{SPEEDUP: speedup.reindex(frame.index), EFFICIENCY: efficiency.reindex(frame.index)})


def _alone(row: "pd.Series[object]") -> tuple[object, ...]:
    """Return what the trials on one device have in common with a trial on several."""
    device = str(row["device"]).removeprefix(f"{row[DEVICES]:g} x ")
    return row["configuration"], row["software"], device
