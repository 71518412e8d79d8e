//! The configuration of a process: file, then environment, then flags; unknown keys are refused.
