"""Runs that Ctrl-C hits at random moments, one to three times, come back with an answer."""

import pytest
import torch

from dlco.optimize import imperfect

from . import interrupt


@pytest.mark.parametrize("run", ["imperfect", "pareto", "nas"])
def test_an_answer_comes_back(run: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imperfect, "EFFORT", interrupt.SHORT)
    threads = torch.get_num_threads()
    assert sum(interrupt.torture(run, 3, seed=1).values()) == 3
    assert torch.get_num_threads() == threads
