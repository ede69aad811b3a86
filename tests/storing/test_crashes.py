"""A file is there whole or not at all, whatever happens to who writes it."""

from __future__ import annotations

import os
import stat
import subprocess
import sys

import numpy as np
import pytest

import autodiff_api as ad

WRITER = """
import os, random, signal, sys, time
import numpy as np
import autodiff_api as ad

path, kills = sys.argv[1], int(sys.argv[2])
random.seed(int(sys.argv[3]))

def tree(version):
    return {"version": version, "a": np.full(100_000, version), "b": [ad.full((300, 100), float(version))]}

def insist():
    found = ad.load(path)
    version = found["version"]
    assert (found["a"] == version).all() and (found["b"][0].numpy() == version).all(), "torn"
    return version

ad.save(tree(0), path)
last = before = 0
for _ in range(kills):
    child = os.fork()
    if not child:
        while True:
            last += 1
            ad.save(tree(last), path)
    time.sleep(random.uniform(0, 0.03))
    os.kill(child, signal.SIGKILL)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL, "the writer failed by itself"
    last = insist()
    assert last >= before, "an older file came back"
    before = last
left = os.listdir(os.path.dirname(path))
assert all(name == os.path.basename(path) or name.endswith(".tmp") for name in left), left
print(last, len(left) - 1)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize("seed", [0])
def test_a_hundred_killed_writers_leave_whole_files(path, seed):
    command = [sys.executable, "-c", WRITER, str(path), "50", str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    written, litter = map(int, done.stdout.split())
    assert written > 0 and litter > 0, f"{written} files were written and {litter} writes cut short: no test of either"


@pytest.mark.parametrize("fault", ["write", "fsync", "replace"])
def test_a_failure_leaves_the_old_file_and_no_litter(path, monkeypatch, fault):
    ad.save({"x": 1}, path)

    def fail(*args, **kwargs):
        raise OSError(28, "No space left on device")

    if fault == "write":
        monkeypatch.setattr(f"autodiff_api.storing.{path.suffix[1:]}.text_of", fail)
    else:
        monkeypatch.setattr(os, fault, fail)
    with pytest.raises(OSError, match="No space"):
        ad.save({"x": 2}, path)
    monkeypatch.undo()
    assert ad.load(path) == {"x": 1} and [p.name for p in path.parent.iterdir()] == [path.name]


def test_all_is_on_the_disk_before_the_name_is(path, monkeypatch):
    done = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda f: done.append("folder" if is_folder(f) else "file") or fsync(f))
    monkeypatch.setattr(os, "replace", lambda a, b: done.append("name") or replace(a, b))
    ad.save({"x": np.ones(3)}, path)
    assert done == ["file", "name", "folder"]


def is_folder(descriptor):
    return stat.S_ISDIR(os.fstat(descriptor).st_mode)


def test_a_link_stays_one(path):
    latest = path.with_name(f"latest{path.suffix}")
    ad.save({"x": 1}, path)
    latest.symlink_to(path)
    ad.save({"x": 2}, latest)
    assert latest.is_symlink() and ad.load(path) == ad.load(latest) == {"x": 2}


def test_a_file_has_the_rights_that_any_new_file_has(path):
    ad.save({}, path)
    plain = path.with_name("plain")
    plain.write_text("")
    assert path.stat().st_mode == plain.stat().st_mode
