"""Plots as SVG that stands in the page, and the JavaScript that makes them answer to the mouse: nothing is fetched.

The only importer of vl-convert. A page shows its plots without any script, in a mail preview and on paper too; where scripts
may run, Vega draws them again at the width of the window, with tooltips.
"""

import re
from contextlib import AbstractContextManager
from typing import Any, Final

import altair as alt
import vl_convert
from altair.utils.schemapi import debug_mode

from streams.replay.report.theme import config

VEGA_LITE: Final = ".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2])
NAMED: Final = re.compile(r'id="([a-z]+\d+)"')


def unchecked() -> AbstractContextManager[None]:
    """Within it charts are not held to the schema: tests do that, and it takes longer than drawing."""
    return debug_mode(False)


def specification(chart: alt.TopLevelMixin) -> dict[str, Any]:  # a Vega-Lite document is JSON of any shape
    """The Vega-Lite document of a chart, in the report's dress."""
    document: dict[str, Any] = chart.to_dict(validate=False)
    dress: dict[str, Any] = config().to_dict(validate=False)
    return {**document, "config": {**document.get("config", {}), **dress, "background": "transparent"}}


def drawn(document: dict[str, Any], name: str) -> str:
    """The plot as SVG. Names inside it begin with `name`: those of two plots in one page don't meet."""
    svg = vl_convert.vegalite_to_svg(document, vl_version=VEGA_LITE)
    for number, found in enumerate(dict.fromkeys(NAMED.findall(svg))):
        svg = svg.replace(f'id="{found}"', f'id="{name}-{number}"').replace(f"url(#{found})", f"url(#{name}-{number})")
    return svg


def script() -> str:
    """Vega, Vega-Lite and Vega-Embed in one piece; `vegaEmbed` is theirs."""
    return vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version=VEGA_LITE)
