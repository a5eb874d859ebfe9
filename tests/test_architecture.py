"""The house plan as tests: rooms, sizes, doors."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGES = ("features", "models", "serving", "flows")
LONGEST_MODULE = 500
LONGEST_FUNCTION = 60


def modules(repository: Path) -> list[Path]:
    """Every module of the four packages."""
    return [path for package in PACKAGES for path in sorted((repository / package).rglob("*.py"))]


def test_mlflow_folder_holds_no_python(repository: Path) -> None:
    assert list((repository / "mlflow").rglob("*.py")) == []


def test_import_mlflow_is_the_installed_package() -> None:
    code = "import mlflow; print(mlflow.__file__, hasattr(mlflow, 'set_tracking_uri'))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "site-packages" in said
    assert said.strip().endswith("True")


def test_packages_are_this_checkout(repository: Path) -> None:
    import features
    import models

    for package in (features, models):
        assert Path(str(package.__file__)).is_relative_to(repository)


def test_serving_starts_without_training_or_scheduling() -> None:
    code = (
        "import sys, serving.app; "
        "print(sorted({'prefect','lightning','great_expectations','dvc','mlflow'} & set(sys.modules)))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "[]"


def test_import_contracts_hold(repository: Path) -> None:
    linter = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run([linter], cwd=repository, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_modules_and_functions_stay_small(repository: Path) -> None:
    long_modules = []
    long_functions = []
    for path in modules(repository):
        text = path.read_text(encoding="utf-8")
        if len(text.splitlines()) > LONGEST_MODULE:
            long_modules.append(str(path))
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > LONGEST_FUNCTION:
                    long_functions.append(f"{path}:{node.name} {lines}")
    assert long_modules == []
    assert long_functions == []


def test_public_names_are_documented(repository: Path) -> None:
    bare = []
    for path in modules(repository):
        if "migrations" in path.parts:
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if tree.body and ast.get_docstring(tree) is None:
            bare.append(str(path))
        for node in tree.body:
            public = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            public = public and not any(ast.unparse(each) == "overload" for each in node.decorator_list)
            if public and not node.name.startswith("_") and ast.get_docstring(node) is None:
                bare.append(f"{path}:{node.name}")
    assert bare == []


def test_house_words(repository: Path) -> None:
    refused = ("utils", "helpers", "manager", "engine", "brain", "ultimate")
    named = [str(p) for p in modules(repository) if p.stem in refused]
    assert named == []


@pytest.mark.slow
def test_every_module_imports_alone(repository: Path) -> None:
    broken = []
    for path in modules(repository):
        name = ".".join(path.relative_to(repository).with_suffix("").parts).removesuffix(".__init__")
        if name.endswith("__main__") or "migrations" in name:
            continue
        done = subprocess.run([sys.executable, "-c", f"import {name}"], capture_output=True, text=True)
        if done.returncode != 0:
            broken.append(f"{name}: {done.stderr.strip().splitlines()[-1]}")
    assert broken == []
