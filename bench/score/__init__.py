"""The goals that the project has set itself, measured and judged; in the repository alone."""
