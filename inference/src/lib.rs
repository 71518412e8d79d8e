//! Model artifacts and their execution.
