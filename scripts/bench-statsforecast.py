"""Times statsforecast's MSTL and AutoETS on the series that `make bench-forecast` times ours on.

In: nothing; the series is made here: 4,000 points at 5 min with a daily season.
Out: a Markdown table on standard output; best of three fits, one thread.
Not here: accuracy (the M4 table of the benchmark has it).
"""

import os

for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[threads] = "1"

import math
import random
import time
from importlib.metadata import version

import numpy as np
from statsforecast.models import MSTL, AutoETS

POINTS = 4_000
DAY = 288
FITS = 3


def series() -> np.ndarray:
    """A daily season with noise, the shape of a service's request rate."""
    chance = random.Random(1)
    return np.array(
        [
            1_000 + 400 * math.sin(2 * math.pi * at / DAY) + chance.gauss(0, 20)
            for at in range(POINTS)
        ]
    )


def best_milliseconds(fit) -> float:
    """The fastest of `FITS` fits; the first call compiles and does not count."""
    fit()
    times = []
    for _ in range(FITS):
        started = time.perf_counter()
        fit()
        times.append(time.perf_counter() - started)
    return min(times) * 1_000


def main() -> None:
    values = series()
    models = {
        f"MSTL(season_length={DAY}), trend by AutoETS": lambda: MSTL(season_length=DAY).fit(values),
        "AutoETS(season_length=24)": lambda: AutoETS(season_length=24).fit(values),
        "AutoETS without a season": lambda: AutoETS(season_length=1).fit(values),
    }
    print(f"| statsforecast {version('statsforecast')}, {POINTS} points, one thread | ms per fit |")
    print("|---|---|")
    for name, fit in models.items():
        print(f"| {name} | {best_milliseconds(fit):.0f} |", flush=True)


if __name__ == "__main__":
    main()
