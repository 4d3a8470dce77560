"""Say in a sentence what this machine lacks, before anything is installed.

``python scripts/preflight.py before`` runs with whatever Python the machine has (any version, no
libraries): it checks the version, the support for virtual environments and the free disk space.
``python scripts/preflight.py after`` runs with the installed environment and looks at LightGBM.
"""

import os
import shutil
import sys

NEEDED_PYTHON = (3, 11)
NEEDED_GIGABYTES = 3.0


def python_problem(version, executable):
    """Sentence about a Python that is too old, or None."""
    if tuple(version[:2]) >= NEEDED_PYTHON:
        return None
    return (
        "Python 3.11 or newer is needed; found {}.{} ({}). If a newer one is installed, name it "
        "(make PYTHON=python3.12 ...); 'make clean' removes an environment made with an older one."
    ).format(version[0], version[1], executable)


def venv_problem():
    """Sentence about missing support for virtual environments, or None."""
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError as error:
        return (
            "This Python cannot create virtual environments ({}). On Debian or Ubuntu install the "
            "package python3-venv, then run the command again."
        ).format(error)
    return None


def disk_problem(free_bytes, folder):
    """Sentence about a disk that is too full, or None."""
    gigabytes = free_bytes / 1e9
    if gigabytes >= NEEDED_GIGABYTES:
        return None
    return (
        "The installation needs {:.0f} GB of free disk space in {}; found {:.1f} GB. Free some "
        "space or clone the project to a larger disk."
    ).format(NEEDED_GIGABYTES, folder, gigabytes)


def openmp_note():
    """Sentence about a LightGBM that cannot be loaded, or None."""
    try:
        import lightgbm  # noqa: F401
    except (ImportError, OSError) as error:
        return (
            "Note: LightGBM cannot be loaded ({}); scikit-learn's HistGradientBoosting is used in "
            "its place. LightGBM needs the OpenMP library: on macOS 'brew install libomp', on "
            "Debian or Ubuntu 'apt-get install libgomp1'."
        ).format(str(error).splitlines()[0])
    return None


def problems_before(folder):
    """First problem that stops the installation, or None."""
    return (
        python_problem(sys.version_info, sys.executable)
        or venv_problem()
        or disk_problem(shutil.disk_usage(folder).free, folder)
    )


def main(stage):
    """Exit status: 1 with a sentence on stderr when the installation cannot go on, else 0."""
    if stage == "after":
        note = openmp_note()
        if note:
            sys.stdout.write(note + "\n")
        return 0
    problem = problems_before(os.getcwd())
    if problem:
        sys.stderr.write(problem + "\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "before"))
