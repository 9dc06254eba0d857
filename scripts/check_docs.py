"""Check the Markdown files: links, names of files, and the length of sentences.

    python scripts/check_docs.py

Every relative link leads to a file and, with `#`, to a heading of it. Every path or
test file between backticks exists. A sentence of README.md, CONTRIBUTING.md and docs/
has at most 25 words, without code and tables. It prints one line for each finding and
exits with 1 if there is any.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
MOST_WORDS = 25
# History names former files. Pages on new files name those that the reader writes.
NAMES_OTHER_FILES = (
    "CHANGELOG.md",
    "benchmarks/results/",
    "docs/how-to/add-",
    "docs/how-to/map-",
)


def listed(*patterns: str) -> list[str]:
    """The paths of the repository that match, from its root."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    output = subprocess.check_output([*command, *patterns], cwd=ROOT, text=True)
    return [path for path in output.splitlines() if (ROOT / path).is_file()]


def without_code(text: str) -> str:
    """Blank the blocks of code, so that lines keep their numbers."""
    block = re.compile(r"^ *(`{3,}).*?^ *\1`*$", re.MULTILINE | re.DOTALL)
    return block.sub(lambda match: "\n" * match[0].count("\n"), text)


@cache
def anchors(path: Path) -> set[str]:
    """The anchors of a file's headings, as GitHub makes them."""
    found: set[str] = set()
    for heading in re.findall(
        r"^#+ (.+)$", without_code(path.read_text()), re.MULTILINE
    ):
        text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
        anchor = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
        copies = sum(each.startswith(anchor) for each in found)
        found.add(f"{anchor}-{copies}" if anchor in found else anchor)
    return found


def broken_links(path: str, text: str) -> Iterator[tuple[int, str]]:
    """The links that lead nowhere, each with its line."""
    for match in re.finditer(r"\]\(([^)\s]+)\)", text):
        target, _, anchor = match[1].partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        file = (ROOT / path).parent / target if target else ROOT / path
        line = text.count("\n", 0, match.start()) + 1
        if not file.exists():
            yield line, f"{target} does not exist: correct the link"
        elif anchor and file.suffix == ".md" and anchor not in anchors(file.resolve()):
            yield line, f"{target} has no heading #{anchor}: correct the link"


def missing_files(text: str, paths: set[str]) -> Iterator[tuple[int, str]]:
    """The files that the text names between backticks and that do not exist."""
    tops = {path.partition("/")[0] for path in paths if "/" in path}
    for match in re.finditer(r"`([\w.-]+(?:/[\w.-]+)*/?)`", text):
        name = match[1]
        line = text.count("\n", 0, match.start()) + 1
        if re.fullmatch(r"test_\w+\.py", name):
            exists = any(path.endswith(f"/{name}") for path in paths)
        elif "/" in name and name.partition("/")[0] in tops:
            exists = (ROOT / name).exists()
        else:
            continue
        if not exists:
            yield line, f"{name} does not exist: name the present file"


def long_sentences(text: str) -> Iterator[tuple[int, str]]:
    """The sentences with too many words, each with the line on which it begins."""
    text = re.sub(r"^(\||#|<|\s*\[[^]]*\]:).*$", "", text, flags=re.MULTILINE)
    text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", text)
    # Inline code counts as one word, whatever it contains.
    text = re.sub(r"`[^`]+`", lambda code: "x" + "\n" * code[0].count("\n"), text)
    begin = re.compile(
        r"\n\s*\n|\n(?=\s*(?:[-*]|\d+\.) )|[.!?:](?:\*\*|[)\"'_*])*(?=\s)"
    )
    start = 0
    for end in [*(match.end() for match in begin.finditer(text)), len(text)]:
        sentence = text[start:end]
        words = re.findall(r"[\w'’%×^…-]*\w[\w'’%×^…-]*", sentence)
        if len(words) > MOST_WORDS:
            blank = len(sentence) - len(sentence.lstrip())
            line = text.count("\n", 0, start + blank) + 1
            opening = " ".join(words[:6])
            yield line, f"{len(words)} words from '{opening}': split the sentence"
        start = end


def main() -> int:
    """Check all files; return the exit code."""
    paths = set(listed())
    findings = 0
    for path in sorted(listed("*.md")):
        text = without_code((ROOT / path).read_text())
        found = list(broken_links(path, text))
        if not path.startswith(NAMES_OTHER_FILES):
            found += missing_files(text, paths)
        if path in ("README.md", "CONTRIBUTING.md") or path.startswith("docs/"):
            found += long_sentences(text)
        for line, message in sorted(found):
            print(f"{path}:{line}: {message}")
        findings += len(found)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
