"""How charts look: colours, shapes, dashes and fonts, as a Vega-Lite config for light and for dark.

Colours are those of Okabe and Ito (2008, "Color Universal Design"), each made darker or lighter until it
stands out from its background by 3:1, or text from it by 4.5:1. No colour is ever the only cue: variants have
dashes too, outcomes and heat maps carry text.
"""

from __future__ import annotations

from typing import Any

FONT = "system-ui, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
DASHES = ([1, 0], [7, 3], [2, 2], [10, 3, 2, 3], [4, 4])
"""A second cue beside colour, for readers and printers without colours."""
COLOURS = 8
"""Of lines: more variants share them, in charts of their own."""

_LIGHT = {
    "background": "#ffffff",
    "text": "#1f2328",
    "muted": "#59636e",
    "grid": "#e3e6ea",
    # blue, vermillion, green, purple, orange, sky, yellow, grey
    "category": ["#0072b2", "#d55e00", "#008a64", "#b8578c", "#b57a00", "#2f8fcb", "#8f8600", "#5f6b76"],
    # in the order of `Outcome`
    "outcome": [
        *("#d9e6f0", "#e26f1c", "#f0e442", "#c29a7c", "#cc79a7", "#56b4e9"),
        *("#e69f00", "#3cb08a", "#c3c8ce", "#929aa3", "#b0a18f"),
    ],
    "ramp": ["#f6f8fa", "#b9d9ee", "#5aa9d6"],
    "diverging": ["#f0a36b", "#f9d9c2", "#f6f8fa", "#c3dff1", "#6fb3dc"],
}
_DARK = {
    "background": "#14171c",
    "text": "#e8ebef",
    "muted": "#a3acb7",
    "grid": "#2c323a",
    "category": ["#4aa8e0", "#f0803c", "#2bb58d", "#d98ab8", "#e6a82e", "#8fcdf2", "#e2d84f", "#a9b4bf"],
    "outcome": [
        *("#253947", "#b03f00", "#6a6500", "#6e4a35", "#84496b", "#1d6799"),
        *("#8f5f00", "#00694c", "#555d66", "#5d656d", "#6b5d4c"),
    ],
    "ramp": ["#1b2027", "#194a6b", "#1b6899"],
    "diverging": ["#9a4a12", "#57331c", "#1f242b", "#1c3d54", "#1a6699"],
}


def theme(dark: bool = False) -> dict[str, Any]:
    """The Vega-Lite config of every chart, so that a page switches by passing the other one.

    Charts name ranges (category: variants; ordinal: outcomes; ramp and diverging: heat maps), never colours.
    """
    look = _DARK if dark else _LIGHT
    text, muted, grid = look["text"], look["muted"], look["grid"]
    return {
        "background": look["background"],
        "font": FONT,
        "padding": 6,
        "axis": {
            **{"labelColor": text, "titleColor": muted, "labelFontSize": 11, "titleFontSize": 11},
            **{"gridColor": grid, "domainColor": muted, "tickColor": muted, "titleFontWeight": "normal"},
            **{"labelLimit": 190, "labelPadding": 8, "labelSeparation": 8},
        },
        "axisBand": {"grid": False, "ticks": False, "domain": False},
        "header": {"labelColor": text, "titleColor": muted, "labelFontSize": 11},
        "legend": {
            **{"labelColor": text, "titleColor": muted, "labelFontSize": 11, "titleFontSize": 11},
            **{"titleFontWeight": "normal", "orient": "top", "direction": "horizontal", "labelLimit": 230},
            **{"symbolSize": 70, "symbolStrokeWidth": 2, "rowPadding": 3, "columnPadding": 12},
        },
        "title": {
            "color": text,
            "subtitleColor": muted,
            "fontSize": 12,
            "anchor": "start",
            "frame": "group",
            "offset": 6,
        },
        # pixels of a chart with several panels, until a page or file sets its own
        "view": {"stroke": None, "continuousWidth": 260, "continuousHeight": 200},
        "range": {
            **{"category": look["category"], "ordinal": look["outcome"]},
            **{"ramp": look["ramp"], "heatmap": look["ramp"], "diverging": look["diverging"]},
        },
        "text": {"color": text, "fontSize": 11},
        "rule": {"color": muted},
        "tick": {"color": text},
        "point": {"color": look["category"][0]},
        "rect": {"color": look["grid"]},
        "mark": {"color": look["category"][0]},
    }
