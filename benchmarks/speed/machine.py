"""The machine, the versions and the date of a measurement."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import time
from pathlib import Path

__all__ = ["described"]

PACKAGES = ["websocket-client", "speechmatics-rt", "websockets", "picows"]


def described(legacy_packages: Path) -> dict[str, str]:
    """Return the machine, the versions and the date, as they are printed."""
    with open("/proc/cpuinfo", encoding="utf-8") as cpuinfo:
        models = [line.partition(":")[2].strip() for line in cpuinfo if "model name" in line]
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    for distribution in importlib.metadata.distributions(path=[str(legacy_packages)]):
        if distribution.metadata["Name"] == "speechmatics-python":
            versions["speechmatics-python"] = distribution.version
    return {
        "date": time.strftime("%Y-%m-%d"),
        "cpu": models[0] if models else platform.machine(),
        "cores": str(len(os.sched_getaffinity(0))),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "versions": ", ".join(f"{name} {version}" for name, version in versions.items()),
    }
