//! A request's parameters, read one by one, so that each refusal names the parameter that is wrong.

use std::ops::RangeInclusive;

use nightjar_schema::Timestamp;
use uuid::Uuid;

use crate::api::error::ApiError;

/// The parameters of a query string; an empty one counts as absent.
pub struct Query {
    pairs: Vec<(String, String)>,
}

impl Query {
    /// Splits a raw query string (`application/x-www-form-urlencoded`).
    pub fn parse(raw: &str) -> Query {
        Query { pairs: form_urlencoded::parse(raw.as_bytes()).into_owned().collect() }
    }

    /// Refuses parameters other than these, and repeated ones.
    ///
    /// # Errors
    ///
    /// 400, naming the parameter.
    pub fn only(&self, names: &[&str]) -> Result<(), ApiError> {
        for (index, (name, _)) in self.pairs.iter().enumerate() {
            if !names.contains(&name.as_str()) {
                return Err(ApiError::parameter(
                    name,
                    format!("is not known here; known are {}", names.join(", ")),
                ));
            }
            if self.pairs[..index].iter().any(|(other, _)| other == name) {
                return Err(ApiError::parameter(name, "is there twice"));
            }
        }
        Ok(())
    }

    /// A text, if it is there and not empty.
    pub fn text(&self, name: &str) -> Option<&str> {
        let (_, value) = self.pairs.iter().find(|(other, _)| other == name)?;
        Some(value.trim()).filter(|value| !value.is_empty())
    }

    /// A text of at most so many characters.
    ///
    /// # Errors
    ///
    /// 400 where it is longer, or holds the character zero, at which the database's full-text search stops reading.
    pub fn short(&self, name: &str, longest: usize) -> Result<Option<String>, ApiError> {
        match self.text(name) {
            Some(text) if text.chars().count() > longest => {
                Err(ApiError::parameter(name, format!("must not be longer than {longest} characters")))
            }
            Some(text) if text.contains('\0') => {
                Err(ApiError::parameter(name, "must not hold the character zero"))
            }
            text => Ok(text.map(str::to_owned)),
        }
    }

    /// A moment in RFC 3339.
    ///
    /// # Errors
    ///
    /// 400 where it is not one.
    pub fn time(&self, name: &str) -> Result<Option<Timestamp>, ApiError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        match text.parse::<jiff::Timestamp>() {
            Ok(at) => Ok(Some(Timestamp(at.as_microsecond()))),
            Err(_) => Err(ApiError::parameter(name, "must be a time in RFC 3339, like 2026-11-20T08:00:00Z")),
        }
    }

    /// A whole number within a range.
    ///
    /// # Errors
    ///
    /// 400 where it is none, or out of range.
    pub fn number(&self, name: &str, range: RangeInclusive<i64>) -> Result<Option<i64>, ApiError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        match text.parse() {
            Ok(number) if range.contains(&number) => Ok(Some(number)),
            _ => {
                let message = format!("must be a number from {} to {}", range.start(), range.end());
                Err(ApiError::parameter(name, message))
            }
        }
    }
}

/// The id in a path.
///
/// # Errors
///
/// 400 where it is not a UUID.
pub fn id(text: &str) -> Result<Uuid, ApiError> {
    Uuid::parse_str(text).map_err(|_| ApiError::parameter("id", "must be a UUID"))
}
