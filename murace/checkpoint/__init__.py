"""Weights and training states on disk: safetensors for tensors, JSON for the rest, nothing that could run code."""

from murace.checkpoint.adam import flatten_adam, restore_adam
from murace.checkpoint.state import Saved, latest_state, recorded_facts, save_state
from murace.checkpoint.weights import load_model, load_weights, model_from, save_model

__all__ = [
    "Saved",
    "flatten_adam",
    "latest_state",
    "load_model",
    "load_weights",
    "model_from",
    "recorded_facts",
    "restore_adam",
    "save_model",
    "save_state",
]
