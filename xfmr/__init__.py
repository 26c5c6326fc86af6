"""Fault diagnosis of AC power transformers from surface vibration."""
