"""Puts a known `uv` at `<target>/bin/uv`, with nothing but a bare Python 3.

    python3 tools/bootstrap.py .tools

Three ways, the first that works: the `uv` on the PATH when it is new enough (linked), a virtual environment
and pip (they know about mirrors and proxies), or the wheel straight from PyPI, checked against the digest below:
a Debian Python may have neither venv nor pip. Written for Python 3.8 and later, because uv can bring a newer one.
"""

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.request
import zipfile
from pathlib import Path
from typing import List, NamedTuple, Optional, Tuple  # noqa: UP035

VERSION = "0.13.8"
FILES = "https://files.pythonhosted.org/packages"
DOWNLOAD_TIMEOUT_SECONDS = 60


class Wheel(NamedTuple):
    """One file on PyPI: its path below `FILES` and its SHA-256."""

    path: str
    sha256: str


X86_64_GLIBC = Wheel(
    "c5/32/52ee34636aea1ab3f8baeeae1c3599461b8cddfb379862cc72ac61b8d91c/"
    "uv-0.13.8-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
    "e18a57b8b352eb7c8feb317b9f6f533c8f0ad9673fd6cf34bbe3cf1a9f6a8984",
)
X86_64_MUSL = Wheel(
    "4d/a3/1ac9cd75985371da0d29c9c12132e6d5b5627b9d0de87c5ad97ab9ad69b0/uv-0.13.8-py3-none-musllinux_1_1_x86_64.whl",
    "29451c60f5e8b07403e0a175d5229efc36b0289b34143ff4aaa499a5dd52553a",
)
AARCH64_LINUX = Wheel(
    "9e/f0/d989ac5fcebf83f1c8c5d78974f27788e8364945969eb646f5d0db35d924/"
    "uv-0.13.8-py3-none-manylinux_2_17_aarch64.manylinux2014_aarch64.musllinux_1_1_aarch64.whl",
    "0b3e8b1a4f5e405e31e2ff33de8af4744831e9f7338539671efbd8c3c94e791d",
)
X86_64_MACOS = Wheel(
    "be/7a/fd8a719c0198f8f8341847fc33b377f25ac79f7c4a56dbce5ceb086f239c/uv-0.13.8-py3-none-macosx_10_12_x86_64.whl",
    "b7124ca1956ec2e476a1003ea5715a15f0266afaec37f4dc9c6972ba8183e6d1",
)
ARM64_MACOS = Wheel(
    "84/46/deb3a1eb3020575e41d1f9840c07185761d8d4c25cd6f58e813afb017476/uv-0.13.8-py3-none-macosx_11_0_arm64.whl",
    "62b6943c7fd64fac6854f780bea6e0359e5a5bc3241f83ee357bb38276afac49",
)


def wheel_for(system: str, machine: str, libc: str) -> Optional[Wheel]:  # noqa: UP045
    """The wheel for a platform in the words of the `platform` module, or None where uv has none for us."""
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(machine.lower(), machine.lower())
    glibc = libc == "glibc"
    return {
        ("Linux", "x86_64"): X86_64_GLIBC if glibc else X86_64_MUSL,
        ("Linux", "aarch64"): AARCH64_LINUX,
        ("Darwin", "x86_64"): X86_64_MACOS,
        ("Darwin", "aarch64"): ARM64_MACOS,
    }.get((system, machine))


def version_of(uv: str) -> Tuple[int, ...]:  # noqa: UP006
    """What `uv --version` says, as numbers; (0,) when it cannot be asked."""
    try:
        said = subprocess.check_output([uv, "--version"], timeout=30).decode()
    except (OSError, subprocess.SubprocessError):
        return (0,)
    found = re.search(r"(\d+)\.(\d+)\.(\d+)", said)
    return tuple(int(part) for part in found.groups()) if found else (0,)


def from_path(target: Path) -> bool:
    """Links the `uv` of the PATH if it is as new as the pinned one."""
    found = shutil.which("uv")
    wanted = tuple(int(part) for part in VERSION.split("."))
    if found is None or version_of(found) < wanted:
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    target.symlink_to(Path(found).resolve())
    return True


def by_pip(target: Path) -> bool:
    """Makes a virtual environment around `target` and installs the pinned version with pip."""
    folder = target.parent.parent
    commands: List[List[str]] = [  # noqa: UP006
        [sys.executable, "-m", "venv", str(folder)],
        [str(target.parent / "pip"), "install", "--quiet", "--disable-pip-version-check", f"uv=={VERSION}"],
    ]
    try:
        for command in commands:
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    except (OSError, subprocess.SubprocessError):
        return False
    return target.exists()


def unpack(url: str, sha256: str, target: Path) -> None:
    """Downloads the wheel at `url` and writes the `uv` inside it to `target`, at once or not at all.

    Raises `OSError` when it cannot be fetched and `ValueError` when its digest is not `sha256`.
    """
    with tempfile.TemporaryFile() as file:
        digest = hashlib.sha256()
        with urllib.request.urlopen(url, timeout=DOWNLOAD_TIMEOUT_SECONDS) as answer:  # noqa: S310
            for chunk in iter(lambda: answer.read(1 << 16), b""):
                digest.update(chunk)
                file.write(chunk)
        if digest.hexdigest() != sha256:
            raise ValueError(f"{url} has the SHA-256 {digest.hexdigest()}, not the pinned {sha256}")
        file.seek(0)
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = target.with_name(f".uv-{os.getpid()}")
        with zipfile.ZipFile(file) as wheel:
            name = next(name for name in wheel.namelist() if name.endswith(".data/scripts/uv"))
            with wheel.open(name) as source, beside.open("wb") as sink:
                shutil.copyfileobj(source, sink)
        beside.chmod(0o755)
        beside.replace(target)


def by_wheel(target: Path) -> bool:
    """Fetches the pinned wheel; says why on stderr when it cannot."""
    wheel = wheel_for(platform.system(), platform.machine(), platform.libc_ver()[0])
    if wheel is None:
        print(f"no pinned uv for {platform.system()} on {platform.machine()}", file=sys.stderr)
        return False
    try:
        unpack(f"{FILES}/{wheel.path}", wheel.sha256, target)
    except (OSError, ValueError) as error:
        print(f"uv could not be fetched: {error}", file=sys.stderr)
        return False
    return True


def main(folder: str) -> None:
    """Tries the three ways and exits with a sentence when none works."""
    target = Path(folder).resolve() / "bin" / "uv"
    # A link to a uv that has moved away, or one too old.
    if target.is_symlink() or target.exists():
        target.unlink()
    for way in (from_path, by_pip, by_wheel):
        if way(target):
            return
    sys.exit(
        f"uv {VERSION} could not be installed: neither pip nor PyPI can be reached from here. Install uv"
        f" {VERSION} or later yourself (https://docs.astral.sh/uv/), put it on the PATH, and try again."
    )


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else ".tools")
