//! Order, clock fit, gaps, mix, containers.
