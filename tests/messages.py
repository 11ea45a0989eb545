"""Patterns for the messages of errors, and names of wrong values."""

import re


def words(*parts):
    """Make a pattern for messages that name all parts, as words, in any order."""
    escaped = [re.escape(str(part)) for part in parts]
    return "(?s)" + "".join(rf"(?=.*(?<!\w){part}(?!\w))" for part in escaped)


def value_name(value):
    """Return a value's text without its address: the same name in every run."""
    return re.sub(r" at 0x[0-9a-fA-F]+", "", str(value))
