//! Session descriptions, whatever the message around them.

use nightjar_signal::{MAX_FORMATS, MAX_MEDIA_LINES, RtcpPlace, SessionDescription};

pub(super) fn run(bytes: &[u8]) {
    let session = SessionDescription::parse(bytes);
    assert!(session.media.len() <= MAX_MEDIA_LINES);
    for (place, line) in session.media.iter().enumerate() {
        assert_eq!(usize::from(line.index), place);
        assert!(line.formats.len() <= MAX_FORMATS);
        assert!(line.label.as_ref().is_none_or(|label| !label.is_empty()));
        assert!(!matches!(line.rtcp, RtcpPlace::At(Some(addr), _) if addr.to_string().is_empty()));
        for format in &line.formats {
            assert!(format.payload_type < 128 && !format.codec.is_empty());
            assert!(format.clock_rate > 0 && format.channels > 0 && format.ptime_ms != Some(0));
        }
    }
    let state = postcard::to_stdvec(&session).expect("a description serialises");
    assert_eq!(postcard::from_bytes(&state), Ok(session), "a snapshot keeps a description");
}
