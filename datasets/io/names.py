"""Names of files and folders in one line, whatever bytes they are made of."""

from __future__ import annotations

import errno
import unicodedata
from collections.abc import Sequence


def printable(name: object) -> str:
    r"""A name as any terminal, file and database can hold it.

    Args:
        name: a text or a path; bytes of a file's name that are no UTF-8 are lone surrogates in it, as Python has them.

    Returns:
        the name; such bytes are ``\xe9``, control characters ``\n``.

    Example:
        >>> printable("caf\udce9")
        'caf\\xe9'
    """
    return "".join(character if character.isprintable() else _escaped(character) for character in str(name))


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else character.encode("unicode_escape").decode()


def composed(text: str) -> str:
    """A name with its letters composed (NFC): some file systems and editors take é apart, and it is one name."""
    return unicodedata.normalize("NFC", text)


def reason(error: OSError | RuntimeError | ValueError) -> str:
    """Why a path cannot be used, with the next step where there is a usual one."""
    code = getattr(error, "errno", None)
    if code == errno.ELOOP:
        return "its symbolic links go round in a loop: remove one"
    if code in (errno.EACCES, errno.EPERM):
        return "you have no right to read it; `chmod -R u+rX` gives it to its owner"
    return printable(getattr(error, "strerror", None) or error)


def counted(number: int, one: str, many: str | None = None) -> str:
    """``1 picture``, ``2 pictures``; ``many`` where the plural is another than with an s."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def some(names: Sequence[str], most: int = 5) -> str:
    """The first few names, and how many more there are."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
