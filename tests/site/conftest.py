"""Chromium for the tests of the site and of the slides."""

import pytest
from jlab import CHROMIUM, FLAGS
from playwright.sync_api import sync_playwright


@pytest.fixture(scope="session")
def browser():
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()
