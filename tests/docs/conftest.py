"""Fixtures of the pages: the flights' data, made once for all of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import ROOT


@pytest.fixture(scope="session")
def flights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("flights")
    command = [sys.executable, str(ROOT / "examples/flights/prepare.py"), str(folder)]
    subprocess.run(command, check=True)
    return folder
