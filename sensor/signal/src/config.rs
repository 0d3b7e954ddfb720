//! What the directory is told before it starts.

use nightjar_schema::Direction;
use nightjar_wire::Nanos;
use serde::{Deserialize, Serialize};

/// Names, time-outs and limits. Spans are of the capture clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SignalConfig {
    /// The sensor's name; part of every call's id.
    pub sensor: String,
    /// The source's role (`mirror`); part of every call's id.
    pub source: String,
    /// The interfaces that the traffic comes from, for the call's row.
    pub interfaces: Vec<String>,
    /// What the call's row says of its direction.
    pub direction: Direction,
    /// An answered call whose media stops for this long is over. Hold suspends it.
    pub media_timeout: Nanos,
    /// An answered call of which no media was ever seen is over after this long without a
    /// re-INVITE or UPDATE: its media may simply not pass here.
    pub silent_timeout: Nanos,
    /// From a call's end until it is closed, so that late packets and repetitions stay with it.
    pub linger: Nanos,
    /// Without a final answer for this long after the last INVITE or provisional answer, and
    /// without media, a call has failed.
    pub setup_timeout: Nanos,
    /// How long a caller may take to repeat a challenged or redirected INVITE: somebody may have
    /// to type a password first.
    pub retry_timeout: Nanos,
    /// What is granted beyond a session timer's interval (RFC 4028).
    pub session_grace: Nanos,
    /// Most calls at a time; one more evicts the oldest.
    pub max_calls: usize,
    /// Headers of the INVITE that the call's row keeps, by name.
    pub headers: Vec<String>,
}

impl Default for SignalConfig {
    fn default() -> SignalConfig {
        SignalConfig {
            sensor: String::new(),
            source: "mirror".to_owned(),
            interfaces: Vec::new(),
            direction: Direction::Unknown,
            media_timeout: Nanos::from_secs(60),
            silent_timeout: Nanos::from_secs(4 * 3600),
            linger: Nanos::from_secs(2),
            setup_timeout: Nanos::from_secs(240),
            retry_timeout: Nanos::from_secs(120),
            session_grace: Nanos::from_secs(32),
            max_calls: 200_000,
            headers: Vec::new(),
        }
    }
}
