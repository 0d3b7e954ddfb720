//! The generator against implementations that are not its own (tshark, sox), and against itself.

mod account;
mod captures;
mod command_line;
mod dialogs;
mod fingerprints;
mod sound;
mod streams;
mod tshark;
mod tunnels;
