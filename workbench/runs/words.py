"""Time spans in words.

Follows: what a person reads at a glance; never more than two units.
Leaves out: exact times, which run.json holds.
"""

from __future__ import annotations

from datetime import UTC, datetime


def duration(seconds: float) -> str:
    """Return a time span: ``0.4 s``, ``8 s``, ``3 min 5 s``, ``2 h 4 min``."""
    if seconds < 1:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes_of_hour = divmod(minutes, 60)
    if hours:
        parts = [f"{hours} h", f"{minutes_of_hour} min" if minutes_of_hour else ""]
    else:
        parts = [f"{minutes} min" if minutes else "", f"{rest} s" if rest or not minutes else ""]
    return " ".join(part for part in parts if part)


def age(started: str, now: datetime | None = None) -> str:
    """Return how long ago a UTC time was: ``just now``, ``5 min``, ``3 h``, ``12 days``."""
    seconds = ((now or datetime.now(UTC)) - datetime.fromisoformat(started)).total_seconds()
    for size, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= size:
            number = int(seconds // size)
            return f"{number} {unit.removesuffix('s') if number == 1 else unit}"
    return "just now"
