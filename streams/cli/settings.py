"""`maitred settings`: whether they are right, and what is in force."""

import os
import re

import msgspec

from streams.cli.talk import ConfigOption, JsonOption, commands, example, load_settings, put, put_line, put_table

settings_app = commands("The settings: maitred.toml and the environment.")

_PASSWORD = re.compile(r"(?<=://)([^/@]*:)[^/@]+(?=@)")
_SECRET = re.compile("password|secret|key|token|sasl.username", re.IGNORECASE)


@settings_app.command("check", epilog=example("maitred settings check --config maitred.toml"))
def check(config: ConfigOption = None) -> None:
    """Say everything that is wrong with the settings. Prints the policy version if nothing is."""
    from streams.settings import policy_version

    put_line(f"policy_version {policy_version(load_settings(config))}")


@settings_app.command("show", epilog=example("MAITRED_PARTITIONS=12 maitred settings show"))
def show(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show what is in force, and which of it differs from the defaults. Passwords are not shown."""
    from streams.settings import Settings
    from streams.settings.reading import keys_of

    settings = load_settings(config)
    if as_json:
        put(_without_secrets(msgspec.to_builtins(settings)))
        return
    rows = []
    for key in keys_of(Settings):
        value = _at(settings, key.name)
        origin = key.variable if key.variable in os.environ else "default" if value == key.default else "file"
        rows.append((key.name, _shown(value), origin))
    put_table(("key", "value", "from"), rows)


def _at(settings: object, name: str) -> object:
    for part in name.split("."):
        settings = getattr(settings, part)
    return settings


def _shown(value: object) -> str:
    return msgspec.json.encode(_without_secrets(msgspec.to_builtins(value))).decode()


def _without_secrets(value: object) -> object:
    match value:
        case dict():
            return {
                name: "***" if _SECRET.search(str(name)) and isinstance(item, str) else _without_secrets(item)
                for name, item in value.items()
            }
        case list() | tuple():
            return [_without_secrets(item) for item in value]
        case str():
            return _PASSWORD.sub(r"\1***", value)
    return value
