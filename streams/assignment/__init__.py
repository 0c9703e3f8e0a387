"""Who gets a personal advisor: the assigner's core (`assigner.py`) and its parts."""

from streams.assignment.assigner import assign, companions, is_control, needs
from streams.assignment.policy import AssignmentPolicy

__all__ = ["AssignmentPolicy", "assign", "companions", "is_control", "needs"]
