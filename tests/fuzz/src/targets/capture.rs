//! Capture files: pcap and pcapng, plain and compressed.

use nightjar_capture::{CaptureFile, PacketSource, Received, SourceError, read_capture_bytes};

/// As libpcap's MAXIMUM_SNAPLEN: a longer frame is not believed.
const MAX_FRAME: usize = 256 << 10;

pub(super) fn run(image: &[u8]) {
    let (mut frames, mut bytes, mut truncated, mut interfaces) = (0, 0, 0, 0);
    let result = read_capture_bytes(image, |frame| {
        assert!(frame.bytes.len() <= MAX_FRAME);
        frames += 1;
        bytes += frame.bytes.len() as u64;
        truncated += u64::from(frame.bytes.len() < frame.original_len as usize);
        interfaces = interfaces.max(usize::from(frame.interface) + 1);
    });
    match result {
        Ok(statistics) => {
            assert_eq!(
                (statistics.received, statistics.bytes, statistics.truncated),
                (frames, bytes, truncated)
            );
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    end_is_lasting(image, frames, interfaces);
}

/// What a source says after its error or its end stays so, and its names cover its frames.
fn end_is_lasting(image: &[u8], frames: u64, interfaces: usize) {
    let Ok(mut file) = CaptureFile::from_bytes(image.to_vec()) else { return };
    let mut faults: Vec<SourceError> = Vec::new();
    let mut seen = 0;
    loop {
        match file.receive(&mut |_| seen += 1) {
            Ok(Received::End) => break,
            Ok(_) => {}
            Err(error) => faults.push(error),
        }
    }
    assert!(faults.len() <= 1, "a file has one fault");
    assert_eq!(seen, frames);
    assert!(file.interfaces().len() >= interfaces);
    assert!(matches!(file.receive(&mut |_| panic!("a frame behind the end")), Ok(Received::End)));
}
