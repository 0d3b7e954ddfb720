//! Part of a file: `Range` and `If-Range` (RFC 9110, 13.1.5 and 14.2), for one range of bytes.

use axum::http::{HeaderMap, header};

/// What a request asks for of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// All of it.
    Whole,
    /// Bytes from `first` to `last`, both included, within the file.
    Part {
        /// The first byte.
        first: u64,
        /// The last byte.
        last: u64,
    },
    /// A range that the file does not have.
    Unsatisfiable,
}

/// Reads a request's headers against a file of so many bytes under this entity tag (with its quotes).
///
/// What is no single range of bytes is ignored, as 14.2 allows: the whole file is the answer.
pub fn wanted(headers: &HeaderMap, bytes: u64, etag: &str) -> Wanted {
    let text = |name| headers.get(name).and_then(|value: &axum::http::HeaderValue| value.to_str().ok());
    let Some(range) = text(header::RANGE) else { return Wanted::Whole };
    // A date or a weak tag never matches: only this very file may be continued.
    if headers.contains_key(header::IF_RANGE) && text(header::IF_RANGE) != Some(etag) {
        return Wanted::Whole;
    }
    let Some((unit, spec)) = range.split_once('=') else { return Wanted::Whole };
    match spec.trim().split_once('-') {
        Some((first, last)) if unit.trim().eq_ignore_ascii_case("bytes") => one(first, last, bytes),
        _ => Wanted::Whole,
    }
}

fn one(first: &str, last: &str, bytes: u64) -> Wanted {
    let end = bytes.saturating_sub(1);
    let (first, last) = match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => (first, last.min(end)),
        (Some(first), None) if last.is_empty() => (first, end),
        // The last so many bytes.
        (None, Some(0)) if first.is_empty() => return Wanted::Unsatisfiable,
        (None, Some(count)) if first.is_empty() => (bytes.saturating_sub(count), end),
        _ => return Wanted::Whole,
    };
    if first < bytes { Wanted::Part { first, last } } else { Wanted::Unsatisfiable }
}

/// Digits alone; more than a `u64` holds count as its end.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn asked(range: &str, if_range: Option<&str>) -> Wanted {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, range.parse().unwrap());
        if let Some(tag) = if_range {
            headers.insert(header::IF_RANGE, tag.parse().unwrap());
        }
        wanted(&headers, 100, "\"tag\"")
    }

    #[test]
    fn ranges_of_rfc_9110() {
        let part = |first, last| Wanted::Part { first, last };
        let cases = [
            ("bytes=0-0", part(0, 0)),
            ("bytes=10-19", part(10, 19)),
            ("bytes=90-", part(90, 99)),
            ("bytes=90-1000", part(90, 99)),
            ("bytes=-10", part(90, 99)),
            ("bytes=-1000", part(0, 99)),
            ("BYTES=5-5", part(5, 5)),
            ("bytes=100-", Wanted::Unsatisfiable),
            ("bytes=99999999999999999999999-", Wanted::Unsatisfiable),
            ("bytes=-0", Wanted::Unsatisfiable),
            ("bytes=5-4", Wanted::Whole),
            ("bytes=1-2,5-6", Wanted::Whole),
            ("bytes=+1-2", Wanted::Whole),
            ("bytes=-", Wanted::Whole),
            ("lines=1-2", Wanted::Whole),
            ("nonsense", Wanted::Whole),
        ];
        for (range, answer) in cases {
            assert_eq!(asked(range, None), answer, "{range}");
        }
    }

    #[test]
    fn a_part_is_only_of_the_file_that_was_begun() {
        assert_eq!(asked("bytes=1-2", Some("\"tag\"")), Wanted::Part { first: 1, last: 2 });
        assert_eq!(asked("bytes=1-2", Some("\"other\"")), Wanted::Whole);
        assert_eq!(asked("bytes=1-2", Some("W/\"tag\"")), Wanted::Whole);
        assert_eq!(asked("bytes=1-2", Some("Fri, 20 Nov 2026 08:00:00 GMT")), Wanted::Whole);
    }

    proptest! {
        #[test]
        fn a_part_lies_within_the_file(range in "bytes=[0-9]{0,4}-[0-9]{0,4}", bytes in 0_u64..2_000) {
            let mut headers = HeaderMap::new();
            headers.insert(header::RANGE, range.parse().unwrap());
            if let Wanted::Part { first, last } = wanted(&headers, bytes, "\"t\"") {
                prop_assert!(first <= last && last < bytes);
            }
        }
    }
}
