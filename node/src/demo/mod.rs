//! A whole mesh on one machine, walked through step by step.
