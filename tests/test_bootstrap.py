"""The bootstrap of `make` on a bare machine."""

import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tools import bootstrap

SCRIPT = Path(bootstrap.__file__)


def make_wheel(folder: Path, content: bytes) -> tuple[str, str]:
    """A wheel with a program in it: its address and digest."""
    path = folder / "uv.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("uv-1.0.data/scripts/uvx", b"another")
        wheel.writestr("uv-1.0.data/scripts/uv", content)
    return path.as_uri(), hashlib.sha256(path.read_bytes()).hexdigest()


def fake_uv(folder: Path, version: str) -> Path:
    program = folder / "bin" / "uv"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho uv {version} somewhere\n")
    program.chmod(0o755)
    return program


@pytest.mark.parametrize(
    ("system", "machine", "libc", "tag"),
    [
        ("Linux", "x86_64", "glibc", "manylinux"),
        ("Linux", "x86_64", "", "musllinux"),
        ("Linux", "aarch64", "", "aarch64"),
        ("Darwin", "arm64", "", "macosx_11_0_arm64"),
        ("Darwin", "x86_64", "", "macosx_10_12_x86_64"),
    ],
)
def test_each_platform_has_its_wheel(system: str, machine: str, libc: str, tag: str) -> None:
    wheel = bootstrap.wheel_for(system, machine, libc)
    assert wheel is not None
    assert tag in wheel.path
    assert f"/uv-{bootstrap.VERSION}-" in wheel.path


def test_an_unknown_platform_has_none() -> None:
    assert bootstrap.wheel_for("Plan9", "mips", "") is None


def test_the_program_is_unpacked_and_runs(tmp_path: Path) -> None:
    url, digest = make_wheel(tmp_path, b"#!/bin/sh\necho uv 9.9.9\n")
    target = tmp_path / "tools" / "bin" / "uv"
    bootstrap.unpack(url, digest, target)
    assert bootstrap.version_of(str(target)) == (9, 9, 9)


def test_a_changed_wheel_is_refused(tmp_path: Path) -> None:
    url, digest = make_wheel(tmp_path, b"good")
    make_wheel(tmp_path, b"evil")
    target = tmp_path / "tools" / "bin" / "uv"
    with pytest.raises(ValueError, match="not the pinned"):
        bootstrap.unpack(url, digest, target)
    assert not target.parent.exists()


def test_a_new_enough_uv_of_the_path_is_linked_even_over_a_dead_link(tmp_path: Path) -> None:
    program = fake_uv(tmp_path, "99.0.1")
    target = tmp_path / "tools" / "bin" / "uv"
    target.parent.mkdir(parents=True)
    target.symlink_to(tmp_path / "moved-away")
    environment = {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}"}
    subprocess.run([sys.executable, "-I", SCRIPT, tmp_path / "tools"], env=environment, check=True)
    assert target.resolve() == program


def test_an_old_uv_of_the_path_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(fake_uv(tmp_path, "0.4.30").parent), prepend=os.pathsep)
    target = tmp_path / "tools" / "bin" / "uv"
    assert not bootstrap.from_path(target)
    assert not target.exists()
