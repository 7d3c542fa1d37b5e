"""The command line. `bench --help` imports nothing heavy: each command imports what it needs when it is called."""

import errno
import shlex
import signal
import sys
from typing import Annotated, Any

INTERRUPTED = 130  # what a shell gives for Ctrl-C
CONTINUING = ("run", "speed", "plan", "prepare", "robustness", "merge")  # commands that go on where they were ended

try:
    import typer
    from rich.console import Console
    from rich.markup import escape
    from typer.core import TyperGroup

    from bench import __version__
    from bench.commands.audit import audit
    from bench.commands.check import check
    from bench.commands.compare import compare
    from bench.commands.deploy import deploy
    from bench.commands.doctor import doctor
    from bench.commands.ensemble import ensemble
    from bench.commands.evaluate import evaluate
    from bench.commands.export import export
    from bench.commands.history import history
    from bench.commands.list import listing
    from bench.commands.merge import merge
    from bench.commands.plan import plan
    from bench.commands.predict import predict
    from bench.commands.prepare import prepare
    from bench.commands.recommend import recommend
    from bench.commands.report import report
    from bench.commands.rescore import rescore
    from bench.commands.robustness import robustness
    from bench.commands.run import run
    from bench.commands.show import show
    from bench.commands.show_arch import show_arch
    from bench.commands.show_dataset import show_dataset
    from bench.commands.speed import speed
    from bench.commands.verify import verify
    from bench.core.errors import BenchError
    from bench.results.clean_text import clean
except KeyboardInterrupt:  # these take half a second, in which nobody wants a traceback either
    sys.exit(INTERRUPTED)


_UsageError: Any = typer.BadParameter.__mro__[1]  # Click's, or Typer's own copy of it


class _Commands(TyperGroup):
    """The group of commands; it turns a user's mistake into one line and exit code 2, and Ctrl-C into 130."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command; for the old `bench show arch` and `bench show dataset`, name the new one."""
        if len(args) > 1 and args[0] == "show" and args[1] in ("arch", "dataset"):
            raise BenchError(f"`bench show {args[1]}` has become `bench {shlex.join([f'show-{args[1]}', *args[2:]])}`.")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        errors = Console(stderr=True, soft_wrap=True, highlight=False)
        try:
            return super().invoke(ctx)
        except BenchError as error:
            errors.print(_line(str(error)))
            raise typer.Exit(2) from error
        except OSError as error:  # a full disk, a path that is too long: no fault of the program
            if error.errno == errno.EPIPE:  # nobody reads on, as in `bench list runs | head -1`
                raise
            where = f"'{error.filename}': " if error.filename is not None else ""
            errors.print(_line(f"{where}{error.strerror or error}."))
            raise typer.Exit(2) from error
        except _UsageError as error:
            if not (hint := _hint(error)):
                raise
            errors.print(_line(hint))
            raise typer.Exit(2) from error
        except KeyboardInterrupt as error:
            errors.print(f"Interrupted. {_after_interruption(str(ctx.invoked_subcommand))}")
            raise typer.Exit(INTERRUPTED) from error


def _line(message: str) -> str:
    """Write an error for the terminal; it may quote what somebody else wrote."""
    return f"[red]Error:[/red] {escape(clean(message, keep=chr(10)))}"


def _after_interruption(command: str) -> str:
    """Say what the same command would do."""
    if command in CONTINUING:
        return "The same command continues with what is missing."
    return "What wasn't finished isn't written. The same command begins anew."


def _hint(error: Any) -> str | None:
    """Suggest what to write for an unknown option that has hyphens, or is a parameter of a data set or architecture."""
    from bench.config.given import hint_for

    name = getattr(error, "option_name", None)  # of an unknown option only
    if not name:
        return None
    hyphened = name.replace("_", "-")
    if name == "--results" and error.ctx and any(param.name == "results" for param in error.ctx.command.params):
        command = error.ctx.command.name
        return f"Results folders are arguments of `bench {command}`: write `bench {command} FOLDER` without --results."
    there = {option for param in error.ctx.command.params for option in param.opts} if error.ctx else set()
    return f"There is no option {name}. Did you mean {hyphened}?" if hyphened in there else hint_for(name)


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Train segmentation architectures under one fixed budget and rank them by test scores, speed and memory.",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"segbench {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Take the options of `bench` itself; the help of the app is that of the commands."""


app.command()(run)
app.command()(speed)
app.command()(plan)
app.command()(evaluate)
app.command()(rescore)
app.command()(predict)
app.command()(ensemble)
app.command()(robustness)
app.command()(export)
app.command()(deploy)
app.command()(report)
app.command()(check)
app.command()(recommend)
app.command()(compare)
app.command()(verify)
app.command()(history)
app.command()(merge)
app.command()(audit)
app.command("list")(listing)
app.command()(prepare)
app.command()(show)
app.command()(show_arch)
app.command()(show_dataset)
app.command()(doctor)


def main() -> None:
    """Run the command `bench`."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a stopped job ends as cleanly as after Ctrl-C
    try:
        sys.exit(app())
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
