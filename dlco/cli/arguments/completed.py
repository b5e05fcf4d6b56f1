"""What the shell offers for an argument: names, files, folders. Read by shtab when it writes the shell's script."""

import argparse
import hashlib
from collections.abc import Iterable

import shtab


def names(action: argparse.Action, offered: Iterable[str], *, files: bool = False) -> None:
    """Offer names for an argument, and files where `files`; unlike `choices`, others stay allowed."""
    words = " ".join(offered)
    label = f"_dlco_names_{hashlib.sha256(words.encode()).hexdigest()[:8]}{'_or_files' * files}"
    script = {
        "bash": f'{label}() {{\n  compgen -W "{words}" -- "$1"\n{"  compgen -f -- $1" * files}\n}}\n',
        "zsh": f"{label}() {{\n  compadd -- {words}\n{'  _files' * files}\n}}\n",
    }
    paths = "; __fish_complete_path (commandline -ct)" * files
    _offer(
        action,
        {"bash": label, "zsh": label, "fish": f"(printf '%s\\n' {words}{paths})", "preamble": script},
    )


def file(action: argparse.Action) -> None:
    """Offer files for an argument."""
    _offer(action, shtab.FILE)


def folder(action: argparse.Action) -> None:
    """Offer folders for an argument."""
    _offer(action, shtab.DIRECTORY)


def _offer(action: argparse.Action, what: object) -> None:
    action.complete = what  # type: ignore[attr-defined]  # where shtab looks
