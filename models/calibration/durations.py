"""How finely an account counts durations."""

from models.calibration.columns import Floats


def rounding(seconds: Floats) -> int:
    """The seconds that durations are rounded to: 60, 6 or 1."""
    counted = seconds[seconds > 0]
    for step in (60, 6):
        if counted.size >= 10 and (counted % step == 0).mean() > 0.95:
            return step
    return 1
