"""Tune on this machine with TRL and PEFT."""
