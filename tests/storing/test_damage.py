"""A damaged or hostile file is an error of ours: never a crash, never other values than were saved."""

from __future__ import annotations

import io
import json
import random
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest

import autodiff_api as ad


def flipped(data, dice):
    """Return a file with one to three of its bits flipped."""
    data = bytearray(data)
    for at in dice.sample(range(len(data)), dice.choice([1, 1, 2, 3])):
        data[at] ^= 1 << dice.randrange(8)
    return bytes(data)


def overwritten(data, dice):
    """Return a file with some bytes of it overwritten."""
    at, length = dice.randrange(len(data)), dice.randrange(1, 40)
    return (data[:at] + dice.randbytes(length) + data[at + length :])[: len(data)]


def cut(data, dice):
    """Return the beginning of a file."""
    return data[: dice.randrange(len(data))]


def extended(data, dice):
    """Return a file with more at its end, or in its middle."""
    at = dice.choice([len(data), dice.randrange(len(data))])
    return data[:at] + dice.randbytes(dice.randrange(1, 100)) + data[at:]


def swapped(data, dice):
    """Return a file with two of its pieces swapped."""
    a, b, c = sorted(dice.sample(range(len(data)), 3))
    return data[:a] + data[b:c] + data[a:b] + data[c:]


def edited(data, dice):
    """Return a file with a number or a word of its texts changed, as an editor would: all lengths still fit."""
    text = data.decode("latin-1")
    digits = [n for n, c in enumerate(text) if c.isdigit() and (text[n - 1] in ' [",(:' or text[n - 1].isdigit())]
    at = dice.choice(digits)
    return (text[:at] + str((int(text[at]) + dice.randrange(1, 10)) % 10) + text[at + 1 :]).encode("latin-1")


MUTATIONS = (flipped, overwritten, cut, extended, swapped, edited)


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda f: f.__name__)
def test_a_thousand_mutated_files_are_errors(path, rich, mutation):
    ad.save(rich(ad.namespace("numpy")), path)
    whole, dice = path.read_bytes(), random.Random(mutation.__name__)
    for n in range(100):
        mutated = mutation(whole, dice)
        if mutated == whole:
            continue
        path.write_bytes(mutated)
        try:
            found = ad.load(path)
        except ad.CheckpointFileError:
            continue
        raise AssertionError(f"{mutation.__name__} {n} was not noticed: {found}")


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda f: f.__name__)
def test_mutated_files_of_others_are_errors_or_arrays(path, mutation):
    arrays = {"a": np.arange(12.0).reshape(3, 4), "b": np.ones(5, dtype=np.int8)}
    if path.suffix == ".npz":
        np.savez(path, **arrays)
    else:
        pytest.importorskip("safetensors.numpy").save_file(arrays, path)
    whole, dice = path.read_bytes(), random.Random(mutation.__name__)
    for _ in range(100):
        path.write_bytes(mutation(whole, dice))
        try:
            found = ad.load(path)
        except ad.CheckpointFileError:
            continue
        assert all(isinstance(x, ad.Tensor) for x in found.values())


def test_an_error_is_what_pytorchs_users_catch_and_names_the_file(path):
    path.write_bytes(b"")
    for kind in (ad.AutodiffError, RuntimeError, ValueError):
        with pytest.raises(kind, match=path.name):
            ad.load(path)


# --- safetensors made to do harm ---


def header(entries, data=b"", length=None):
    text = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(shape=(1,), dtype="U8", offsets=(0, 1), **more):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets), **more}


def ours(tree, arrays=None, digest="0" * 32, version=1):
    text = json.dumps({"autodiff_api": version, "digest": digest, "tree": tree})
    return {"__metadata__": {"autodiff_api": text}, **(arrays or {})}


NESTED = b"[" * 200_000
HOSTILE_SAFETENSORS = {
    "a header of 2**63 bytes": header(b"{}", length=2**63),
    "a header longer than the file": header(b"{}", length=10**6),
    "no header": b"\0" * 7,
    "an array past the end": header({"a": entry((100,), offsets=(0, 100))}, b"x"),
    "an array of 2**62 bytes": header({"a": entry((2**62,), offsets=(0, 2**62))}, b"x"),
    "a shape that overflows": header({"a": entry((2**40, 2**40), offsets=(0, 1))}, b"x"),
    "a shape of nothing that overflows": header({"a": entry((0, 2**70), offsets=(0, 0))}),
    "a thousand axes": header({"a": entry((1,) * 1000)}, b"x"),
    "a negative shape": header({"a": entry((-1, -1))}, b"x"),
    "negative offsets": header({"a": entry(offsets=(-1, 0))}, b"x"),
    "offsets backwards": header({"a": entry((0,), offsets=(1, 0))}, b"x"),
    "overlapping arrays": header({"a": entry((2,), offsets=(0, 2)), "b": entry((2,), offsets=(1, 3))}, b"xyz"),
    "one array twice": header({"a": entry(), "b": entry()}, b"x"),
    "a hole": header({"a": entry(), "b": entry(offsets=(2, 3))}, b"xyz"),
    "bytes that belong to nothing": header({"a": entry()}, b"xy"),
    "a name twice": header(b'{"a": %s, "a": %s}' % ((json.dumps(entry()).encode(),) * 2), b"x"),
    "a dtype that is none": header({"a": entry(dtype="X9")}, b"x"),
    "a dtype that is a list": header({"a": entry(dtype=[])}, b"x"),
    "a float as a shape": header({"a": entry((1.0,))}, b"x"),
    "a truth value of 2": header({"a": entry(dtype="BOOL")}, b"\2"),
    "more in an entry": header({"a": entry(more=1)}, b"x"),
    "an entry that is a number": header({"a": 1}),
    "a list": header([]),
    "nan": header(b'{"a": NaN}'),
    "not UTF-8": header(b'{"\xff": 1}'),
    "a deep header": header(NESTED),
    "a deep entry": header(b'{"a": ' + NESTED),
    "a number of 10**5 digits": header(b'{"a": ' + b"1" * 100_000 + b"}"),
    "metadata of numbers": header({"__metadata__": {"a": 1}}),
    "a false digest": header(ours(None)),
    "a digest that is none": header(ours(None, digest=5)),
    "a later version": header(ours(None, version=2)),
}


@pytest.mark.parametrize("what", HOSTILE_SAFETENSORS)
def test_a_hostile_safetensors_file_is_an_error(tmp_path, what):
    path = tmp_path / "a.safetensors"
    path.write_bytes(HOSTILE_SAFETENSORS[what])
    with pytest.raises(ad.CheckpointFileError):
        ad.load(path)


DEEP = [[]]
for _ in range(150):
    DEEP = [DEEP]
HOSTILE_TREES = {
    "a class to import": {"object": "os.system"},
    "an array that is not there": {"array": "b", "dtype": "uint8", "kind": "tensor", "grad": False},
    "an array twice": [{"array": "a", "dtype": "uint8", "kind": "array", "grad": False}] * 2,
    "an array that is left over": None,
    "another dtype": {"array": "a", "dtype": "int8", "kind": "tensor", "grad": False},
    "another kind": {"array": "a", "dtype": "uint8", "kind": "pickle", "grad": False},
    "integers that require gradients": {"array": "a", "dtype": "uint8", "kind": "tensor", "grad": True},
    "a namedtuple with a field that is code": {"namedtuple": "A", "fields": [["x; import os", 1]]},
    "a namedtuple with a name that is code": {"namedtuple": "A(x)", "fields": [["x", 1]]},
    "a namedtuple with private fields": {"namedtuple": "A", "fields": [["__class__", 1]]},
    "a list as a key": {"dict": [[[1], 2]]},
    "a number for a dict": {"dict": 1},
    "an empty tag": {},
    "two tags": {"float": "inf", "complex": ["1", "2"]},
    "a float that is none": {"float": "one"},
    "depth": DEEP,
}


@pytest.mark.parametrize("what", HOSTILE_TREES)
def test_a_hostile_tree_is_an_error_although_its_digest_fits(path, what):
    from autodiff_api import storing
    from autodiff_api.storing.hosts import Host

    with open(path, "w+b") as file:
        storing.FORMATS[path.suffix].write(file, HOSTILE_TREES[what], {"a": Host("uint8", np.ones(1, np.uint8))})
    with pytest.raises(ad.CheckpointFileError, match=r"(?!.*digest)"):
        ad.load(path)


# --- npz made to do harm ---


def npy(shape="(1,)", descr="'|u1'", data=b"x", order="False"):
    text = f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data


def zipped(*members, method=zipfile.ZIP_STORED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name), data, compress_type=method)
    return out.getvalue()


def lying():
    """Return a file with a member that says it is larger than it is."""
    whole = zipped(("a.npy", npy()))
    size = struct.pack("<I", len(npy()))
    return whole.replace(size + size, size + struct.pack("<I", 2**31))


def overlapping():
    """Return a file whose directory names one member's bytes many times."""
    whole = zipped(("a.npy", npy(f"({10**6},)", data=bytes(10**6))), method=zipfile.ZIP_DEFLATED)
    at, end = whole.index(b"PK\1\2"), whole.index(b"PK\5\6")
    entry = whole[at:end]
    many = b"".join(entry.replace(b"a.npy", b"%05d" % n) for n in range(1000))
    tail = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1000, 1000, len(many), at, 0)
    return whole[:at] + many + tail


def bomb():
    """Return a small file of 300 MB."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("a.npy", "w") as member:
        member.write(npy(f"({3 * 10**8},)", data=b""))
        for _ in range(300):
            member.write(bytes(10**6))
    return out.getvalue()


HOSTILE_NPZ = {
    "a pickle": zipped(("a.npy", npy(descr="'|O'", data=b"cos\nsystem\n(S'exit 1'\ntR."))),
    "a structured dtype": zipped(("a.npy", npy(descr="[('x', '|u1')]"))),
    "texts": zipped(("a.npy", npy(descr="'|S1'"))),
    "long floats": zipped(("a.npy", npy(descr="'<f16'", data=bytes(16)))),
    "a shape that is not there": zipped(("a.npy", npy("(1000000000000,)"))),
    "a shape that overflows": zipped(("a.npy", npy("(4611686018427387904, 4)"))),
    "a negative shape": zipped(("a.npy", npy("(-1, -1)"))),
    "a shape that is code": zipped(("a.npy", npy("__import__('os').getpid()"))),
    "a deep shape": zipped(("a.npy", npy("(" * 5000))),
    "a thousand axes": zipped(("a.npy", npy("(" + "1, " * 1000 + ")"))),
    "more than the shape": zipped(("a.npy", npy(data=b"xy"))),
    "no array": zipped(("a.txt", b"hello")),
    "a member that says it is larger": lying,
    "members that overlap": overlapping,
    "a zip bomb": bomb,
    "another way to pack": zipped(("a.npy", npy()), method=zipfile.ZIP_LZMA),
    "a tree and no digest": zipped(("autodiff_api.json", b"{}"), ("a.npy", npy())),
    "no zip file": npy(),
}


@pytest.mark.parametrize("what", HOSTILE_NPZ)
def test_a_hostile_npz_file_is_an_error_and_takes_no_memory(tmp_path, what):
    path = tmp_path / "a.npz"
    hostile = HOSTILE_NPZ[what]
    path.write_bytes(hostile() if callable(hostile) else hostile)
    tracemalloc.start()
    try:
        with pytest.raises(ad.CheckpointFileError):
            ad.load(path)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


def test_two_members_of_one_name_are_an_error(tmp_path):
    path = tmp_path / "a.npz"
    with pytest.warns(UserWarning, match="Duplicate"):
        path.write_bytes(zipped(("a.npy", npy()), ("a.npy", npy())))
    with pytest.raises(ad.CheckpointFileError, match="one name"):
        ad.load(path)


def test_a_file_of_ours_is_not_taken_for_anothers(path):
    ad.save([ad.ones(2)], path)
    whole, mark = path.read_bytes(), b"autodiff_api"
    found = [at for at in range(len(whole)) if whole.startswith(mark, at)]
    assert len(found) >= 2
    for at in found:
        for n in range(len(mark)):
            path.write_bytes(whole[: at + n] + bytes([whole[at + n] ^ 1]) + whole[at + n + 1 :])
            with pytest.raises(ad.CheckpointFileError):
                ad.load(path)
