"""Shared by all tests."""

import pytest
from hypothesis import settings

from mflib.explore.base import Explorer

settings.register_profile("no clock", deadline=None)  # a busy machine is no failure
settings.load_profile("no clock")


@pytest.fixture(autouse=True)
def _raise_errors_of_explorers(monkeypatch):
    monkeypatch.setattr(Explorer, "raise_errors", True)
