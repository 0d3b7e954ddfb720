//! The capture loop, the media worker's loop, pre-roll and counters.
