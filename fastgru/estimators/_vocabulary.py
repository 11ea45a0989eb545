"""From texts to tokens, and from tokens to numbers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

# What stands for all tokens that a vocabulary lacks; its number is 0.
UNKNOWN = "<unk>"

_WORD = re.compile(r"\S+")


class _Words:
    """The words of a text, found anew each time: a list of them takes much memory."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __iter__(self) -> Iterator[str]:
        return (match.group() for match in _WORD.finditer(self._text))


def tokens_of(
    text: Any, level: str, tokenizer: Callable[[str], Any] | None, name: str = "X"
) -> Iterable[Any]:
    """Return the tokens of a text, or those that a sequence consists of.

    Parameters
    ----------
    text : str, or sequence of tokens
    level : {"char", "word"}
        What the tokens of a str are.
    tokenizer : callable or None
        Takes the place of ``level``.
    name : str
        What messages call the text.

    Raises
    ------
    TypeError
        If it is neither, or the tokeniser returns something else.
    """
    if isinstance(text, str):
        if tokenizer is None:
            return text if level == "char" else _Words(text)
        found = tokenizer(text)
        if isinstance(found, str) or not isinstance(found, Iterable):
            raise TypeError(
                f"tokenizer must return a list of tokens, got {type(found).__name__}"
            )
        return list(found)
    if isinstance(text, np.ndarray) and text.ndim != 1:
        raise ValueError(
            f"{name} must be a text or a 1-D sequence of tokens, got an array of "
            f"shape {text.shape}"
        )
    if isinstance(text, Sequence):
        return text
    if hasattr(text, "tolist") and np.ndim(text) == 1:
        tokens: list[Any] = text.tolist()  # tokens of Python's own types
        return tokens
    raise TypeError(
        f"{name} must be a text or a sequence of tokens, got {type(text).__name__}"
    )


class Vocabulary:
    """Tokens and their numbers.

    Parameters
    ----------
    tokens : sequence of hashable
        Without repetition, the unknown one first.
    """

    def __init__(self, tokens: Sequence[Hashable]) -> None:
        self.tokens = list(tokens)
        self._numbers = {token: n for n, token in enumerate(self.tokens)}

    @classmethod
    def of(cls, tokens: Iterable[Any], min_frequency: int = 1) -> Vocabulary:
        """Take the tokens that occur often enough, the most frequent one first."""
        try:
            counts = Counter(tokens)
        except TypeError as error:
            raise TypeError(f"a token must be hashable: {error}") from error
        del counts[UNKNOWN]  # a text that marks unknown words has no other use of it
        found = [t for t, count in counts.most_common() if count >= min_frequency]
        if not found:
            raise ValueError(
                f"no token occurs at least min_frequency={min_frequency} times: the "
                f"text has {len(counts)} different tokens"
            )
        return cls([UNKNOWN, *found])

    def __len__(self) -> int:
        return len(self.tokens)

    def number(self, token: Any) -> int:
        """Return the number of a token; 0 if it is none of these."""
        try:
            return self._numbers.get(token, 0)
        except TypeError as error:
            raise TypeError(f"a token must be hashable: {error}") from error

    def encode(self, tokens: Iterable[Any]) -> np.ndarray:
        """Return the numbers of tokens, int32."""
        n = len(tokens) if isinstance(tokens, Sequence) else -1
        return np.fromiter(map(self.number, tokens), np.int32, n)
