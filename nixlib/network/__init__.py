"""Downloads: one client, files by URL and sha256, servers that did not answer."""
