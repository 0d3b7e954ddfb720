//! The word to stop, as everything that would go on for ever hears it.

use tokio::sync::watch;

/// Says the word.
pub struct Stop(watch::Sender<bool>);

/// Hears it.
#[derive(Clone)]
pub struct Stopping(watch::Receiver<bool>);

/// Who says and who hears.
pub fn stopping() -> (Stop, Stopping) {
    let (sender, receiver) = watch::channel(false);
    (Stop(sender), Stopping(receiver))
}

impl Stop {
    /// Says it, once and for all.
    pub fn say(&self) {
        self.0.send_replace(true);
    }
}

impl Stopping {
    /// Whether it was said.
    pub fn said(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until it is said, or nobody is left who could.
    pub async fn heard(&mut self) {
        let _ = self.0.wait_for(|stop| *stop).await;
    }
}
