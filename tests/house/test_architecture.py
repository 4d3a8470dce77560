"""The rules that neither ruff nor import-linter can express."""

import ast
import tomllib

import pytest

from causal_ddpm import _HOME_OF


def _source_files(root):
    return sorted((root / "src/causal_ddpm").rglob("*.py"))


def _calls(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call)]


def _project(root):
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_the_architecture_page_names_every_folder_and_top_level_module(root):
    page = (root / "ARCHITECTURE.md").read_text(encoding="utf-8")
    package = root / "src/causal_ddpm"
    folders = {f"{p.parent.relative_to(package)}/" for p in package.rglob("__init__.py")} - {"./"}
    modules = {p.name for p in package.glob("*.py")} - {"__init__.py"}
    missing = [name for name in sorted(folders | modules) if f"`{name}`" not in page]
    assert not missing, f"ARCHITECTURE.md does not mention {missing}"


def test_the_architecture_page_names_no_module_that_is_gone(root):
    page = (root / "ARCHITECTURE.md").read_text(encoding="utf-8")
    package = root / "src/causal_ddpm"
    named = {word for word in page.split("`")[1::2] if word.endswith(".py") and " " not in word}
    gone = [n for n in sorted(named) if not ((package / n).exists() or (root / n).exists())]
    assert not gone, f"ARCHITECTURE.md mentions {gone}"


def test_modules_import_from_homes_not_from_the_shop_window(root):
    """The window imports lazily; a module that looked through it would hide its layer."""
    for path in _source_files(root):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module == "causal_ddpm":
                names = {alias.name for alias in node.names}
                assert not names & set(_HOME_OF), f"{path.name} imports {names} from the window"


@pytest.mark.parametrize(
    "forbidden", ["torch.manual_seed", "torch.cuda.manual_seed", "np.random.seed", "random.seed"]
)
def test_no_module_touches_a_global_random_state(root, forbidden):
    for path in _source_files(root):
        called = {ast.unparse(call.func) for call in _calls(path)}
        assert forbidden not in called, f"{path.name} calls {forbidden}"


def test_no_module_reads_models_by_pickle(root):
    """Unpickling a file runs code from it."""
    forbidden = {"pickle.load", "pickle.loads", "joblib.load", "torch.load"}
    for path in _source_files(root):
        called = {ast.unparse(call.func) for call in _calls(path)}
        assert not called & forbidden, f"{path.name} calls {called & forbidden}"


def test_extras_named_in_messages_exist_and_hold_the_library(root):
    extras = _project(root)["optional-dependencies"]
    for path in _source_files(root):
        for call in _calls(path):
            literals = [arg.value for arg in call.args if isinstance(arg, ast.Constant)]
            if ast.unparse(call.func).endswith("MissingDependencyError") and len(literals) == 2:
                library, extra = literals
                names = {r.split(">")[0].split("[")[0].lower() for r in extras.get(extra, [])}
                assert library.lower() in names, f"{path.name}: '{library}' is not in [{extra}]"


def test_dependencies_have_floors_and_no_caps(root):
    project = _project(root)
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    outside = [r for group in groups for r in group if not r.startswith("causal-ddpm[")]
    assert all(">=" in r and "==" not in r for r in outside)
    capped = [r for r in outside if "<" in r]
    assert capped == [r for r in outside if r.startswith("diff-diff")], "its arguments still move"
