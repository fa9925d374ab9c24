"""Stream processing with event-time windows, watermarks, late data and exactly-once."""
