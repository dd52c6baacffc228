"""`batchflow completion`."""

from __future__ import annotations

import sys

import click
from click.shell_completion import get_completion_class

from batchflow.cli.program import NAME

SHELLS = ("bash", "zsh", "fish")


@click.command("completion")
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def command(ctx: click.Context, shell: str) -> int:
    """Print a script that lets your shell complete commands, flags, batches, providers, models, judges and columns.

    \b
    bash: echo 'eval "$(batchflow completion bash)"' >> ~/.bashrc
    zsh:  echo 'eval "$(batchflow completion zsh)"' >> ~/.zshrc
    fish: batchflow completion fish > ~/.config/fish/completions/batchflow.fish
    """  # noqa: D301 - click wants the backspace itself
    of_shell = get_completion_class(shell)
    if of_shell is not None:
        sys.stdout.write(of_shell(ctx.find_root().command, {}, NAME, f"_{NAME.upper()}_COMPLETE").source() + "\n")
    return 0
