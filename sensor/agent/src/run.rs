//! stub
use crate::args::Run;
use crate::replay::ReplayError;
/// x
pub fn run(_a: &Run) -> Result<(), ReplayError> {
    Ok(())
}
