//! The one load generator: seeded SIP calls with audio, into files and interfaces.
