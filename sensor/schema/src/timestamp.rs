//! Absolute times as `calls.jsonl` writes them: RFC 3339, microseconds, UTC.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Microseconds since the UNIX epoch, UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

/// The last moment that RFC 3339's four-digit year can name; later ones are written as this.
const LAST_MICROS: i64 = 253_402_128_000_000_000;

impl Timestamp {
    /// From nanoseconds since the epoch, rounded down to the microsecond.
    pub fn from_nanos(nanos: u64) -> Timestamp {
        Timestamp(i64::try_from(nanos / 1_000).unwrap_or(LAST_MICROS))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.clamp(-62_135_596_800_000_000, LAST_MICROS);
        let at = jiff::Timestamp::from_microsecond(micros).map_err(|_| fmt::Error)?;
        write!(f, "{at:.6}")
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        let text = String::deserialize(deserializer)?;
        let at: jiff::Timestamp = text.parse().map_err(D::Error::custom)?;
        Ok(Timestamp(at.as_microsecond()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_with_six_decimals_and_read_back() {
        let at = Timestamp::from_nanos(1_700_000_000_123_456_789);
        let json = serde_json::to_string(&at).unwrap();
        assert_eq!(json, "\"2023-11-14T22:13:20.123456Z\"");
        assert_eq!(serde_json::from_str::<Timestamp>(&json).unwrap(), at);
    }

    #[test]
    fn a_stamp_beyond_the_calendar_is_still_written() {
        assert!(serde_json::to_string(&Timestamp::from_nanos(u64::MAX)).is_ok());
        assert!(Timestamp(i64::MAX).to_string().starts_with("9999-"));
    }
}
