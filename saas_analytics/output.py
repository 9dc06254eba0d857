"""Text of a database as text on a terminal, and nothing more."""

import unicodedata

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

# Control characters, what directs or joins text unseen, ends of lines and paragraphs,
# and halves of characters.
HARMFUL = {"Cc", "Cf", "Zl", "Zp", "Cs"}


def plain(value: object) -> str:
    """A value in one line, each character that a terminal would act on replaced."""
    return "".join(
        REPLACEMENT if unicodedata.category(character) in HARMFUL else character
        for character in str(value)
    )
