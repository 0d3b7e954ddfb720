//! The real binary, started on a port of its own and asked over HTTP.

mod audio;
mod calls;
mod full_disk;
mod harness;
mod ingest;
mod live;
mod pages;
mod peaks;
mod rows;
mod session;
mod startup;
mod tls;
mod uploads;
