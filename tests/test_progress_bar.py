import io
from contextlib import redirect_stderr

import pytest

from dlco.design.objective import Objective
from dlco.progress import Progress
from dlco.progress_bar import ProgressBar, time_left


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _terminal_settings(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "160")


def test_a_terminal_shows_phase_share_and_best():
    with redirect_stderr(Terminal()) as terminal, ProgressBar(Objective.ENERGY.text) as bar:
        bar(Progress("relax [1]", 0.25, None, 1.0))
        bar(Progress("search", 0.5, 2.5e9, 2.0))
    shown = terminal.getvalue()
    assert "search" in shown
    assert "50%" in shown
    assert "best energy 2.50 mJ" in shown


def test_work_that_the_search_waits_for_changes_the_phase_alone():
    with redirect_stderr(Terminal()) as terminal, ProgressBar(Objective.ENERGY.text) as bar:
        bar(Progress("co-search", 0.5, 2.5e9, 2.0))
        bar.aside(Progress("training network 1 of 2", 0.9, 0.1, 1.0))
    last = terminal.getvalue().rpartition("training network 1 of 2")[2]
    assert "50%" in last
    assert "best energy 2.50 mJ" in last
    ProgressBar().aside(Progress("training", 0.5, None, 1.0))


def test_nothing_is_shown_where_stderr_is_no_terminal(capfd):
    with ProgressBar() as bar:
        bar(Progress("search", 0.5, 1.0, 2.0))
    assert capfd.readouterr() == ("", "")


def test_one_bar_at_a_time():
    with redirect_stderr(Terminal()) as terminal, ProgressBar() as outer:
        with ProgressBar() as inner:
            inner(Progress("inner", 0.5, None, 1.0))
        outer(Progress("outer", 0.5, None, 1.0))
    assert "outer" in terminal.getvalue()
    assert "inner" not in terminal.getvalue()


def test_a_bar_that_failed_leaves_room_for_the_next():
    with redirect_stderr(Terminal()) as terminal:
        with pytest.raises(KeyboardInterrupt), ProgressBar():
            raise KeyboardInterrupt
        with ProgressBar() as bar:
            bar(Progress("next", 0.5, None, 1.0))
    assert "next" in terminal.getvalue()


def test_a_report_outside_the_block_is_ignored():
    with redirect_stderr(Terminal()) as terminal:
        ProgressBar()(Progress("search", 0.5, 1.0, 2.0))
    assert terminal.getvalue() == ""


def test_a_bound_is_shown_as_what_is_left_to_gain():
    with redirect_stderr(Terminal()) as terminal, ProgressBar(Objective.ENERGY.text) as bar:
        bar(Progress("bound", 0.9, 2.5e9, 2.0, bound=2e9))
    assert "best energy 2.50 mJ, at most 20.0 % from the optimum" in " ".join(terminal.getvalue().split())


@pytest.mark.parametrize(
    ("done", "seconds", "said"),
    [
        (0.1, 60.0, ""),
        (0.5, 10.0, "soon"),
        (0.5, 50.0, "about a minute left"),
        (0.25, 60.0, "about 3 min left"),
        (0.5, 7200.0, "about 2 h left"),
        (1.0, 60.0, ""),
    ],
)
def test_the_time_left_is_guessed_late_and_coarsely(done, seconds, said):
    assert time_left(Progress("search", done, None, seconds)) == said
    assert time_left(Progress("bound", done, None, seconds)) == ""
