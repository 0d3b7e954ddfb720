//! nightjar-control: the HTTP API, the database and the pages.

fn main() {}
