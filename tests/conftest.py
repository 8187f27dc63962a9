"""Shared by all tests."""

import pytest

from mflib.explore.base import Explorer


@pytest.fixture(autouse=True)
def _raise_errors_of_explorers(monkeypatch):
    monkeypatch.setattr(Explorer, "raise_errors", True)
