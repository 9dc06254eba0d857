"""Check that comments, docstrings, messages and docs are free of banned words.

    python scripts/check_words.py [FILE ...]

The words, what takes their place, and the exceptions are in banned_words.txt. Without
FILE it reads every file of the repository. It prints one line for each word and exits
with 1 if it found any, or if an exception is no longer needed.
"""

import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
LIST = Path(__file__).with_name("banned_words.txt")

Allowed = set[tuple[str, str]]
"""Pairs of a file's path from the root and a word in lower case, or * for any."""


def read_list(text: str) -> tuple[dict[str, str], Allowed]:
    """Read the words with their replacements, and the exceptions.

    Raises:
        ValueError: a line is neither; or a word is there twice.
    """
    words: dict[str, str] = {}
    allowed: Allowed = set()
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        if exception := re.fullmatch(r"allow (\S+): (.+)", line):
            allowed.add((exception[1], exception[2]))
            continue
        word, equals, better = line.partition(" = ")
        if not equals or word in words or word != word.lower():
            raise ValueError(f"{LIST.name}:{number}: write a new `word = better`")
        words[word] = better
    return words, allowed


def pattern(words: dict[str, str]) -> re.Pattern[str]:
    """Make the expression that finds any of the words, the longest first."""
    gap = r"(?:\s|#|--)+"  # the start of a comment's next line, too
    longest = sorted(words, key=len, reverse=True)
    choices = "|".join(gap.join(map(re.escape, word.split())) for word in longest)
    return re.compile(rf"(?<!\w)(?:{choices})(?!\w)", re.IGNORECASE)


# --- The prose of a file: all else becomes spaces, so lines keep their numbers --------


def blank(text: str) -> str:
    """Replace everything but ends of lines by spaces."""
    return re.sub(r"[^\n]", " ", text)


def blanked(match: re.Match[str]) -> str:
    """Blank one match."""
    return blank(match[0])


def without_code(text: str) -> str:
    """Blank the text between backticks."""
    return re.sub(r"`[^`\n]+`", blanked, text)


def of_python(text: str) -> str:
    """Keep comments and strings, without what f-strings compute."""
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    kept = list(blank(text))
    kinds = {tokenize.COMMENT, tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", -1)}
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in kinds:
            start = starts[token.start[0] - 1] + token.start[1]
            end = starts[token.end[0] - 1] + token.end[1]
            kept[start:end] = re.sub(r"\{[^{}\n]*\}", blanked, text[start:end])
    return "".join(kept)


def of_sql(text: str) -> str:
    """Keep comments, Jinja's too, and quoted texts."""
    prose = re.compile(
        r"""--[^\n]*|/\*.*?\*/|\{\#.*?\#\}|'(?:[^']|'')*'|"[^"]*\"""", re.DOTALL
    )
    kept = list(blank(text))
    for match in prose.finditer(text):
        kept[match.start() : match.end()] = match[0]
    return "".join(kept)


def of_all(text: str) -> str:
    """Keep everything."""
    return text


READERS: dict[str, Callable[[str], str]] = {
    ".py": of_python,
    ".sql": of_sql,
    **dict.fromkeys((".md", ".yml", ".yaml", ".toml", ".example", ".html"), of_all),
}
"""How the files of each suffix are read. Files without one are shell programs."""


def found(path: str, text: str, banned: re.Pattern[str]) -> Iterator[tuple[int, str]]:
    """Find each banned word of a file: its line number, and the word in lower case."""
    prose = without_code(READERS.get(Path(path).suffix, of_all)(text))
    for match in banned.finditer(prose):
        line = text.count("\n", 0, match.start()) + 1
        yield line, re.sub(r"(?:\s|#|--)+", " ", match[0].lower())


def main(arguments: list[str]) -> int:
    """Check the files; return the exit code."""
    words, allowed = read_list(LIST.read_text())
    banned = pattern(words)
    listed = subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True)
    paths = arguments or [
        path
        for path in listed.splitlines()
        if Path(path).suffix in {*READERS, ""} and (ROOT / path).is_file()
    ]
    wrong = 0
    unused = {(path, word) for path, word in allowed if path in paths}
    for path in paths:
        for line, word in found(path, (ROOT / path).read_text(), banned):
            exceptions = {(path, word), (path, "*")} & allowed
            unused -= exceptions
            if not exceptions:
                print(f"{path}:{line}: {word}: use {words[word]}")
                wrong += 1
    for path, word in sorted(unused):
        print(f"{LIST.name}: {path} is free of '{word}': remove its line")
    return 1 if wrong or unused else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
