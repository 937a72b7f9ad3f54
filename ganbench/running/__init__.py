"""Sessions, worker processes, and the events that users, plugins and loggers get."""
