"""Where in an environment things are that others than composing look for (pure)."""

GROUPS = "share/nixenv/private"
"""Its groups of private dependencies: a link for each that has packages or a process of its own."""

GROUPS_FILE = "groups.json"
"""What describes them, in that folder."""
