"""`maitred asyncapi`: the whole contract, for the tools of others."""

from typing import Annotated

import typer

from streams.cli.talk import ConfigOption, load_settings, put_line


def asyncapi_command(
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of YAML.")] = False,
    config: ConfigOption = None,
) -> None:
    """Print the AsyncAPI 3 document of this namespace: topics, messages, keys, schemas, as the settings have them."""
    import msgspec

    from streams.asyncapi import document, yaml

    contract = document(load_settings(config))
    put_line(msgspec.json.encode(contract).decode() if as_json else yaml(contract))
