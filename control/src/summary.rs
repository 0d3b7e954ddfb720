//! What a list shows of a call, and what a search finds it by, taken out of its row once at ingest.

use nightjar_schema::{Call, CallState, Party, RecordingKind, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::phone;

/// A party of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PartySummary {
    /// The address of record.
    #[schema(required = true, example = "sip:4930123@example.net")]
    pub uri: Option<String>,
    /// The user part or telephone number.
    #[schema(required = true, example = "4930123")]
    pub number: Option<String>,
    /// The display name.
    #[schema(required = true)]
    pub name: Option<String>,
}

/// One call in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CallSummary {
    /// The call's id.
    pub id: Uuid,
    /// How it was signalled: `sip`, `none`, …
    #[schema(example = "sip")]
    pub protocol: String,
    /// `inbound`, `outbound`, `internal`, `unknown`.
    #[schema(example = "inbound")]
    pub direction: String,
    /// `active`, `completed`, `incomplete`, `cancelled`, `rejected`, `failed`.
    #[schema(example = "completed")]
    pub state: String,
    /// The final SIP code.
    #[schema(required = true)]
    pub status: Option<u16>,
    /// First packet.
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Timestamp,
    /// First 2xx.
    #[schema(required = true, value_type = Option<String>, format = DateTime)]
    pub answered_at: Option<Timestamp>,
    /// The end.
    #[schema(required = true, value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
    /// From answer to end; `null` while the call is on or where it was never answered.
    #[schema(required = true)]
    pub duration_ms: Option<i64>,
    /// The caller.
    pub from: PartySummary,
    /// The answering party, else the called one.
    pub to: PartySummary,
    /// `one_sided`, `no_signalling`, `undecodable`, …
    pub marks: Vec<String>,
    /// Whether there is audio to play.
    pub has_audio: bool,
    /// The recording to play.
    #[schema(required = true)]
    pub recording_id: Option<Uuid>,
    /// How many gaps its recordings have.
    pub gaps: u64,
    /// The sensor that saw it.
    pub sensor: String,
}

/// A call as the store keeps it: the list's entry, and what it is found by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outline {
    /// The list's entry; `has_audio` and `recording_id` are filled in when it is read.
    pub summary: CallSummary,
    /// The audio recordings that the row names, in the order of segments.
    pub audio: Vec<Uuid>,
    /// Every number of it, as given, each once.
    pub numbers: Vec<String>,
    /// Names and URIs of its parties, lower case, one a line.
    pub parties: String,
    /// Its Call-IDs, lower case, one a line.
    pub identifiers: String,
}

/// Names of open enumerations, which a row may carry beyond those that this version knows.
#[derive(Deserialize)]
struct OpenNames {
    protocol: String,
    direction: String,
    state: String,
}

impl Outline {
    /// Reads a call's row.
    ///
    /// # Errors
    ///
    /// Where it is not a row of the schema: the field and the reason.
    pub fn read(document: &str) -> Result<(Outline, u32), serde_json::Error> {
        let call: Call = serde_json::from_str(document)?;
        let names: OpenNames = serde_json::from_str(document)?;
        let audio = call.recordings.iter().filter(|recording| recording.kind == RecordingKind::Audio);
        let mut audio: Vec<_> = audio.map(|recording| (recording.segment, recording.id)).collect();
        audio.sort_unstable();
        let outline = Outline {
            audio: audio.into_iter().map(|(_, id)| id).collect(),
            numbers: numbers(&call),
            parties: parties(&call),
            identifiers: lines(call.call_ids.iter().map(String::as_str)),
            summary: summarise(&call, names),
        };
        Ok((outline, call.revision))
    }

    /// Fills in what is stored: the first of the row's audio recordings that is there, else the first of `stored`.
    pub fn with_audio(mut self, stored: &[Uuid]) -> CallSummary {
        let named = self.audio.iter().find(|id| stored.contains(id));
        self.summary.recording_id = named.or(stored.first()).copied();
        self.summary.has_audio = self.summary.recording_id.is_some();
        self.summary
    }
}

fn summarise(call: &Call, names: OpenNames) -> CallSummary {
    let duration = match (call.answered_at, call.ended_at) {
        (Some(answered), Some(ended)) if call.state != CallState::Active => {
            Some(ended.0.saturating_sub(answered.0).max(0) / 1_000)
        }
        _ => None,
    };
    CallSummary {
        id: call.id,
        protocol: names.protocol,
        direction: names.direction,
        state: names.state,
        status: call.status,
        started_at: call.started_at,
        answered_at: call.answered_at,
        ended_at: call.ended_at,
        duration_ms: duration,
        from: party(&call.from),
        to: party(&call.to),
        marks: call.marks.clone(),
        has_audio: false,
        recording_id: None,
        gaps: call.gaps.len() as u64,
        sensor: call.source.sensor.clone(),
    }
}

fn party(party: &Party) -> PartySummary {
    PartySummary { uri: party.uri.clone(), number: party.number.clone(), name: party.name.clone() }
}

/// Caller, answering party, what was dialled, diversions and legs.
fn numbers(call: &Call) -> Vec<String> {
    let named = [&call.from.number, &call.to.number, &call.dialled.number].into_iter();
    let all = named
        .chain(call.diversions.iter().map(|diversion| &diversion.number))
        .chain(call.legs.iter().map(|leg| &leg.number));
    let mut numbers: Vec<_> = all.flatten().map(|number| phone::plain(number)).collect();
    numbers.retain(|number| !number.is_empty());
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

fn parties(call: &Call) -> String {
    let named = [&call.from.name, &call.from.uri, &call.to.name, &call.to.uri, &call.dialled.uri].into_iter();
    let legs = call.legs.iter().flat_map(|leg| [&leg.name, &leg.uri, &leg.asserted_uri]);
    let diversions = call.diversions.iter().map(|diversion| &diversion.uri);
    lines(named.chain(legs).chain(diversions).flatten().map(String::as_str))
}

/// Lower case, each once, one a line, sorted.
fn lines<'a>(values: impl Iterator<Item = &'a str>) -> String {
    let mut values: Vec<_> = values.map(|value| value.to_lowercase().replace('\n', " ")).collect();
    values.sort_unstable();
    values.dedup();
    values.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(extra: &str) -> String {
        format!(
            r#"{{"schema":1,"revision":3,"id":"01890a5d-ac96-774b-bcce-b302099a8057","protocol":"sip","direction":"inbound",
            "source":{{"kind":"mirror","sensor":"s1","realm":0}},"state":"completed","begun_before_capture":false,
            "started_at":"2026-01-01T00:00:00.000000Z","decision":{{"action":"record"}}{extra}}}"#
        )
    }

    #[test]
    fn duration_runs_from_answer_to_end() {
        let times =
            r#","answered_at":"2026-01-01T00:00:02.000000Z","ended_at":"2026-01-01T00:00:12.500000Z""#;
        let (outline, revision) = Outline::read(&row(times)).unwrap();
        assert_eq!((outline.summary.duration_ms, revision), (Some(10_500), 3));
        let unanswered = r#","ended_at":"2026-01-01T00:00:12.500000Z""#;
        assert_eq!(Outline::read(&row(unanswered)).unwrap().0.summary.duration_ms, None);
    }

    #[test]
    fn names_that_this_version_does_not_know_are_kept() {
        let text = row("").replace("\"sip\"", "\"webrtc\"").replace("\"completed\"", "\"parked\"");
        let summary = Outline::read(&text).unwrap().0.summary;
        assert_eq!((summary.protocol.as_str(), summary.state.as_str()), ("webrtc", "parked"));
    }

    #[test]
    fn the_first_stored_segment_is_played() {
        let [a, b] = [Uuid::from_u128(9), Uuid::from_u128(1)];
        let recording = |id: Uuid, segment: u32| {
            format!(
                r#"{{"id":"{id}","kind":"audio","segment":{segment},"started_at":"2026-01-01T00:00:00Z","state":"final"}}"#
            )
        };
        let text = row(&format!(r#","recordings":[{},{}]"#, recording(b, 1), recording(a, 0)));
        let (outline, _) = Outline::read(&text).unwrap();
        assert_eq!(outline.audio, [a, b]);
        assert_eq!(outline.clone().with_audio(&[b, a]).recording_id, Some(a));
        assert_eq!(outline.clone().with_audio(&[b]).recording_id, Some(b));
        assert!(!outline.with_audio(&[]).has_audio);
    }
}
