//! What a directory promises of its outputs, whatever was sent: each call is opened once, spoken of only while it
//! is open, and closed once, with a row that can be written.

use std::collections::BTreeMap;

use nightjar_schema::Call;
use nightjar_signal::{Directory, Output};
use nightjar_wire::CallKey;
use uuid::Uuid;

/// Calls that were opened and not closed.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    open: BTreeMap<CallKey, OpenCall>,
}

#[derive(Debug)]
struct OpenCall {
    id: Uuid,
    ended: bool,
    /// It came from a snapshot, and may not have been announced before that was taken.
    restored: bool,
}

impl Watch {
    /// A call that a snapshot has brought.
    pub(crate) fn restored(&mut self, call: CallKey, row: &Call) {
        self.open.insert(call, OpenCall { id: row.id, ended: row.end.is_some(), restored: true });
    }

    /// Takes what the directory has to say; returns it.
    pub(crate) fn drain(&mut self, directory: &mut Directory) -> Vec<Output> {
        let mut outputs = Vec::new();
        while let Some(output) = directory.poll_output() {
            self.check(&output);
            outputs.push(output);
        }
        outputs
    }

    /// Calls that are open.
    pub(crate) fn open_calls(&self) -> impl Iterator<Item = CallKey> + '_ {
        self.open.keys().copied()
    }

    /// After the capture's end.
    pub(crate) fn check_end(&self, directory: &Directory) {
        assert!(self.open.is_empty(), "calls that were never closed: {:?}", self.open.keys());
        assert_eq!(directory.open_calls().count(), 0);
        assert_eq!(directory.next_time(), None);
    }

    fn check(&mut self, output: &Output) {
        match output {
            Output::Opened { call, id, .. } => {
                let opened = OpenCall { id: *id, ended: false, restored: false };
                let before = self.open.insert(*call, opened);
                assert!(
                    before.is_none_or(|before| before.restored && before.id == *id),
                    "a call is opened twice"
                );
            }
            Output::Bind(binding) => {
                self.known(binding.call, "bound");
                assert_eq!(binding.endpoint.realm, binding.rtcp.realm);
            }
            Output::Unbind { call, .. } => self.known(*call, "unbound"),
            Output::Adopted { call, .. } => self.known(*call, "adopted"),
            Output::Resumed { call, .. } => self.known(*call, "resumed"),
            Output::Merged { call, into, .. } => {
                self.known(*into, "merged into");
                let open = self.open.remove(call).expect("a call that is merged was opened");
                assert!(!open.ended, "a call is merged that has ended");
            }
            Output::Answered { call, .. } => self.known(*call, "answered"),
            Output::Changed { call, .. } => self.known(*call, "changed"),
            Output::Ended { call, .. } => {
                self.known(*call, "ended");
                let open = self.open.get_mut(call).expect("known");
                assert!(!open.ended, "a call ends twice");
                open.ended = true;
            }
            Output::Closed { call, row } => {
                self.known(*call, "closed");
                let open = self.open.remove(call).expect("known");
                assert!(open.ended, "a call is closed that has not ended");
                assert_eq!(row.id, open.id);
                check_row(row);
            }
        }
    }

    fn known(&self, call: CallKey, what: &str) {
        assert!(self.open.contains_key(&call), "a call that is not open is {what}");
    }
}

/// A row's indices point to what is there, its times are in order, and it reads back from JSON as it was.
pub(crate) fn check_row(row: &Call) {
    let legs = row.legs.len();
    for dialog in &row.dialogs {
        assert!(
            dialog.legs.iter().all(|leg| usize::from(*leg) < legs),
            "a dialog of a leg that is not there"
        );
    }
    for stream in &row.streams {
        assert!(stream.leg.is_none_or(|leg| usize::from(leg) < legs), "a stream of a leg that is not there");
        assert!(stream.dialog.is_none_or(|dialog| usize::from(dialog) < row.dialogs.len()));
    }
    for event in &row.events {
        assert!(event.leg.is_none_or(|leg| usize::from(leg) < legs), "an event of a leg that is not there");
    }
    let json = serde_json::to_string(row).expect("a row is written");
    assert!(!json.contains('\n'), "a row is one line");
    let read: Call = serde_json::from_str(&json).expect("a row is read");
    assert_eq!(serde_json::to_string(&read).expect("a row is written"), json);
}
