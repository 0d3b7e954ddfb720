//! The generator against implementations that are not its own (tshark, sox), and against itself.

mod account;
mod captures;
mod fingerprints;
mod sound;
mod tshark;
