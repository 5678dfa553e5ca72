"""Config: where a project begins, and every mistake in its settings at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlforge.config import (
    Config,
    OnlineConfig,
    definitions_path,
    find_config,
    find_online,
    project_root,
)
from mlforge.errors import InvalidConfig, NoProject, ProfileNotFound
from mlforge.settings import SETTINGS


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
    assert "features.py" in str(refused.value.cause)
    assert refused.value.hint == "mlforge init shop"


STORE_TABLE = "[profiles.default.offline_store]\n"
ONLINE_TABLE = "[profiles.default.online_store]\n"
# A file's text, the line that is to blame, and what is told of it.
MISTAKES = {
    '[projct]\nname = "x"': (1, "projct is not a setting (did you mean project?)"),
    '[project]\nnam = "x"': (2, "project.nam is not a setting (did you mean name?)"),
    '# shop\n\n[project]\n"name" = 5': (4, "project.name: 5 is not text"),
    "project.name = 5": (1, "project.name: 5 is not text"),
    "[profiles.default.online]": (
        1,
        "profiles.default.online is not a setting (did you mean online_store?)",
    ),
    "[profiles.default]\nonline_store = 1": (2, "profiles.default.online_store is not a table"),
    f"{ONLINE_TABLE}url = 6379": (2, "profiles.default.online_store.url: 6379 is not text"),
    f"{ONLINE_TABLE}ulr = 'x'": (
        2,
        "profiles.default.online_store.ulr is not a setting (did you mean url?)",
    ),
    "[git]\nhooks = true": (2, "git.hooks is not supported"),
    "[git]\nsign = true": (2, "git.sign is not supported"),
    "[git]\ncommit = 'yes'": (2, "git.commit: 'yes' is not true or false"),
    "[git]\nrequire_clean = 1": (2, "git.require_clean: 1 is not true or false"),
    f'{STORE_TABLE}paht = "x"': (
        2,
        "profiles.default.offline_store.paht is not a setting (did you mean path?)",
    ),
    f'{STORE_TABLE}kind = "s3"': (2, "profiles.default.offline_store.kind: 's3' is not 'local'"),
    "project = 5": (1, "project is not a table"),
    "profiles = []": (1, "profiles is not a table"),
    "[profiles]\ndefault = 1": (2, "profiles.default is not a table"),
    '[profiles]\n"a b" = {}': (2, "profiles.a b is not a setting"),
    "[profiles.default]\noffline_store = true": (
        2,
        "profiles.default.offline_store is not a table",
    ),
    '[project]\nname = ""': (2, "project.name: '' is not text"),
    "[project]\ndefinitions = ['a']": (2, "project.definitions: ['a'] is not text"),
    f"{STORE_TABLE}path = false": (2, "profiles.default.offline_store.path: False is not text"),
    f"{STORE_TABLE}objects = 1": (2, "profiles.default.offline_store.objects: 1 is not text"),
    "default_profile = 'prod'": (1, "default_profile: no profile is called prod"),
    '[project]\nname = "${NONE}"': (2, "project.name: the variable NONE is not set"),
    '[project]\nname = "${NONE:-}"': (2, "project.name: '${NONE:-}' is empty"),
    '[project]\nname = "${A:-${B}}"': (2, "project.name: write ${NAME} or ${NAME:-default}"),
    '[project]\nname = """\ncommit = 1\n"""\n[git]\ncommit = 1': (6, "git.commit: 1 is not true"),
}


@pytest.mark.parametrize("text", MISTAKES)
def test_a_mistake_is_named_with_its_file_line_and_setting(tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidConfig) as refused:
        find_config(project(tmp_path, text))
    line, words = MISTAKES[text]
    first, told = refused.value.message.split("\n")
    assert first == "1 mistake in the configuration"
    assert told.startswith(f"  {tmp_path / 'mlforge.toml'}:{line}: {words}")


def test_a_mistake_in_pyproject_is_told_of_pyproject(tmp_path: Path) -> None:
    text = "[tool.ruff]\n[tool.mlforge.projct]\n"
    with pytest.raises(InvalidConfig, match=r"pyproject\.toml:2: projct is not a setting"):
        find_config(project(tmp_path, text, "pyproject.toml"))


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = "[project]\nname = 5\nnam = 1\n[profiles.prod.offline_store]\npath = 1\n[gti]\n"
    with pytest.raises(InvalidConfig) as refused:
        find_config(project(tmp_path, text))
    first, *told = refused.value.message.split("\n")
    assert first == "4 mistakes in the configuration"
    assert [line.partition("toml:")[2][0] for line in told] == ["2", "3", "5", "6"]


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


def test_a_configuration_of_unreasonable_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match="larger than"):
        find_config(project(tmp_path, "#" * (1 << 20) + "\n"))


PROFILES = """\
default_profile = "shared"
[profiles.shared.offline_store]
path = "shared_store"
[profiles.prod.offline_store]
path = "${PROD_STORE}"
objects = "/disk/objects"
"""


def test_a_profile_is_chosen_by_flag_then_variable_then_project_then_default(
    tmp_path: Path,
) -> None:
    root = project(tmp_path, PROFILES)
    environ = {"MLFORGE_PROFILE": "prod", "PROD_STORE": "prod_store"}
    assert find_config(root, "default", environ).store_path == root / "feature_store"
    found = find_config(root, None, environ)
    assert (found.store_path, found.objects_path) == (root / "prod_store", Path("/disk/objects"))
    assert (found.profile, found.is_profile_named) == ("prod", True)
    found = find_config(root, None, {})
    assert (found.profile, found.is_profile_named) == ("shared", False)
    assert find_config(project(tmp_path / "bare"), None, {}).profile == "default"


def test_variables_of_profiles_that_are_not_chosen_may_be_unset(tmp_path: Path) -> None:
    assert find_config(project(tmp_path, PROFILES), "shared", {}).profile == "shared"
    with pytest.raises(InvalidConfig, match="the variable PROD_STORE is not set"):
        find_config(tmp_path, "prod", {})


def test_an_unknown_profile_is_refused_and_the_nearest_suggested(tmp_path: Path) -> None:
    with pytest.raises(ProfileNotFound) as refused:
        find_config(project(tmp_path, PROFILES), "prdo", {})
    assert (refused.value.exit_code, refused.value.hint) == (3, "did you mean prod?")


VARIABLES: dict[str, tuple[str, str, object]] = {
    "MLFORGE_PROJECT_NAME": ("corner", "name", "corner"),
    "MLFORGE_PROJECT_DEFINITIONS": ("defs", "definitions", "defs"),
    "MLFORGE_PROJECT_ENGINE": ("duckdb", "engine", "duckdb"),
    "MLFORGE_PROFILE": ("prod", "profile", "prod"),
    "MLFORGE_OFFLINE_STORE_KIND": ("local", "name", "shop"),
    "MLFORGE_OFFLINE_STORE_PATH": ("/store", "store_path", Path("/store")),
    "MLFORGE_OFFLINE_STORE_OBJECTS": ("/objects", "objects_path", Path("/objects")),
    "MLFORGE_GIT_COMMIT": ("true", "commits", True),
    "MLFORGE_GIT_REQUIRE_CLEAN": ("1", "requires_clean", True),
}


@pytest.mark.parametrize("variable", VARIABLES)
def test_a_variable_goes_before_the_file(tmp_path: Path, variable: str) -> None:
    text = (
        '[project]\nname = "shop"\n[git]\ncommit = false\n'
        '[profiles.default.offline_store]\npath = "a"\n[profiles.prod]\n'
    )
    value, attribute, expected = VARIABLES[variable]
    found = find_config(project(tmp_path, text), None, {variable: value})
    assert getattr(found, attribute) == expected


# Of the online store, which is read when it is asked for; what else must be said with it.
ONLINE_VARIABLES: dict[str, tuple[str, str, object]] = {
    "MLFORGE_ONLINE_STORE_KIND": ("quick", "kind", "quick"),
    "MLFORGE_ONLINE_STORE_PATH": ("b.db", "path", Path("b.db")),
    "MLFORGE_ONLINE_STORE_URL": ("redis://db", "url", "redis://db"),
    "MLFORGE_ONLINE_STORE_PREFIX": ("b", "prefix", "b"),
    "MLFORGE_ONLINE_STORE_TTL": ("0s", "ttl", 0),
    "MLFORGE_ONLINE_STORE_GRACE": ("2m", "grace", 120_000_000),
}


@pytest.mark.parametrize("variable", ONLINE_VARIABLES)
def test_a_variable_of_the_online_store_goes_before_the_file(tmp_path: Path, variable: str) -> None:
    text = f'{ONLINE_TABLE}kind = "other"\nprefix = "a"\nttl = "9s"\ngrace = "9s"\n'
    value, attribute, expected = ONLINE_VARIABLES[variable]
    found = find_online(find_config(project(tmp_path, text)), {variable: value})
    told = getattr(found, attribute)
    assert told == (tmp_path / expected if isinstance(expected, Path) else expected)


def test_every_setting_has_a_variable_that_is_tried() -> None:
    assert sorted(VARIABLES | ONLINE_VARIABLES) == sorted(setting.variable for setting in SETTINGS)


@pytest.mark.parametrize(
    ("variable", "value"),
    [("MLFORGE_GIT_COMMIT", "maybe"), ("MLFORGE_OFFLINE_STORE_KIND", "s3")],
)
def test_a_wrong_variable_is_refused(tmp_path: Path, variable: str, value: str) -> None:
    with pytest.raises(InvalidConfig, match=value):
        find_config(project(tmp_path), None, {variable: value})


def test_an_empty_variable_is_none(tmp_path: Path) -> None:
    assert find_config(project(tmp_path), None, {"MLFORGE_GIT_COMMIT": ""}).commits


def test_flags_and_objects_are_read(tmp_path: Path) -> None:
    text = "[git]\ncommit = false\nrequire_clean = true\n" + STORE_TABLE + 'objects = "../big"\n'
    found = find_config(project(tmp_path, text))
    assert (found.commits, found.requires_clean) == (False, True)
    assert found.objects_path == tmp_path / "../big"


def test_the_online_store_is_a_file_of_gits_folder_unless_told_otherwise(tmp_path: Path) -> None:
    assert find_online(find_config(project(tmp_path))) == OnlineConfig("sqlite")


def test_a_server_is_read_with_its_variables(tmp_path: Path) -> None:
    text = (
        f'{ONLINE_TABLE}kind = "redis"\nurl = "redis://:${{PASSWORD}}@db:6380/1"\n'
        'prefix = "shop"\nttl = "0s"\ngrace = "1h"\n'
    )
    found = find_online(find_config(project(tmp_path, text)), {"PASSWORD": "secret"})
    url = "redis://:secret@db:6380/1"
    assert found == OnlineConfig("redis", None, url, "shop", 0, 3_600_000_000)
    assert "secret" not in repr(found)


def test_a_variable_of_the_server_is_needed_only_where_it_is(tmp_path: Path) -> None:
    text = f'{ONLINE_TABLE}kind = "redis"\nurl = "redis://:${{PASSWORD}}@db"\n'
    config = find_config(project(tmp_path, text), None, {})
    with pytest.raises(InvalidConfig, match="url: the variable PASSWORD is not set"):
        find_online(config, {})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('url = "redis://:secret@db"', "url: it is for redis, and the kind is sqlite"),
        ('kind = "redis"\npath = "x"', "path: it is for sqlite, and the kind is redis"),
        ('ttl = "soon"', "ttl: 'soon' is not a duration: write 1s, 10m or 0s"),
        ('grace = "1mo"', "grace: '1mo' has no fixed length"),
    ],
)
def test_settings_of_a_store_that_do_not_go_together(tmp_path: Path, text: str, told: str) -> None:
    config = find_config(project(tmp_path, ONLINE_TABLE + text))
    with pytest.raises(InvalidConfig, match=told) as refused:
        find_online(config)
    assert "secret" not in str(refused.value)
