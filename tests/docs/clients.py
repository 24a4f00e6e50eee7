"""Checks the table of client libraries in docs/sending-events.md: it contains the libraries that the tests run, in the
versions that the tests install.

Usage: clients.py, in the repository's root. Prints one line per fault, and exits with 1 if it finds any.
"""

import json
import re
import sys
from pathlib import Path

PAGE = Path("docs/sending-events.md")
CLIENTS = Path("tests/clients")
SECTION = re.compile(r"^## Client libraries$(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
# The first two cells of a row: the library in code style, and its version.
ROW = re.compile(r"^\| `([^`]+)` \| ([^|]*?) \|", re.MULTILINE)
# Libraries that the tests do not run; they only send what these libraries send.
NOT_RUN = "input only"
# The other packages that the tests install are dependencies, or a driver for browsers.
LIBRARY = re.compile(r"segment|rudder")


def packages():
    """The installed packages with their versions."""
    yield from json.loads((CLIENTS / "node/package.json").read_text())["dependencies"].items()
    for file, package in {
        "python/requirements.txt": r"^(\S+)==(\S+)$",
        "go/go.mod": r"^require (\S+) v(\S+)$",
        "rust/Cargo.toml": r'^(\S+) = \{ version = "=([^"]+)"',
    }.items():
        yield from re.findall(package, (CLIENTS / file).read_text(), re.MULTILINE)


def faults():
    section = SECTION.search(PAGE.read_text(encoding="utf-8"))
    rows = ROW.findall(section.group(1) if section else "")
    installed = {name: version for name, version in packages() if LIBRARY.search(name)}
    for name, version in rows:
        if version not in (installed.get(name), NOT_RUN):
            yield f"{PAGE}: `{name}` {version}: the tests install {installed.get(name, 'no such library')}"
    for name in installed.keys() - {name for name, version in rows if version != NOT_RUN}:
        yield f"{PAGE}: {name}, which the tests run, is not in the table"


def main():
    found = list(faults())
    print("\n".join(found) if found else "the table of client libraries is up to date")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
