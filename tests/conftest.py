"""Shared by all tests."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

from mflib.explore.base import Explorer

# A busy machine is no failure. CI draws the same examples each time, other runs draw new ones.
settings.register_profile(
    "course",
    deadline=None,
    derandomize="CI" in os.environ,
    max_examples=int(os.environ.get("EXAMPLES", 100)),
)
settings.load_profile("course")

os.environ["PYTHONSTARTUP"] = str(Path(__file__).with_name("kernel_startup.py"))  # kernels run it


@pytest.fixture(autouse=True)
def _raise_errors_of_explorers(monkeypatch):
    monkeypatch.setattr(Explorer, "raise_errors", True)
