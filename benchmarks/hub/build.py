"""Compiles the benchmark's C programs and installs its Node rival, each once per source, outside the checkout."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent


class MissingTool(RuntimeError):
    """A compiler, Node or package is not on this machine; the message says what to install."""


def cache() -> Path:
    """A folder of this user alone for what is built. Raises `MissingTool` when somebody else owns it."""
    folder = Path(tempfile.gettempdir()) / f"fantasy-bench-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise MissingTool(f"{folder} belongs to another account: set TMPDIR to a folder of your own")
    return folder


def compiled(name: str, folder: Path = HERE) -> Path:
    """The program built from `{name}.c` of `folder`. Raises `MissingTool` without a C compiler, or when that fails."""
    source = folder / f"{name}.c"
    binary = cache() / f"{name}-{hashlib.sha256(source.read_bytes()).hexdigest()[:12]}"
    if binary.exists():
        return binary
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise MissingTool(
            "no C compiler found for the load client: install gcc (Debian: apt-get install gcc libc6-dev)"
        )
    with tempfile.TemporaryDirectory(dir=cache()) as drafts:
        made = Path(drafts) / name
        command = [compiler, "-O2", "-Wall", "-o", made, source, "-lm"]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            raise MissingTool(f"{compiler} cannot build {source}: {done.stderr.strip()[-800:]}")
        made.replace(binary)  # at once: another run may be building it, too
    return binary


def node_folder() -> Path:
    """A folder where Node finds `ws`. Raises `MissingTool` without Node, npm or their registry."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise MissingTool("Node ws is left out: install node and npm")
    wanted = HERE / "package.json"
    folder = cache() / f"node-{hashlib.sha256(wanted.read_bytes()).hexdigest()[:12]}"
    if (folder / "node_modules" / "ws" / "package.json").exists():
        return folder
    folder.mkdir(exist_ok=True)
    shutil.copy(wanted, folder)
    command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--no-package-lock"]
    try:
        done = subprocess.run(command, check=False, cwd=folder, capture_output=True, text=True, timeout=120)
    except subprocess.TimeoutExpired as error:
        raise MissingTool("Node ws is left out: npm install did not end within 120 s") from error
    if done.returncode:
        raise MissingTool(f"Node ws is left out: npm install failed: {done.stderr.strip()[-300:]}")
    return folder
