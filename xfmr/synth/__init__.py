"""A synthetic transformer fleet with known faults, for the demo and the tests.

It resembles real archives in format, levels and daily rhythm, and follows the mechanics that the field describes. It
is not a model of any real machine.
"""

from xfmr.synth.episodes import Episode, Fault, plan_episodes
from xfmr.synth.faults import FAULT_TYPES, SENSOR_FAULTS, UNIT_FAULTS
from xfmr.synth.moment import OperatingPoint, daily_load, operating_point
from xfmr.synth.spec import FleetSpec
from xfmr.synth.vibration import sample_signals
from xfmr.synth.writer import FleetSummary, format_signal, write_fleet

__all__ = [
    "FAULT_TYPES",
    "SENSOR_FAULTS",
    "UNIT_FAULTS",
    "Episode",
    "Fault",
    "FleetSpec",
    "FleetSummary",
    "OperatingPoint",
    "daily_load",
    "format_signal",
    "operating_point",
    "plan_episodes",
    "sample_signals",
    "write_fleet",
]
