"""Patterns for the messages of errors."""

import re


def words(*parts):
    """Make a pattern for messages that name all parts, as words, in any order."""
    escaped = [re.escape(str(part)) for part in parts]
    return "(?s)" + "".join(rf"(?=.*(?<!\w){part}(?!\w))" for part in escaped)
