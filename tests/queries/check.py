"""Reads the rendered chart, and parses every Prometheus query in its alerts and its dashboard."""

import json
import re
import sys

import promql_parser
import yaml


def queries(document):
    """Yields the alert or panel of each query, and the query."""
    if document["kind"] == "PrometheusRule":
        for group in document["spec"]["groups"]:
            for rule in group["rules"]:
                yield rule["alert"], rule["expr"]
    elif document["kind"] == "ConfigMap":
        for name, text in document.get("data", {}).items():
            if name.endswith(".json"):
                for panel in json.loads(text)["panels"]:
                    for target in panel["targets"]:
                        # Grafana replaces each variable with a pattern.
                        yield panel["title"], re.sub(r"\$\w+", ".*", target["expr"])


def main():
    wrong, right = [], 0
    for document in filter(None, yaml.safe_load_all(sys.stdin)):
        for place, query in queries(document):
            try:
                promql_parser.parse(query)
                right += 1
            except ValueError as error:
                wrong.append(f"{place}: {error}: {query}")
    print(f"{right} queries")
    if wrong or right < 10:
        sys.exit("\n".join(wrong) or "too few queries found")


main()
