//! A call's snapshot, as a restart reads it from the journal, and what then happens to the call: the first byte
//! says what.

use nightjar_schema::EndCause;
use nightjar_signal::Directory;
use nightjar_wire::Nanos;

use crate::watch::{Watch, check_row};
use crate::world;

pub(super) fn run(bytes: &[u8]) {
    let [follows, state @ ..] = bytes else { return };
    let config = super::sip::config();
    let mut directory = Directory::new(config);
    let Ok(call) = directory.restore(state) else { return };
    assert!(directory.restore(state).is_err(), "a call is restored twice");
    let row = directory.row(call).expect("a restored call has a row");
    let mut watch = Watch::default();
    watch.restored(call, &row);
    watch.drain(&mut directory);
    check_row(&row);
    let again = directory.snapshot(call).expect("a restored call has a snapshot");
    let mut other = Directory::new(super::sip::config());
    assert_eq!(other.restore(&again), Ok(call), "a restored call is not restored again");

    let (a, b) = world::signalling_pair(0);
    let mut at = world::START + Nanos::from_secs(30);
    for step in 0..8u8 {
        at = at + Nanos::from_secs(1);
        if follows >> step & 1 == 0 {
            continue;
        }
        let (kind, dialog, session) = match step {
            0 => (0, 0x25, 0x45),
            1 => (0x83, 0x25, 0x49),
            2 => (2, 0x34, 0),
            3 => (0xa3, 0x34, 0),
            4 => (3, 0x10, 0),
            5 => (0x8c, 0x14, 0),
            6 => {
                directory.handle_media(at, call);
                directory.handle_unsignalled(at, world::media_flow(0x14), 1);
                watch.drain(&mut directory);
                continue;
            }
            _ => {
                directory.handle_time(at + Nanos::from_secs(200));
                watch.drain(&mut directory);
                continue;
            }
        };
        let _ = directory.handle_sip(at, a, b, &world::message(kind, dialog, session));
        watch.drain(&mut directory);
    }
    directory.handle_capture_end(at, EndCause::CaptureEnd);
    watch.drain(&mut directory);
    watch.check_end(&directory);
}
