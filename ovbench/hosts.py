"""What a host has shown of itself in A/A runs: its noise band and its false alarms, kept by fingerprint."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from ovbench.errors import BadInput, NotWritable

PROFILES_VARIABLE = "OVBENCH_PROFILE_DIR"
FORMAT = 1

# Where no profile is: the widest of 24 pairs of unchanged INT8 MobileNetV2 was 2.7 %, the mean of five had an SD of
# 0.45 %, so an interval over five pairs stays within 2 % (docs/method.md).
DEFAULT_BAND = 0.02
MIN_PAIRS_FOR_PROFILE = 10


@dataclass(frozen=True)
class Profile:
    """A host's own noise. ``pair_sd`` is the SD of the log ratio of an unchanged pair, by metric."""

    fingerprint: str
    pairs: int
    pair_sd: Mapping[str, float]
    false_alarms: int
    comparisons: int
    band: float
    pair_wall_s: float
    rejected_share: float
    steal_share: float | None
    openvino: str

    def smallest_slowdown(self, budget_s: float, tolerance: float) -> float | None:
        """The least slow-down that a comparison of ``budget_s`` finds in 95 of 100 cases; None for too few pairs.

        The 99 % interval's lower end must lie beyond the tolerance: tolerance + (t(.995) + t(.95)) x SD / sqrt(pairs).
        """
        from scipy.special import stdtrit

        pairs = int(budget_s / self.pair_wall_s) if self.pair_wall_s else 0
        if pairs < 5 or not self.pair_sd:
            return None
        error = max(self.pair_sd.values()) / math.sqrt(pairs)
        reach = float(stdtrit(pairs - 1, 0.995) + stdtrit(pairs - 1, 0.95)) * error
        return (1 + tolerance) * math.exp(reach) - 1


def noise_band(log_ratios: Sequence[float]) -> float:
    """Band that the 99 % interval of an unchanged five-pair comparison stays within: 2 x t(.995, 4) x SD / sqrt(5).

    Twice the half-width, since the interval's centre strays from 1 by as much as its half-width allows.
    """
    from scipy.special import stdtrit

    if len(log_ratios) < 2:
        return DEFAULT_BAND
    half_width = float(stdtrit(4, 0.975)) * statistics.stdev(log_ratios) / math.sqrt(5)
    return math.exp(2 * half_width) - 1


def profile_folder() -> Path:
    """Where profiles lie: the user's data folder, or OVBENCH_PROFILE_DIR."""
    named = os.environ.get(PROFILES_VARIABLE)
    return Path(named) if named else Path(platformdirs.user_data_dir("ovbench", appauthor=False)) / "hosts"


def read_profile(fingerprint: str, folder: Path | None = None) -> Profile | None:
    """The profile of a host, None without one. Raises BadInput for one that cannot be read."""
    path = (folder or profile_folder()) / f"{fingerprint}.json"
    if not path.exists():
        return None
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        if stored.pop("format") != FORMAT:
            raise ValueError("another format")
        return Profile(**stored)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise BadInput(f"host profile {path} cannot be read ({error}): run `ovbench selfcheck` again") from None


def write_profile(profile: Profile, folder: Path | None = None) -> Path:
    """Store a host's profile in place of its last one. Raises NotWritable."""
    path = (folder or profile_folder()) / f"{profile.fingerprint}.json"
    draft = path.with_suffix(".tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(json.dumps({"format": FORMAT, **dataclasses.asdict(profile)}, indent=2), encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        raise NotWritable(f"cannot write the host profile {path}: {error.strerror}: set {PROFILES_VARIABLE}") from None
    return path


def band_of(profile: Profile | None) -> float:
    """The host's own band; DEFAULT_BAND where there is no profile."""
    return DEFAULT_BAND if profile is None else profile.band
