"""Declared alerts: judged on figures, fired once, resolved, told to a webhook, acted upon."""
