"""Hypothesis shrinks no longer than a minute: a failing example matters more than the smallest one."""

from hypothesis import Phase, settings

settings.register_profile("maitred", deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.target])
settings.register_profile("shrink", deadline=None)
settings.load_profile("maitred")
