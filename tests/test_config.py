"""Config: where a project begins, and every mistake in its settings at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlforge.config import Config, definitions_path, find_config, project_root
from mlforge.errors import InvalidConfig, NoProject


def project(root: Path, text: str = "", name: str = "mlforge.toml") -> Path:
    root.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)
    return root


@pytest.mark.parametrize("text", ["", "[project]\n", "# nothing yet\n"])
def test_an_empty_file_makes_a_project_of_defaults(tmp_path: Path, text: str) -> None:
    root = project(tmp_path / "shop", text)
    assert find_config(root) == Config(root, "shop", "features", root / "feature_store")


def test_settings_are_read(tmp_path: Path) -> None:
    root = project(
        tmp_path,
        '[project]\nname = "Shop"\ndefinitions = "src/defs"\n'
        '[profiles.default.offline_store]\nkind = "local"\npath = "store"\n',
    )
    assert find_config(root) == Config(root, "Shop", "src/defs", root / "store")


def test_an_absolute_store_stays_where_it_is(tmp_path: Path) -> None:
    root = project(tmp_path, '[profiles.default.offline_store]\npath = "/shared/store"\n')
    assert find_config(root).store_path == Path("/shared/store")


def test_the_nearest_project_above_is_found(tmp_path: Path) -> None:
    project(tmp_path)
    near = project(tmp_path / "near")
    (near / "deep/er").mkdir(parents=True)
    assert project_root(near / "deep/er") == near
    assert find_config(tmp_path / "near/deep").root == near


def test_pyproject_serves_if_it_has_the_table(tmp_path: Path) -> None:
    root = project(tmp_path, '[tool.mlforge.project]\nname = "Shop"\n', "pyproject.toml")
    assert find_config(root).name == "Shop"


@pytest.mark.parametrize("text", ["", "[tool.ruff]\n", "tool = 5\n", "# mlforge\n"])
def test_a_pyproject_without_the_table_is_passed_by(tmp_path: Path, text: str) -> None:
    above = project(tmp_path)
    below = project(tmp_path / "package", text, "pyproject.toml")
    assert find_config(below).root == above


def test_a_table_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match=r"tool\.mlforge is not a table"):
        find_config(project(tmp_path, "[tool]\nmlforge = 5\n", "pyproject.toml"))


def test_mlforge_toml_goes_before_pyproject(tmp_path: Path) -> None:
    project(tmp_path, '[tool.mlforge.project]\nname = "shared"\n', "pyproject.toml")
    project(tmp_path, '[project]\nname = "own"\n')
    assert find_config(tmp_path).name == "own"


@pytest.mark.parametrize(("path", "folder"), [("features.py", False), ("features", True)])
def test_a_folder_with_definitions_needs_no_configuration(
    tmp_path: Path, path: str, folder: bool
) -> None:
    if folder:
        (tmp_path / path).mkdir()
    (tmp_path / path / "spend.py" if folder else tmp_path / path).touch()
    config = find_config(tmp_path)
    assert config.root == tmp_path
    assert definitions_path(config) == tmp_path / path


def test_declared_definitions_may_be_a_file_or_a_package(tmp_path: Path) -> None:
    config = find_config(project(tmp_path, '[project]\ndefinitions = "src/defs"\n'))
    assert definitions_path(config) is None
    (tmp_path / "src").mkdir()
    (tmp_path / "src/defs.py").touch()
    assert definitions_path(config) == tmp_path / "src/defs.py"


def test_where_nothing_is_there_is_no_project(tmp_path: Path) -> None:
    assert project_root(tmp_path) is None
    with pytest.raises(NoProject, match=str(tmp_path)) as refused:
        find_config(tmp_path)
    assert "features.py" in str(refused.value.hint)


MISTAKES = {
    '[projct]\nname = "x"': "projct is not a setting (did you mean project?)",
    '[project]\nnam = "x"': "project.nam is not a setting (did you mean name?)",
    "[profiles.defualt]": "profiles.defualt is not a setting (did you mean default?)",
    "[profiles.default.online]": "profiles.default.online is not a setting",
    '[profiles.default.offline_store]\npaht = "x"': (
        "profiles.default.offline_store.paht is not a setting (did you mean path?)"
    ),
    '[profiles.default.offline_store]\nkind = "s3"': (
        "profiles.default.offline_store.kind: 's3' is not 'local'"
    ),
    "project = 5": "project is not a table",
    "profiles = []": "profiles is not a table",
    "[profiles]\ndefault = 1": "profiles.default is not a table",
    "[profiles.default]\noffline_store = true": "profiles.default.offline_store is not a table",
    "[project]\nname = 5": "project.name: 5 is not text",
    '[project]\nname = ""': "project.name: '' is not text",
    "[project]\ndefinitions = ['a']": "project.definitions: ['a'] is not text",
    "[profiles.default.offline_store]\npath = false": (
        "profiles.default.offline_store.path: False is not text"
    ),
}


@pytest.mark.parametrize("text", MISTAKES)
def test_a_mistake_is_named_with_its_file_and_its_setting(tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidConfig) as refused:
        find_config(project(tmp_path, text))
    assert refused.value.message.startswith(f"{tmp_path / 'mlforge.toml'}: {MISTAKES[text]}")


def test_a_mistake_in_pyproject_is_told_of_pyproject(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match=r"pyproject\.toml: projct is not a setting"):
        find_config(project(tmp_path, "[tool.mlforge.projct]\n", "pyproject.toml"))


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    text = "[project]\nname = 5\nnam = 1\n[profiles.prod]\n[gti]\n"
    with pytest.raises(InvalidConfig) as refused:
        find_config(project(tmp_path, text))
    assert refused.value.message.count("; ") == 3


@pytest.mark.parametrize(
    "data",
    [
        *[b"[project", b"a = ", b"a = 1\na = 2", b"\xff\xfe", b"name = '\xe9'", b"\0", b"a = nul"],
        *[b"a = " + b"[" * 10_000, b"a = " + b"9" * 5_000, b"a = 2024-13-01"],
    ],
)
@pytest.mark.parametrize("name", ["mlforge.toml", "pyproject.toml"])
def test_what_is_not_toml_is_refused(tmp_path: Path, data: bytes, name: str) -> None:
    # A pyproject.toml that does not speak of mlforge is not read at all.
    (tmp_path / name).write_bytes(b"# mlforge\n" + data)
    with pytest.raises(InvalidConfig, match=name):
        find_config(tmp_path)


def test_a_folder_below_the_definitions_is_in_the_project_too(tmp_path: Path) -> None:
    (tmp_path / "features.py").touch()
    (tmp_path / "features").mkdir()
    (tmp_path / "data").mkdir()
    config = find_config(tmp_path / "data")
    assert (config.root, definitions_path(config)) == (tmp_path, tmp_path / "features.py")


def test_another_repository_above_is_another_project(tmp_path: Path) -> None:
    (tmp_path / "features.py").touch()
    (tmp_path / "inner/.git").mkdir(parents=True)
    with pytest.raises(NoProject):
        find_config(tmp_path / "inner")


STORE = "[profiles.default.offline_store]\npath = "


def test_variables_and_the_home_folder_are_expanded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORE", "here")
    monkeypatch.setenv("HOME", "/home/ada")
    paths = {"${STORE}/x": "here/x", "${NONE:-fs}": "fs", "~/fs": "/home/ada/fs"}
    for written, meant in paths.items():
        config = find_config(project(tmp_path, f'{STORE}"{written}"\n'))
        assert config.store_path == tmp_path / meant


def test_a_variable_that_is_not_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match="the variable NONE is not set"):
        find_config(project(tmp_path, f'{STORE}"${{NONE}}"\n'))
