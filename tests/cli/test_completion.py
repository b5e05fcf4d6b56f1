"""The shells' own completion, asked through the printed scripts."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from dlco.cli import main

BASH = """
source {script}
COMP_WORDS=({words}) COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
FUNCTION=$(complete -p dlco | sed 's/.*-F \\([^ ]*\\).*/\\1/')
$FUNCTION dlco "${{COMP_WORDS[COMP_CWORD]}}" "${{COMP_WORDS[COMP_CWORD-1]}}"
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
FISH = "source {script}; complete -C {words}"


@pytest.fixture(params=["bash", "fish"])
def offered(request: pytest.FixtureRequest, tmp_path: Path, capsys: pytest.CaptureFixture) -> Callable[..., set[str]]:
    """What a shell offers for the last word of a command line."""
    shell = request.param
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    script = tmp_path / "script"
    assert main(["completion", shell]) == 0
    script.write_text(capsys.readouterr().out)
    (tmp_path / "resources.yaml").touch()

    def ask(*words: str) -> set[str]:
        quoted = " ".join(repr(word) for word in words) if shell == "bash" else repr(" ".join(words))
        command = {"bash": BASH, "fish": FISH}[shell].format(script=script, words=quoted)
        done = subprocess.run(
            [shell, *(["--norc", "--noprofile"] if shell == "bash" else ["--no-config"]), "-c", command],
            capture_output=True,
            text=True,
            cwd=tmp_path,
        )
        assert done.stderr == ""
        return {line.split("\t")[0] for line in done.stdout.splitlines() if line}

    return ask


def test_commands_options_names_and_files_are_offered(offered: Callable[..., set[str]]) -> None:
    assert offered("dlco", "s") == {"solve", "simulate"}
    assert {"solve", "pareto", "nas", "export", "doctor", "completion"} <= offered("dlco", "")
    assert offered("dlco", "solve", "res") == {"resnet18", "resnet34", "resnet50", "resources.yaml"}
    assert offered("dlco", "solve", "resnet18", "--hardware", "e") == {"eyeriss"}
    assert offered("dlco", "solve", "resnet18", "--objective", "") == {"latency", "energy", "edp", "power", "area"}
    assert offered("dlco", "nas", "o") == {"ofa"}
    assert offered("dlco", "nas", "ofa", "--method", "t") == {"two-stage"}
    assert offered("dlco", "evaluate", "a", "b", "c", "--rules", "o") == {"overlap"}
    assert offered("dlco", "solve", "resnet18", "--ob") == {"--objective"}


def test_the_script_of_zsh_is_one(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["completion", "zsh"]) == 0
    script = capsys.readouterr().out
    assert script.startswith("#compdef dlco")
    if shutil.which("zsh") is None:
        pytest.skip("zsh is not installed")
    (tmp_path / "_dlco").write_text(script)
    subprocess.run(["zsh", "-n", tmp_path / "_dlco"], check=True)


def test_another_shell_is_refused(capsys: pytest.CaptureFixture) -> None:
    assert main(["completion", "csh"]) == 2
    assert "bash" in capsys.readouterr().err
