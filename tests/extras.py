"""Tests of what needs an extra are skipped where it is not installed."""

from __future__ import annotations

import importlib.util

import pytest

from rlexp.config import paths

_packages = ("pybullet", "pybullet_envs_gymnasium")
HAS_PYBULLET = all(importlib.util.find_spec(name) is not None for name in _packages)
needs_pybullet = pytest.mark.skipif(not HAS_PYBULLET, reason="the extra pybullet is not installed")


def marked(group: str, name: str) -> object:
    """A parameter that is skipped where this YAML's extra is missing."""
    text = (paths.conf_dir() / group / f"{name}.yaml").read_text()
    bullet = "/env: pybullet" in text or (group, name) == ("env", "pybullet")
    return pytest.param(name, marks=[needs_pybullet] if bullet else [])
