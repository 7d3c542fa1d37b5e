"""The definition of an option: a field of `TrialConfig` whose metadata says everything about it.

Commands, TOML names, parsing, checks, the trial's key, numeric columns, the estimate of a run's time and the reference
in `results/README.md` are made from it: bench/core/trial_config.py is the table, and a new option is a new field there.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any

from bench.core.errors import BenchError
from bench.core.option_kinds import TEXT, Kind, shown, text_of
from bench.core.registry import unknown_name_message

# Groups of options in a command's help. They are also the loops of a grid, from the outermost in.
REPETITION, DATA, BACKEND, TRAINING, MODEL = LOOPS = (
    "Seeds and repeats",
    "Data (commas make a grid)",
    "Backend (commas make a grid)",
    "Training and testing (commas make a grid)",
    "Model (commas make a grid)",
)
TUNING = "Tuning on the validation split"
RUN = "The run"


@dataclass(frozen=True, kw_only=True)
class Option:
    """An option. The help names the choices too if its text has no full stop, and always the default."""

    help: str
    kind: Kind = TEXT
    panel: str = RUN
    name: str = ""  # for the command line and TOML, with underscores; empty: the field's
    default_text: str = ""  # the default as the help has it; empty: its own text; "-": the help leaves it out
    choices: tuple[str, ...] = ()
    accepts: Callable[[Any], bool] | None = None  # whether a value is in range
    accepted: str = ""  # in messages; empty: the kind's
    axis: bool = True  # several values make a grid
    in_key: bool = True  # False: it can't change a result
    by_content: bool = False  # in the key by the content of what it names or selects, not by its value
    needs: str = ""  # the field that must be set for this one to have an effect
    of_training: bool = True  # `bench run` has it
    of_speed: bool = False  # `bench speed` has it; a speed-only trial has the default of all others
    step_time: bool = False  # it changes the time of a training step
    costs: bool = True  # it changes the time or the memory of a trial; budget and kept weights do so by their own rules
    own_form: bool = False  # a command declares a parameter of its own for it
    internal: str = ""  # not empty: set by a command, not by users; the text says what to do instead
    unit: str = ""  # the unit of its column
    column: str = ""  # its column in `load_results`; empty: the field's name
    meaning: str = ""  # the text in results/README.md; empty: the help text
    field: str = ""  # the field's name, filled in by `table`
    default: Any = None  # the field's default, filled in by `table`

    @property
    def flag(self) -> str:
        """The name on the command line, such as `--image-size`."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def range(self) -> str:
        """The accepted values, for messages."""
        return self.accepted or ", ".join(self.choices) or self.kind.accepted

    def help_text(self) -> str:
        """Write the help of the command's parameter."""
        text = self.help if self.help.endswith(".") else f"{self.help}: {', '.join(self.choices)}."
        default = self.default_text or text_of(self.default)
        return text if default == "-" else f"{text} Default: {default}."

    def read(self, value: Any, several: str = "") -> Any:
        """Read a value from its text or from TOML's type.

        Args:
            several: text that the message adds to what is accepted.

        Raises:
            BenchError: the value can't be read.
        """
        try:
            return self.kind.parse(value)
        except (ValueError, TypeError, OverflowError) as error:
            if isinstance(error, BenchError):
                raise
            raise BenchError(f"{self.flag} is '{shown(value)}'. Accepted: {self.range}{several}.") from error

    def check(self, value: Any) -> None:
        """Raise BenchError for a value out of range, or one that is none of the choices."""
        if self.choices and value not in self.choices:
            choices = list(self.choices)
            raise BenchError(unknown_name_message(f"value of {self.flag}", str(value), choices, choices))
        if self.accepts and not self.accepts(value):
            raise BenchError(f"{self.flag} is {text_of(value)}. Accepted: {self.range}.")


_KEY = "option"


def option(default: Any = dataclasses.MISSING, *, factory: Any = dataclasses.MISSING, **said: Any) -> Any:
    """Make a dataclass field that is an option.

    Args:
        default: the protocol's default; left out for a field that must be given.
        factory: makes a default that is mutable, such as `dict`.
        said: attributes of `Option`.
    """
    metadata = {_KEY: Option(**said)}
    if factory is not dataclasses.MISSING:
        return field(default_factory=factory, metadata=metadata)
    return field(metadata=metadata) if default is dataclasses.MISSING else field(default=default, metadata=metadata)


def table(config: Any) -> dict[str, Option]:
    """List the options of a dataclass by field, in its order."""
    return {f.name: _completed(f) for f in fields(config)}


def _completed(f: Any) -> Option:
    said: Option = f.metadata[_KEY]
    default = None if f.default is dataclasses.MISSING else f.default
    return dataclasses.replace(
        said, field=f.name, name=said.name or f.name, column=said.column or f.name, default=default
    )
