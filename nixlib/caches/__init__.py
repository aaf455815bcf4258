"""Binary caches that we read ourselves: what the daemon does not trust, bytes can still prove."""
