"""Accelerators as installed: the driver's CUDA version beside the one that each framework was built for.

Read from files and package metadata, so that nothing is imported or started: `/proc/driver/nvidia/version` for the driver, `+cu126` or
the `nvidia-cuda-runtime` package for a framework. Source of the driver table: NVIDIA, CUDA Toolkit release notes, table 3 (minimum
driver by toolkit major version, Linux x86_64), read 2026-11.
"""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Mapping
from pathlib import Path

from bedplate.core.records import Record

DRIVER_FILE = Path("/proc/driver/nvidia/version")
MINIMUM_DRIVER = {11: 450, 12: 525, 13: 580}
"""CUDA major version -> the oldest driver branch that runs it."""

FRAMEWORKS = ("torch", "jax", "jaxlib", "tensorflow", "onnxruntime-gpu", "xgboost", "cupy-cuda12x", "cupy-cuda13x")
RUNTIMES = {"nvidia-cuda-runtime-cu11": 11, "nvidia-cuda-runtime-cu12": 12, "nvidia-cuda-runtime": 13}
_BUILD = re.compile(r"\+cu(\d{2})\d")
_DRIVER = re.compile(r"(?:Kernel Module|for x86_64)\s+(\d+)\.")


class Mismatch(Record, frozen=True, kw_only=True):
    """A framework that the installed driver cannot run."""

    framework: str
    cuda: int
    driver: int
    needs: int


def driver_branch(text: str) -> int | None:
    """The driver's branch (`550` of `550.54.15`) in the kernel's text; None where there is none."""
    found = _DRIVER.search(text)
    return int(found[1]) if found else None


def cuda_of(versions: Mapping[str, str]) -> dict[str, int]:
    """Framework -> CUDA major version that it was built for; CPU builds are left out."""
    runtime = max((major for name, major in RUNTIMES.items() if name in versions), default=None)
    found = {}
    for name in (name for name in FRAMEWORKS if name in versions):
        build = _BUILD.search(versions[name])
        if build:
            found[name] = int(build[1])
        elif runtime is not None and "+cpu" not in versions[name]:
            found[name] = runtime
    return found


def mismatches(driver: int | None, built_for: Mapping[str, int]) -> tuple[Mismatch, ...]:
    """Frameworks that need a newer driver than there is. Without a driver nothing is wrong: they run on the processor."""
    if driver is None:
        return ()
    return tuple(
        Mismatch(framework=name, cuda=cuda, driver=driver, needs=MINIMUM_DRIVER[cuda])
        for name, cuda in built_for.items()
        if cuda in MINIMUM_DRIVER and driver < MINIMUM_DRIVER[cuda]
    )


def installed_driver(path: Path = DRIVER_FILE) -> int | None:
    """This machine's driver branch."""
    try:
        return driver_branch(path.read_text())
    except OSError:
        return None


def installed_versions() -> dict[str, str]:
    """Versions of the installed packages that the check looks at."""
    found = {}
    for name in (*FRAMEWORKS, *RUNTIMES):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
