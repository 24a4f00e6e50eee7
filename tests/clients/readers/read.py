"""Runs the examples of a page, with a local folder in place of S3. Prints the messageIds that each example reads.

Usage: read.py PAGE FOLDER EXTENSION

FOLDER contains a folder per bucket. EXTENSION replaces that of the compressed objects. Prints one JSON object per
example, with the heading above it as its reader. Sections of readers that are not installed are skipped.
"""

import json
import re
import sys
from pathlib import Path

import duckdb

SKIPPED = ("Spark", "Athena")
PART = re.compile(r"^## (?P<heading>.+?)$|^```(?P<language>python|sql)\n(?P<code>.*?)^```", re.MULTILINE | re.DOTALL)


def message_ids(language, code):
    if language == "sql":
        return duckdb.sql(code).df()["messageId"]
    scope = {}
    exec(code, scope)
    return scope["events"]["messageId"]


def main():
    page, folder, extension = sys.argv[1:]
    heading = None
    for part in PART.finditer(Path(page).read_text(encoding="utf-8")):
        if part["heading"]:
            heading = part["heading"]
        elif heading not in SKIPPED:
            code = part["code"].replace("s3://", f"{folder}/").replace(".ndjson.gz", f".ndjson.{extension}")
            ids = sorted(str(message_id) for message_id in message_ids(part["language"], code))
            print(json.dumps({"reader": heading, "ids": ids}), flush=True)


if __name__ == "__main__":
    main()
