"""Checks the Markdown files: every link leads to an existing file, heading and test, every path in code style exists.

Usage: check.py, in the repository's root. Prints one line per fault, and exits with 1 if it finds any.
"""

import re
import subprocess
import sys
from pathlib import Path

LINK = re.compile(r"\[([^\]]*)\]\(([^)\s]+)\)")
# The text of a link to a test: the start of its name.
TEST = re.compile(r"`([a-z][a-z0-9_]+)`")
CODE = re.compile(r"`([^`]+)`")
FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+ +(.*)$", re.MULTILINE)
# A path from the repository's root: no blanks, variables or patterns.
PATH = re.compile(r"[\w.-]+(/[\w.-]+)+/?")


def tracked():
    out = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"], check=True, capture_output=True)
    return {Path(line) for line in out.stdout.decode().splitlines() if Path(line).exists()}


def anchors(text):
    """The anchors that GitHub generates from the headings."""
    headings = HEADING.findall(FENCE.sub("", text))
    plain = (re.sub(r"[`*]|\]\([^)]*\)|\[", "", heading) for heading in headings)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in plain}


def faults(page, files):
    text = page.read_text(encoding="utf-8")
    prose = FENCE.sub(lambda block: "\n" * block.group().count("\n"), text)
    folders = {parent for file in files for parent in file.parents}
    for number, line in enumerate(prose.splitlines(), 1):
        for label, target in LINK.findall(line):
            if re.match(r"[a-z]+:", target):
                continue
            name, _, anchor = target.partition("#")
            path = Path(page.parent, name) if name else page
            if not path.resolve().is_relative_to(Path.cwd()):
                yield f"{page}:{number}: {target}: the target is outside the repository"
                continue
            path = path.resolve().relative_to(Path.cwd())
            if path not in files and path not in folders:
                yield f"{page}:{number}: {target}: {path} does not exist"
            elif anchor and (path in folders or anchor not in anchors(path.read_text(encoding="utf-8"))):
                yield f"{page}:{number}: {target}: {path} has no heading with this anchor"
            elif (test := TEST.fullmatch(label)) and path.suffix == ".rs":
                if f"fn {test.group(1)}" not in path.read_text(encoding="utf-8"):
                    yield f"{page}:{number}: {target}: {path} has no function whose name starts with {test.group(1)}"
        for code in CODE.findall(line):
            # Code that begins with a folder of this repository is a path in the repository.
            first = code.split("/")[0]
            if PATH.fullmatch(code) and Path(first) in folders:
                if Path(code) not in files and Path(code) not in folders:
                    yield f"{page}:{number}: `{code}`: this path does not exist"


def main():
    files = tracked()
    pages = sorted(file for file in files if file.suffix == ".md")
    found = [fault for page in pages for fault in faults(page, files)]
    print("\n".join(found) if found else f"{len(pages)} pages: every link and path exists")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
