"""The helper scripts: sentences of the preflight, the size limits, the installer's decisions."""

import builtins
import importlib.util
import shutil
import subprocess
import sys
from collections import namedtuple

import pytest


@pytest.fixture
def script(root):
    def load(name):
        spec = importlib.util.spec_from_file_location(name, root / "scripts" / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        return module

    return load


def _without(monkeypatch, *missing, error=ImportError):
    real = builtins.__import__

    def fake(name, *args, **kwargs):
        if name in missing:
            raise error(f"cannot load {name}")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", fake)


class TestPreflight:
    def test_this_machine_passes(self, script, root, monkeypatch):
        monkeypatch.chdir(root)
        preflight = script("preflight")
        assert preflight.python_problem(sys.version_info, sys.executable) is None
        assert preflight.venv_problem() is None

    def test_an_old_python_is_named(self, script):
        sentence = script("preflight").python_problem((3, 9, 18), "/usr/bin/python3")
        assert "Python 3.11 or newer is needed; found 3.9 (/usr/bin/python3)" in sentence

    def test_missing_venv_support_names_the_package(self, script, monkeypatch):
        preflight = script("preflight")
        _without(monkeypatch, "ensurepip")
        assert "python3-venv" in preflight.venv_problem()

    def test_a_full_disk_stops_the_installation(self, script, monkeypatch, tmp_path, capsys):
        preflight = script("preflight")
        usage = namedtuple("usage", "total used free")
        monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1, 1, 1.2e9))
        monkeypatch.chdir(tmp_path)
        assert preflight.main("before") == 1
        assert "needs 3 GB of free disk space" in capsys.readouterr().err

    def test_missing_openmp_is_a_note_not_a_stop(self, script, monkeypatch, capsys):
        preflight = script("preflight")
        _without(monkeypatch, "lightgbm", error=OSError)
        assert preflight.main("after") == 0
        assert "HistGradientBoosting is used" in capsys.readouterr().out

    def test_it_parses_on_python_2(self, root):
        """Nothing newer than str.format: the old Python must get as far as the sentence."""
        source = (root / "scripts/preflight.py").read_text(encoding="utf-8")
        assert 'f"' not in source
        assert ":=" not in source
        assert "match " not in source
        assert source.isascii()


class TestSizes:
    def test_the_project_is_within_its_limits(self, root):
        done = subprocess.run(
            [sys.executable, "scripts/check_sizes.py"],
            cwd=root,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout

    def test_signature_and_docstring_do_not_count(self, script):
        source = 'def f(\n    a, b\n):\n    """One.\n\n    Two.\n    """\n    b = a\n    return b\n'
        sizes = {s.key: s for s in script("check_sizes").measure(source, "x.py")}
        assert sizes["x.py::f"].lines == 2
        assert sizes["x.py"].lines == 9

    def test_methods_and_nested_functions_are_measured(self, script):
        source = (
            "class C:\n    def m(self):\n        def g():\n            return 1\n        return g\n"
        )
        kinds = {s.key: s.kind for s in script("check_sizes").measure(source, "x.py")}
        assert kinds == {
            "x.py": "file",
            "x.py::C": "class",
            "x.py::C.m": "function",
            "x.py::C.m.g": "function",
        }

    def test_a_long_function_is_reported_unless_listed(self, script):
        check_sizes = script("check_sizes")
        source = "def f():\n" + "    x = 1\n" * 61
        sizes = check_sizes.measure(source, "x.py")
        assert list(check_sizes.complaints(sizes, {})) == [
            "x.py::f: function of 61 lines, at most 60 allowed"
        ]
        assert not list(check_sizes.complaints(sizes, {"x.py::f": (90, "a training loop")}))

    def test_stale_exceptions_are_reported(self, script):
        check_sizes = script("check_sizes")
        sizes = check_sizes.measure("def f():\n    return 1\n", "x.py")
        table = {"x.py::f": (90, "once long"), "x.py::g": (90, "gone")}
        found = list(check_sizes.complaints(sizes, table))
        assert [line.split(":")[2] for line in found] == ["f", "g"]
        assert "short enough" in found[0]
        assert "no such" in found[1]


class TestInstall:
    @pytest.fixture
    def install(self, script, monkeypatch):
        module = script("install")
        calls = []
        monkeypatch.setattr(module, "pip_install", lambda *a: calls.append(("pip", *a)))
        module.calls = calls
        return module

    def test_the_pinned_torch_is_read_from_the_constraints(self, install):
        assert install.pinned_torch().startswith("torch==")

    def test_a_torch_that_fits_is_left_alone(self, install, monkeypatch, capsys):
        version = install.pinned_torch().split("==")[1]
        monkeypatch.setattr(install, "installed_torch", lambda: f"{version}+cpu")
        install.install_torch("cpu")
        assert install.calls == []
        assert "already installed" in capsys.readouterr().out

    def test_an_unreachable_server_leads_to_pip_and_a_sentence(self, install, monkeypatch, capsys):
        monkeypatch.setattr(install, "installed_torch", lambda: None)
        monkeypatch.setattr(install, "uv_install", lambda *a: "no route to host")
        install.install_torch("cpu")
        assert install.calls == [("pip", "uv"), ("pip", install.pinned_torch())]
        said = capsys.readouterr().out
        assert "cannot be had from torch's own server (no route to host)" in said

    def test_asking_for_a_gpu_replaces_a_cpu_build(self, install, monkeypatch):
        version = install.pinned_torch().split("==")[1]
        asked = []
        monkeypatch.setattr(install, "installed_torch", lambda: f"{version}+cpu")
        monkeypatch.setattr(install, "uv_install", lambda *a: asked.extend(a))
        install.install_torch("auto")
        assert asked == [
            "--torch-backend=auto",
            "--reinstall-package",
            "torch",
            f"torch=={version}",
        ]
        assert install.calls == [("pip", "uv")]

    def test_the_package_falls_back_to_pip(self, install, monkeypatch):
        monkeypatch.setattr(install, "uv_install", lambda *a: "no index")
        install.install_package("data")
        assert [call[1] for call in install.calls] == ["uv", "--editable"]

    def test_unknown_arguments_get_the_usage(self, install):
        with pytest.raises(SystemExit, match="usage"):
            install.main(["torch"])


def test_notebooks_are_run_again_only_when_their_cells_changed(script, tmp_path):
    jupytext = pytest.importorskip("jupytext")
    run_notebooks = script("run_notebooks")
    source = tmp_path / "01_example.py"
    source.write_text("# %% [markdown]\n# # Title\n\n# %%\nprint(1)\n", encoding="utf-8")
    assert run_notebooks.has_changed(source)
    jupytext.write(jupytext.read(source), source.with_suffix(".ipynb"), fmt="ipynb")
    assert not run_notebooks.has_changed(source)
    source.write_text("# %% [markdown]\n# # Title\n\n# %%\nprint(2)\n", encoding="utf-8")
    assert run_notebooks.has_changed(source)
