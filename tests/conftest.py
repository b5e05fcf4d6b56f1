"""Settings that every test shares."""

import os
from collections.abc import Iterator

import matplotlib
import pytest
import torch
from hypothesis import settings

from . import judge

matplotlib.use("Agg")

if "PYTEST_XDIST_WORKER" in os.environ:
    torch.set_num_threads(1)  # the workers share the cores already

settings.register_profile("default", deadline=None, derandomize=True, max_examples=60)
settings.register_profile("ci", settings.get_profile("default"), max_examples=25, print_blob=True)
settings.register_profile("thorough", deadline=None, max_examples=2000)
settings.load_profile("ci" if "CI" in os.environ else "default")  # or pytest --hypothesis-profile=thorough


@pytest.fixture(scope="session", autouse=True)
def _judged() -> Iterator[None]:
    """Whatever a search returns in any test is judged."""
    with pytest.MonkeyPatch.context() as patch:
        judge.sit(patch)
        yield
