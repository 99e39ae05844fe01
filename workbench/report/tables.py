"""A frame as one semantic HTML table, for notebooks and report pages alike.

Follows: WAI's tables tutorial (caption, scope on every header cell).
Leaves out: sorting and filtering, which the index page does (templates/index.js).
"""

from __future__ import annotations

from html import escape

import polars as pl

from workbench.errors import ReportError
from workbench.report.numbers import MISSING, number

MAX_ROWS = 1000
# Longer text may wrap; shorter text stays on one line, so that a wide table scrolls instead.
_LONG_TEXT = 44
# A row's name may wrap sooner: it is what makes a table of many numbers too wide.
_LONG_NAME = 28
_PERCENTAGE = r"^-?[0-9][0-9.,]* ?%$"
_WRITTEN = r"^[+-]?[0-9][0-9.,]* ?%?$"
# The style repeats the class: a notebook front end knows our classes as little as our sheet.
_RIGHT = ' class="num" style="text-align: right"'
_LEFT = ' style="text-align: left"'
_NAME = ' class="name" style="text-align: left"'
_LONG = ' class="long" style="text-align: left"'


def table_html(frame: pl.DataFrame, caption: str) -> str:
    """Return one ``<table>``: caption, scoped header cells, numbers to the right, text escaped.

    Parameters
    ----------
    frame : polars.DataFrame   at most 1,000 rows; column names are the headings, with units
    caption : str              what the table shows

    Raises
    ------
    ReportError   if the caption is empty or there are more than 1,000 rows

    Cost    O(cells).
    """
    if not caption.strip():
        raise ReportError("a table needs a caption; say what its rows are")
    if frame.height > MAX_ROWS:
        raise ReportError(
            f"table {caption!r} has {frame.height:,} rows, the limit is {MAX_ROWS:,}; "
            "aggregate in polars first"
        )
    is_number = [_is_numeric(column, place) for place, column in enumerate(frame.iter_columns())]
    head = "".join(
        f'<th scope="col"{_RIGHT if right else _LEFT}>{escape(name)}</th>'
        for name, right in zip(frame.columns, is_number, strict=True)
    )
    body = "\n".join(_row_html(row, is_number) for row in frame.iter_rows())
    return (
        f'<table class="wb-table">\n<caption><span>{escape(caption)}</span></caption>\n'
        f"<thead>\n<tr>{head}</tr>\n</thead>\n<tbody>\n{body}\n</tbody>\n</table>"
    )


def _is_numeric(column: pl.Series, place: int) -> bool:
    """Return whether a column is read by its digits: numbers, and those that are written out.

    In front only percentages are; a written number there is the name of its row.
    """
    if column.dtype != pl.String:
        return column.dtype.is_numeric()
    written = column.drop_nulls()
    return not written.is_empty() and bool(
        written.str.contains(_WRITTEN if place else _PERCENTAGE).all()
    )


def cell_text(value: object) -> str:
    """Return a value as text: numbers to three digits or so, yes or no, a dash for none."""
    if value is None:
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return number(value)
    return str(value)


def _row_html(row: tuple[object, ...], is_number: list[bool]) -> str:
    cells = [
        # A text column in front names the row; a screen reader then says it with every cell.
        _cell_html(value, right, "th" if place == 0 and not right else "td")
        for place, (value, right) in enumerate(zip(row, is_number, strict=True))
    ]
    return f"<tr>{''.join(cells)}</tr>"


def _cell_html(value: object, is_number: bool, tag: str) -> str:
    text = cell_text(value)
    look = _RIGHT if is_number else _LONG if len(text) > _LONG_TEXT else _LEFT
    if look == _LEFT and tag == "th" and len(text) > _LONG_NAME:
        look = _NAME
    scope = ' scope="row"' if tag == "th" else ""
    return f"<{tag}{scope}{look}>{escape(text)}</{tag}>"
