"""Sends N events to HOST with Segment's or RudderStack's library for Python, which have the same interface.

Nine in ten events have a messageId and a timestamp that depend only on their number,
so they are the same events when they are sent again. The library sets those of the
other events.
"""

import argparse
import importlib
import sys
from datetime import datetime, timedelta, timezone
from decimal import Decimal

FIRST = datetime(2026, 1, 1, tzinfo=timezone.utc)
"""The time of the first event."""
APART = timedelta(milliseconds=37)
"""The time between two events."""


def main():
    parser = argparse.ArgumentParser(description="Sends events with a library for Python.")
    parser.add_argument("host")
    parser.add_argument("count", type=int)
    parser.add_argument("--library", choices=["segment", "rudderstack"], default="segment")
    parser.add_argument("--gzip", action="store_true")
    args = parser.parse_args()

    library = importlib.import_module(f"{args.library}.analytics.client")
    failures = []
    client = library.Client("tests", host=args.host, gzip=args.gzip, on_error=lambda error, _: failures.append(error))
    for i in range(args.count):
        # The library's queue is bounded, and refuses events when it is full.
        while not send(client, i):
            client.flush()
    client.shutdown()
    for failure in failures:
        print(failure, file=sys.stderr)
    return 1 if failures else 0


def send(client, i):
    """Sends event number `i`. Returns whether the library has queued it."""
    common = identified(i)
    who = {"anonymous_id": f"browser-{i % 97}"} if i % 3 == 0 else {"user_id": f"user {i % 101} é"}
    match i % 6:
        case 0:
            event = f"Order {i % 7} – “paid”"
            sent, _ = client.track(**who, **common, event=event, properties=properties(i))
        case 1:
            sent, _ = client.identify(**who, **common, traits=properties(i))
        case 2:
            sent, _ = client.page(**who, **common, category="Docs", name="Größe", properties=properties(i))
        case 3:
            sent, _ = client.screen(**who, **common, name="Home", properties=properties(i))
        case 4:
            sent, _ = client.group(**who, **common, group_id=i % 11, traits=properties(i))
        case _:
            sent, _ = client.alias(**common, user_id=f"user-{i}", previous_id=i)
    return sent


def identified(i):
    """Returns the arguments that make an event the same when it is sent again; none for one in ten events."""
    if i % 10 == 0:
        return {}
    zone = timezone(timedelta(hours=5, minutes=30)) if i % 4 == 0 else timezone.utc
    return {
        "message_id": message_id(i),
        "timestamp": (FIRST + i * APART).astimezone(zone),
        "context": context(i),
        "integrations": {"All": i % 2 == 0},
    }


def message_id(i):
    """Most are plain; some have characters that an object key can't contain unescaped, and some the maximum length."""
    match i % 50:
        case 1:
            return f"python/{i} 100%~ü🚀"
        case 2:
            return f"python-{i}-".ljust(100, "é")
        case _:
            return f"python-{i}"


def context(i):
    return {
        "ip": "203.0.113.7",
        "locale": "de-CH",
        "page": {"path": f"/p/{i}", "referrer": None, "search": '?a=1&b="2"'},
    }


def properties(i):
    return {
        "number": i,
        "price": i / 7,
        "large": 12345678901234567890,
        "larger": 10**40 + i,
        "huge": 1.7976931348623157e308,
        "tiny": 5e-324,
        "whole": 100.0,
        "decimal": Decimal("19.99"),
        "nothing": None,
        "empty": ["", {}, []],
        "list": (1, "two", None, [3.5, {"four": 4}], False),
        "nested": {"a": {"b": {"c": {"d": [{"e": f"level {i}"}]}}}},
        "text": 'ünïcödé 🚀 日本語 עברית e\u0301 \u2028 \x00 \\ " </script>',
        "half": "\ud83d",
        'key with "quotes" and 🗝': True,
        "long": "x" * (i % 700),
        "when": FIRST + i * APART,
    }


if __name__ == "__main__":
    sys.exit(main())
