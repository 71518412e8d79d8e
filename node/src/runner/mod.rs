//! Starts, watches and stops node processes; they end when their parent does.
