"""The options that `bench run`, `bench speed` and `bench plan` share."""

from pathlib import Path
from typing import Annotated

import typer

from bench.commands.shared import BANDS_HELP, DEFAULT_RESULTS, GROUP_BY_HELP, SCALE_VALUES_HELP, VERIFY_DATA_HELP
from bench.core.options import DATA, REPETITION, RUN

ConfigFile = Annotated[
    Path | None,
    typer.Option(
        help="A TOML file with options and tables of trials, or the name of a preset. Command-line options win.",
        rich_help_panel=RUN,
        show_default=False,
    ),
]
Results = Annotated[
    Path | None,
    typer.Option(
        help=f"The folder for the records. Default: {DEFAULT_RESULTS}.", rich_help_panel=RUN, show_default=False
    ),
]
DryRun = Annotated[
    bool,
    typer.Option("--dry-run", help="Show the planned trials and their estimated time; run none.", rich_help_panel=RUN),
]
GroupBy = Annotated[str | None, typer.Option(help=GROUP_BY_HELP, rich_help_panel=DATA, show_default=False)]
Bands = Annotated[str | None, typer.Option(help=BANDS_HELP, rich_help_panel=DATA, show_default=False)]
ScaleValues = Annotated[str | None, typer.Option(help=SCALE_VALUES_HELP, rich_help_panel=DATA, show_default=False)]
VerifyData = Annotated[bool, typer.Option("--verify-data", help=VERIFY_DATA_HELP, rich_help_panel=DATA)]
Force = Annotated[bool, typer.Option("--force", help="Run finished trials again.", rich_help_panel=RUN)]
RerunStale = Annotated[
    bool,
    typer.Option(
        "--rerun-stale",
        help="Run finished trials again that ran on another version of the backend or of Keras (0.9 and 0.10 are two, "
        "0.10.1 and 0.10.2 one), or on an unknown one.",
        rich_help_panel=RUN,
    ),
]
ShardOption = Annotated[
    str | None,
    typer.Option(
        "--shard",
        metavar="<number/count>",
        help="Run one part of the grid, such as 3/8: the third of eight, the same on every machine. For job arrays.",
        rich_help_panel=RUN,
        show_default=False,
    ),
]
JobsOption = Annotated[
    int | None,
    typer.Option(
        "--jobs",
        metavar="<number>",
        help="Run so many trials at once, each on a GPU of its own or, without GPUs, on its share of the cores.",
        rich_help_panel=RUN,
        show_default=False,
    ),
]
DevicesOption = Annotated[
    str | None,
    typer.Option(
        "--devices",
        metavar="<numbers>",
        help="Run one trial at a time on each of these GPUs: 0,1,2,3, or all.",
        rich_help_panel=RUN,
        show_default=False,
    ),
]
ExecutorOption = Annotated[
    str,
    typer.Option(
        "--executor",
        metavar="<local|ray>",
        help="Where trials run: on this machine, or on the nodes of a Ray cluster.",
        rich_help_panel=RUN,
    ),
]
RayAddress = Annotated[
    str | None,
    typer.Option(
        "--ray-address",
        metavar="<host:port>",
        help="With --executor ray, the cluster to join, such as 10.0.0.1:6379 or auto. Default: RAY_ADDRESS, or else a "
        "Ray of its own on this machine.",
        rich_help_panel=RUN,
        show_default=False,
    ),
]
EachDevice = Annotated[
    bool,
    typer.Option(
        "--each-device",
        help="With --executor ray, run each trial on each type of device of the cluster, not only on one.",
        rich_help_panel=RUN,
    ),
]
TrackOption = Annotated[
    str | None,
    typer.Option(
        "--track",
        metavar="<names>",
        help="Show the trials while they run in tensorboard, mlflow or wandb (commas for several). Nothing leaves the "
        "machine unless MLFLOW_TRACKING_URI or WANDB_MODE=online asks for it.",
        rich_help_panel=RUN,
        show_default=False,
    ),
]
UntilDecided = Annotated[
    bool,
    typer.Option(
        "--until-decided",
        help="After 3 seeds each, add seeds to the configurations whose order (by mean IoU) is open, until the first "
        "places (--top) are decided or have --max-seeds.",
        rich_help_panel=REPETITION,
    ),
]
MaxSeeds = Annotated[
    int | None,
    typer.Option(
        "--max-seeds",
        metavar="<number>",
        help="With --until-decided, the most seeds of a configuration. Default: 10.",
        rich_help_panel=REPETITION,
        show_default=False,
    ),
]
Top = Annotated[
    int | None,
    typer.Option(
        "--top",
        metavar="<number>",
        help="With --until-decided, the number of places whose order is decided. Default: 3.",
        rich_help_panel=REPETITION,
        show_default=False,
    ),
]
