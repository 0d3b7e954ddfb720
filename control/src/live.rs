//! Changes of calls on their way to the pages that watch.

use std::sync::Arc;

use tokio::sync::broadcast;

use crate::summary::CallSummary;

/// How many changes a slow watcher may lag behind before it is told to reload.
const BACKLOG: usize = 1_024;

/// Where changes are announced.
pub struct Live {
    sender: broadcast::Sender<Arc<str>>,
}

impl Default for Live {
    fn default() -> Live {
        Live { sender: broadcast::Sender::new(BACKLOG) }
    }
}

impl Live {
    /// Tells every watcher how these calls are now.
    pub fn announce(&self, calls: &[CallSummary]) {
        if self.sender.receiver_count() == 0 {
            return;
        }
        for call in calls {
            if let Ok(json) = serde_json::to_string(call) {
                // No watcher is no fault.
                let _ = self.sender.send(json.into());
            }
        }
    }

    /// Changes from now on, each a summary in JSON.
    pub fn watch(&self) -> broadcast::Receiver<Arc<str>> {
        self.sender.subscribe()
    }
}
