//! Event records of the journal, as a recovery or a media worker reads them: `len u16`, `bytes` each.

use nightjar_pipeline::{EventReader, Told};

use crate::script::Script;

pub(super) fn run(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let mut reader = EventReader::default();
    while !script.is_done() {
        let len = usize::from(script.u16());
        match reader.handle_record(script.take(len)) {
            Told::Event(event) => {
                // What was read can be written, and reads as the same again.
                let written = postcard::to_stdvec(&event).expect("an event serialises");
                let again = EventReader::default().handle_record(&[&[0], written.as_slice()].concat());
                let Told::Event(again) = again else { panic!("an event that was written is not read") };
                assert_eq!(postcard::to_stdvec(&again).expect("an event serialises"), written);
                assert_eq!(again.call(), event.call());
            }
            Told::Watermark(watermark) => {
                let _ = watermark.share.covers(nightjar_wire::CallKey(7));
            }
            Told::RingLost(lost) => {
                let _ = lost.share.covers(nightjar_wire::CallKey(7));
            }
            Told::Part | Told::Unreadable => {}
        }
    }
}
