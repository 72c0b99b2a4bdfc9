"""Reads Rust files as the checks of this folder need them: comments, texts and code apart."""

import re
from collections import namedtuple

Piece = namedtuple("Piece", "line column text")
Source = namedtuple("Source", "text code comments texts")

_TOKEN = re.compile(
    r"""
      (?P<line>//[^\n]*)
    | (?P<block>/\*)
    | (?P<raw>\b(?:b|c)?r(?P<hashes>\#*)"[\s\S]*?"(?P=hashes))
    | (?P<string>(?:\b[bc])?"(?:\\[\s\S]|[^"\\])*")
    | (?P<char>(?:\bb)?'(?:\\(?:x[0-9a-fA-F]{2}|u\{[^}]*\}|.)|[^\\'\n])')
    | (?P<lifetime>'\w+)
    """,
    re.VERBOSE,
)


def _end_of_block(text, start):
    """Returns the end of a block comment. They nest."""
    depth, at = 1, start + 2
    for mark in re.finditer(r"/\*|\*/", text[at:]):
        depth += 1 if mark.group() == "/*" else -1
        if depth == 0:
            return at + mark.end()
    return len(text)


def blank(text):
    """Replaces everything but line ends by blanks, so that positions stay."""
    return re.sub(r"[^\n]", " ", text)


def read(text):
    """Splits a file. In `code` the comments and the insides of texts are blank."""
    code, comments, texts = [], [], []
    at = 0

    def piece(start, end):
        line = text.count("\n", 0, start) + 1
        column = start - (text.rfind("\n", 0, start) + 1)
        return Piece(line, column, text[start:end])

    while True:
        token = _TOKEN.search(text, at)
        if token is None:
            code.append(text[at:])
            break
        start, end = token.span()
        code.append(text[at:start])
        kind = token.lastgroup if token.lastgroup != "hashes" else "raw"
        if kind == "block":
            end = _end_of_block(text, start)
        if kind in ("line", "block"):
            comments.append(piece(start, end))
            code.append(blank(text[start:end]))
        elif kind in ("raw", "string"):
            texts.append(piece(start, end))
            code.append('"' + blank(text[start + 1 : end - 1]) + '"')
        elif kind == "char":
            code.append(blank(text[start:end]))
        else:
            code.append(text[start:end])
        at = end
    return Source(text, "".join(code), comments, texts)


def _end_of_item(code, start):
    """Returns where the item that begins at `start` ends: behind its `;` or its closing brace."""
    depth = 0
    for mark in re.finditer(r"[{}();\[\]]", code[start:]):
        sign = mark.group()
        if sign in "{([":
            depth += 1
        elif sign in "})]":
            depth -= 1
            if depth == 0 and sign == "}":
                # `use a::{b};` goes on to its semicolon.
                rest = re.match(r"\s*;", code[start + mark.end() :])
                return start + mark.end() + (rest.end() if rest else 0)
        elif depth == 0:
            return start + mark.end()
    return len(code)


_TEST_ONLY = re.compile(r"#\[cfg\((?:test|all\(test\b[^\]]*)\)\]")


def test_spans(code):
    """Returns the spans of all items that only tests have."""
    spans, at = [], 0
    while True:
        found = _TEST_ONLY.search(code, at)
        if found is None:
            return spans
        item = found.end()
        while True:
            attribute = re.compile(r"\s*#\[").match(code, item)
            if attribute is None:
                break
            depth, item = 1, attribute.end()
            while depth and item < len(code):
                depth += {"[": 1, "]": -1}.get(code[item], 0)
                item += 1
        at = _end_of_item(code, item)
        spans.append((found.start(), at))


def without(code, spans):
    """Replaces these spans by blanks."""
    for start, end in spans:
        code = code[:start] + blank(code[start:end]) + code[end:]
    return code


def line_at(text, offset):
    """Returns the number of the line at an offset."""
    return text.count("\n", 0, offset) + 1
