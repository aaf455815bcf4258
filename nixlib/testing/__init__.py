"""Public fakes, each held to the same contract tests as the real thing it stands for."""
