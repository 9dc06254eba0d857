"""Values of a database as harmless text for a terminal."""

import unicodedata

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

# Control characters, invisible characters that reorder or join text, line and paragraph
# separators, and surrogates.
HARMFUL = {"Cc", "Cf", "Zl", "Zp", "Cs"}


def plain(value: object) -> str:
    """A value in one line, with every character that controls a terminal replaced."""
    return "".join(
        REPLACEMENT if unicodedata.category(character) in HARMFUL else character
        for character in str(value)
    )
