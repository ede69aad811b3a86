"""The machine that was measured on."""

from __future__ import annotations

import datetime
import importlib.metadata
import importlib.util
import os
import platform
from pathlib import Path

MODULES = {"autodiff_api": "autodiff-api", "autograd": "autograd", "jax": "jax", "numpy": "numpy", "torch": "torch"}


def facts() -> dict[str, str]:
    """Return the processor, the system, the versions and the date."""
    return {
        "processor": processor(),
        "cores": str(cores()),
        "system": f"{platform.system()} {platform.machine()}",
        "Python": platform.python_version(),
        **{
            module: importlib.metadata.version(name)
            for module, name in MODULES.items()
            if importlib.util.find_spec(module)
        },
        **load(),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }


def load() -> dict[str, str]:
    """Return how many programs wanted a core in the last minutes, where the system tells: ours is one of them."""
    return {"load": f"{os.getloadavg()[2]:.1f} on average"} if hasattr(os, "getloadavg") else {}


def cores() -> int:
    """Return the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processor() -> str:
    """Return the processor's name."""
    told = Path("/proc/cpuinfo")
    lines = told.read_text(encoding="utf-8").splitlines() if told.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
