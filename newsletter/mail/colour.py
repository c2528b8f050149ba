"""The publication's accent colour, moved as little as needed to be readable (WCAG 2.2, contrast 4.5:1)."""

import re
from typing import Final

from newsletter.publication.checks import contrast

WHITE: Final = "#ffffff"
NIGHT: Final = "#161616"
_AA: Final = 4.5


def is_colour(text: str) -> bool:
    """Tell whether `text` is `#rrggbb`, the only way colours are written here."""
    return re.fullmatch("#[0-9a-fA-F]{6}", text) is not None


def readable(colour: str, background: str) -> str:
    """Return `colour`, or the nearest shade towards black or white that can be read on `background`."""
    end = 0 if ink_on(background) == NIGHT else 255
    channels = _channels(colour)
    for step in range(21):
        shade = "#" + "".join(f"{round(value + (end - value) * step / 20):02x}" for value in channels)
        if contrast(shade, background) >= _AA:
            return shade
    return shade


def ink_on(colour: str) -> str:
    """Return white or near-black, whichever reads better on `colour`."""
    return max((WHITE, NIGHT), key=lambda ink: contrast(ink, colour))


def _channels(colour: str) -> list[int]:
    return [int(colour[at : at + 2], 16) for at in (1, 3, 5)]
