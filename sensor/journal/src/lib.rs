//! Blocks, segments, commit, recovery, spool.
