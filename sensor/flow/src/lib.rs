//! Bounded flow table, bindings and stream figures.
