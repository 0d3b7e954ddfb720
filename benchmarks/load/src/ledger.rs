//! The generator's own count of what it sent, frame by frame, by class. The sensor's ledger is
//! asserted against it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::frame::{Frame, FrameClass};

/// Frames sent, each counted once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// All frames.
    pub frames: u64,
    /// Their captured bytes.
    pub bytes: u64,
    /// Frames by class; a class without frames is absent.
    #[serde(with = "by_class")]
    classes: [u64; FrameClass::ALL.len()],
}

impl Ledger {
    /// Counts a frame.
    pub fn count(&mut self, frame: &Frame) {
        self.frames += 1;
        self.bytes += frame.bytes.len() as u64;
        self.classes[frame.class as usize] += 1;
    }

    /// The frames of a class.
    pub fn of(&self, class: FrameClass) -> u64 {
        self.classes[class as usize]
    }

    /// RTP and RTCP of calls, copies apart.
    pub fn media(&self) -> u64 {
        self.of(FrameClass::Rtp) + self.of(FrameClass::Rtcp)
    }

    /// A mirror's second copies of RTP and RTCP.
    pub fn copies(&self) -> u64 {
        self.of(FrameClass::RtpCopy) + self.of(FrameClass::RtcpCopy)
    }
}

/// The counters as a map from the class's name, which reads better than positions.
mod by_class {
    use super::{BTreeMap, FrameClass};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    type Counters = [u64; FrameClass::ALL.len()];

    pub fn serialize<S: Serializer>(counters: &Counters, serializer: S) -> Result<S::Ok, S::Error> {
        let counted = FrameClass::ALL.iter().map(|&class| (class, counters[class as usize]));
        counted.filter(|(_, count)| *count > 0).collect::<BTreeMap<_, _>>().serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Counters, D::Error> {
        let mut counters = [0; FrameClass::ALL.len()];
        for (class, count) in BTreeMap::<FrameClass, u64>::deserialize(deserializer)? {
            counters[class as usize] = count;
        }
        Ok(counters)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ledger_survives_json() {
        let mut ledger = Ledger::default();
        let mut frame = Frame::empty();
        for class in [FrameClass::Rtp, FrameClass::Rtp, FrameClass::NotIp] {
            frame.class = class;
            ledger.count(&frame);
        }
        let json = serde_json::to_string(&ledger).unwrap();
        assert!(json.contains("\"classes\":{\"rtp\":2,\"not_ip\":1}"), "{json}");
        assert_eq!(serde_json::from_str::<Ledger>(&json).unwrap(), ledger);
    }
}
