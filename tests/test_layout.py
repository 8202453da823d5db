"""The house stands as drawn: names resolve here, imports point down, no torch below, and the README shows it."""

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("simulator", "privacy", "model", "federated")
MAY_IMPORT = {
    "simulator": {"simulator"},
    "privacy": {"privacy"},
    "model": {"model", "simulator"},
    "federated": set(ROOMS),
    "jobs": {*ROOMS, "jobs"},
}
FILES = sorted(path for room in MAY_IMPORT for path in (ROOT / room).rglob("*.py"))


@pytest.mark.parametrize("name", [*MAY_IMPORT, "everywear"])
def test_names_resolve_into_this_checkout(name: str) -> None:
    found = importlib.import_module(name).__file__
    assert found is not None
    assert Path(found).resolve().is_relative_to(ROOT)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_down(path: Path) -> None:
    room = path.relative_to(ROOT).parts[0]
    barred = {*MAY_IMPORT, "everywear", "tests", "benchmarks"} - MAY_IMPORT[room]
    for node in ast.walk(ast.parse(path.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
        for name in names:
            top = name.split(".")[0]
            assert top not in barred, f"{path}: imports {name}"
            assert room != "simulator" or top not in {"torch", "opacus", "flwr"}, f"{path}: imports {name}"


def test_simulator_and_its_jobs_load_without_torch() -> None:
    modules = [
        ".".join(p.relative_to(ROOT).with_suffix("").parts)
        for p in FILES
        if p.relative_to(ROOT).parts[0] == "simulator"
    ]
    names = ", ".join(module.removesuffix(".__init__") for module in modules)
    code = f"import sys, everywear, {names}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_nothing_is_called_a_grab_bag() -> None:
    assert not [p for p in FILES if p.stem in {"utils", "common", "helpers", "core", "misc"}]


def test_the_readme_s_tree_is_the_tree_on_disk() -> None:
    readme = (ROOT / "README.md").read_text()
    tree = re.search(r"```text\n(everywear\.py.*?)```", readme, re.DOTALL)
    assert tree is not None
    shown, folder = set(), Path()
    for line in tree[1].splitlines():
        name = line.split()[0] if line.split() else ""
        if name.endswith("/"):
            folder = Path(name)
        elif name.endswith(".py"):
            shown.add(str(folder / name) if line.startswith(" ") else name)
    on_disk = {str(p.relative_to(ROOT)) for p in FILES if p.name != "__init__.py"} | {"everywear.py", "commandline.py"}
    assert shown == on_disk
