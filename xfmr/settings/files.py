"""Settings from flags, a YAML file and the run, and their copy in the run.

A setting comes from the first of: the command line, ``--config FILE.yaml``, ``RUN/settings.yaml``, its default. The
environment is not read.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError
from pydantic_settings import CliApp, CliSettingsSource, SettingsError

from xfmr.errors import XfmrError
from xfmr.rows.row_set import RowSet
from xfmr.settings.run import Settings
from xfmr.storage import Store

SETTINGS_FILE = "settings.yaml"

# The settings that a row of features depends on. Each combination has its own set of features.
FEATURE_SETTINGS = ("sample_rate_hz", "record_length", "health", "unit_from")

# Settings of one call and its machine, which are not read back from the run.
NOT_INHERITED = {"run", "config", "workers"}

S = TypeVar("S", bound=Settings)


def read_settings(cls: type[S], argv: Sequence[str], *, prog: str, inherit_archive: bool = True) -> S:
    """Read the settings of a job from its command line and the files it names.

    Args:
        cls: The job's settings.
        argv: The command line without the program's name.
        prog: The program's name, for ``--help``.
        inherit_archive: Allow the archive to come from ``RUN/settings.yaml``.

    Raises:
        XfmrError: If a file cannot be read, or a setting is unknown or has an invalid value; the message names it.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--run")
    parser.add_argument("--config")
    try:
        known, _ = parser.parse_known_args(argv)
        given = _yaml_file(Path(known.config)) if known.config else {}
        run = known.run or given.get("run")
        saved = _saved(run if isinstance(run, str) else None, inherit_archive=inherit_archive)
        source = CliSettingsSource[Any](cls, cli_prog_name=prog)
        return CliApp.run(cls, cli_args=list(argv), cli_settings_source=source, **_merged(saved, given))
    except (SettingsError, argparse.ArgumentError) as error:
        raise XfmrError(f"{str(error).removeprefix('error parsing CLI: ')} (see --help)") from error
    except ValidationError as error:
        raise XfmrError("; ".join(_message(item) for item in error.errors())) from error


def _saved(run: str | None, *, inherit_archive: bool) -> dict[str, Any]:
    store = Store(run) if run else None
    if store is None or not store.exists(SETTINGS_FILE):
        return {}
    saved = _mapping(store.read(SETTINGS_FILE), store.path(SETTINGS_FILE))
    # The existing features count: a job may have saved other settings and been killed before it made their features.
    saved |= RowSet(store).made_with()
    dropped = NOT_INHERITED if inherit_archive else {*NOT_INHERITED, "archive"}
    return {name: value for name, value in saved.items() if name not in dropped}


def _yaml_file(path: Path) -> dict[str, Any]:
    try:
        return _mapping(path.read_bytes(), str(path))
    except OSError as error:
        raise XfmrError(f"cannot read --config {path}: {error.strerror}") from error


def _mapping(text: bytes, name: str) -> dict[str, Any]:
    try:
        value = yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise XfmrError(f"{name} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(value, dict):
        raise XfmrError(f"{name} must hold settings as 'name: value' lines")
    return {str(key): setting for key, setting in value.items()}


def _merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    deep = {k: _merged(base[k], v) for k, v in over.items() if isinstance(v, dict) and isinstance(base.get(k), dict)}
    return base | over | deep


def _message(item: Any) -> str:
    name = ".".join(str(key) for key in item["loc"])
    flag = "--" + name.replace("_", "-")
    if item["type"] == "value_error":
        return str(item["ctx"]["error"]) if not name else f"{flag}: {item['ctx']['error']}, not {item['input']!r}"
    if item["type"] == "missing":
        return f"{flag} is required"
    if item["type"] == "extra_forbidden":
        return f"there is no setting {name} (see --help)"
    return f"{flag}: {item['msg'][0].lower()}{item['msg'][1:]}, not {item['input']!r}"


def feature_settings(settings: Settings) -> dict[str, Any]:
    """Return the settings that a row of features depends on."""
    return settings.model_dump(include=set(FEATURE_SETTINGS))


def save_settings(settings: Settings, *, new_features: bool = False) -> None:
    """Write the run's effective settings to ``RUN/settings.yaml``.

    Args:
        settings: Settings of the job.
        new_features: True if the job makes features, and so may change the settings that they depend on.

    Raises:
        XfmrError: If the run has another archive, or its features were made with other settings. Then nothing is
            written.
    """
    saved = _saved(settings.run, inherit_archive=True)
    values = settings.model_dump(mode="json", include=Settings.model_fields.keys() - {"config"})
    for name in ("archive", *(() if new_features else FEATURE_SETTINGS)):
        if saved.get(name, values[name]) != values[name]:
            raise XfmrError(
                f"run {settings.run} was made with {name} {saved[name]}, not {values[name]}: "
                "give another --run, or the same value"
            )
    text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
    settings.store.write(SETTINGS_FILE, text.encode())
