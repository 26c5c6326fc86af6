"""The settings of a run and of the jobs."""

from xfmr.settings.files import SETTINGS_FILE, feature_settings, read_settings, save_settings
from xfmr.settings.run import DiagnoseSettings, EvaluateSettings, FeaturizeSettings, Settings

__all__ = [
    "SETTINGS_FILE",
    "DiagnoseSettings",
    "EvaluateSettings",
    "FeaturizeSettings",
    "Settings",
    "feature_settings",
    "read_settings",
    "save_settings",
]
