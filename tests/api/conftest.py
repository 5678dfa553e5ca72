"""A project of the API's tests, with its definitions loaded."""

from __future__ import annotations

import sys

import pytest

import mlforge as mlf
from mlforge.api.project import find_project
from tests.shop import Shop


@pytest.fixture
def defs(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> mlf.Definitions:
    monkeypatch.chdir(shop.root)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return find_project(shop.root).load()


@pytest.fixture
def store(defs: mlf.Definitions) -> mlf.LocalStore:
    defs.build()
    return defs.offline_store
