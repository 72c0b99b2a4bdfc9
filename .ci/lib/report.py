"""Collects violations and prints them."""

import difflib
import pathlib
from collections import Counter


class Report:
    """Violations of the rules below a folder."""

    def __init__(self, root):
        self.root = root
        self.entries = []

    def add(self, path, line, rule, message):
        """Adds a violation. `path` is a file below the root, or another place as a text."""
        if isinstance(path, pathlib.Path):
            path = path.relative_to(self.root).as_posix()
        self.entries.append((str(path), line, rule, message))

    def lines(self):
        """Returns the violations, one a line."""
        return [f"{path}:{line}: {rule}: {message}" for path, line, rule, message in sorted(set(self.entries))]

    def finish(self, name, summary):
        """Prints them, and how many there are by rule and folder. Returns the exit status."""
        if not summary:
            print("\n".join(self.lines()))
        counts = Counter((rule, folder(path)) for path, _, rule, _ in set(self.entries))
        for (rule, place), count in sorted(counts.items()):
            print(f"{count:5} {rule}: {place}")
        total = sum(counts.values())
        print(f"{name}: {total} violations" if total else f"{name}: passed")
        return 1 if total else 0


def folder(path):
    """Returns the folder that a violation is counted for: two levels below `src`, `tests` and so on."""
    parts = path.split("/")[:-1]
    return "/".join(parts[:2]) if parts else path


def compare(report, expected):
    """Compares a report with the one that is expected. Returns the exit status."""
    lines = report.lines()
    wanted = expected.read_text().splitlines()
    if lines == wanted:
        print(f"self-test: passed, {len(lines)} violations found as expected")
        return 0
    print("\n".join(difflib.unified_diff(wanted, lines, expected.name, "found", lineterm="")))
    print("self-test: FAILED")
    return 1
