"""What a report is written as."""

from enum import StrEnum


class Format(StrEnum):
    """Forms of a report."""

    MD = "md"
    HTML = "html"
    TEX = "tex"
    CSV = "csv"
    JSON = "json"
