"""Install torch, then the package with one extra, into the environment that runs this script.

``python scripts/install.py torch BACKEND`` asks uv for torch's build for BACKEND ("cpu", "auto",
"cu130", ...). The default Linux build on the package index carries gigabytes of CUDA libraries;
the CPU build lives on torch's own server. When that server cannot be reached, pip installs the
version of constraints.txt from wherever pip is set up to look.

``python scripts/install.py package EXTRA`` installs the package in editable form under the same
constraints, so that the torch that is already there stays. uv is several times as fast as pip;
pip follows where uv fails, because it may know of package sources that uv does not.
"""

import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONSTRAINTS = ROOT / "constraints.txt"
# A server that does not answer is given up after seconds; a slow download is not cut off.
UV_PATIENCE = {"UV_HTTP_CONNECT_TIMEOUT": "5", "UV_HTTP_TIMEOUT": "30", "UV_HTTP_RETRIES": "1"}


def pinned_torch(constraints: Path = CONSTRAINTS) -> str:
    """The requirement of constraints.txt that names torch, such as ``torch==2.13.0``."""
    lines = constraints.read_text(encoding="utf-8").splitlines()
    return next(line.strip() for line in lines if line.startswith("torch=="))


def installed_torch() -> str | None:
    """Version of the installed torch, such as ``2.13.0+cpu``, or None."""
    importlib.invalidate_caches()
    try:
        return importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return None


def pip_install(*arguments: str) -> None:
    """``pip install`` under the constraints; ends the program with a sentence if it fails."""
    command = [sys.executable, "-m", "pip", "install", "-qq", "-c", str(CONSTRAINTS), *arguments]
    if subprocess.run(command, check=False).returncode:
        sys.exit(f"pip could not install {' '.join(arguments)}; its message is above.")


def uv_install(*arguments: str) -> str | None:
    """``uv pip install`` under the constraints; None, or the reason why it failed."""
    command = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--compile-bytecode"]
    where = ["--python", sys.executable, "-c", str(CONSTRAINTS)]
    done = subprocess.run(
        [*command, *where, *arguments],
        env={**os.environ, **UV_PATIENCE},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 0:
        return None
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    return lines[-1].removeprefix("cause: ") if lines else f"exit status {done.returncode}"


def install_torch(backend: str) -> None:
    """Install torch's build for ``backend`` with uv, or the pinned version with pip."""
    wanted, installed = pinned_torch(), installed_torch()
    if backend == "cpu" and installed and installed.split("+")[0] == wanted.split("==")[1]:
        print(f"torch {installed} is already installed.")
        return
    pip_install("uv")
    reason = uv_install(f"--torch-backend={backend}", "--reinstall-package", "torch", wanted)
    if reason:
        print(
            f"torch's build for '{backend}' cannot be had from torch's own server ({reason}); "
            f"installing {wanted} with pip instead, which may be a larger build."
        )
        pip_install(wanted)
    print(f"Installed torch {installed_torch()}.")


def install_package(extra: str) -> None:
    """Install this package, editable, with one extra."""
    package = ["--editable", f"{ROOT}[{extra}]"]
    pip_install("uv")
    reason = uv_install(*package)
    if reason:
        print(f"uv could not install the package ({reason}); trying pip.")
        pip_install(*package)


def main(arguments: list[str]) -> None:
    """Dispatch ``torch BACKEND`` or ``package EXTRA``."""
    match arguments:
        case ["torch", backend]:
            install_torch(backend)
        case ["package", extra]:
            install_package(extra)
        case _:
            sys.exit("usage: install.py torch BACKEND | install.py package EXTRA")


if __name__ == "__main__":
    main(sys.argv[1:])
