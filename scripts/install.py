"""Install torch, then the package with one extra, into the environment that runs this script.

``python scripts/install.py torch BACKEND`` asks uv for torch's build for BACKEND ("cpu", "auto",
"cu130", ...). The default Linux build on the package index carries gigabytes of CUDA libraries;
the CPU build lives on torch's own server. When that server cannot be reached, pip installs the
version of constraints.txt from wherever pip is set up to look.

``python scripts/install.py package EXTRA`` installs the package in editable form under the same
constraints, so that the torch that is already there stays.
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


def pip_install(*arguments: str) -> None:
    """``pip install`` under the constraints; ends the program with pip's status if it fails."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "-c", str(CONSTRAINTS)]
    status = subprocess.run([*command, *arguments], check=False).returncode
    if status:
        sys.exit(f"pip could not install {' '.join(arguments)}; its message is above.")


def installed_torch() -> str | None:
    """Version of the installed torch, such as ``2.13.0+cpu``, or None."""
    importlib.invalidate_caches()
    try:
        return importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return None


def install_torch(backend: str) -> None:
    """Install torch's build for ``backend`` with uv, or the pinned version with pip."""
    wanted = pinned_torch()
    installed = installed_torch()
    if backend == "cpu" and installed and installed.split("+")[0] == wanted.split("==")[1]:
        print(f"torch {installed} is already installed.")
        return
    pip_install("uv")
    command = ["-m", "uv", "pip", "install", "--quiet", "--python", sys.executable]
    options = [f"--torch-backend={backend}", "--reinstall-package", "torch", wanted]
    done = subprocess.run(
        [sys.executable, *command, *options],
        env={**os.environ, **UV_PATIENCE},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 0:
        print(f"Installed torch {installed_torch()} (backend '{backend}').")
        return
    reason = next((line for line in done.stderr.splitlines() if line.strip()), "no message").strip()
    print(
        f"torch's build for '{backend}' cannot be installed from torch's own server ({reason}); "
        f"installing {wanted} with pip instead, which may bring a larger build."
    )
    pip_install(wanted)


def main(arguments: list[str]) -> None:
    """Dispatch ``torch BACKEND`` or ``package EXTRA``."""
    match arguments:
        case ["torch", backend]:
            install_torch(backend)
        case ["package", extra]:
            pip_install("--editable", f"{ROOT}[{extra}]")
        case _:
            sys.exit("usage: install.py torch BACKEND | install.py package EXTRA")


if __name__ == "__main__":
    main(sys.argv[1:])
