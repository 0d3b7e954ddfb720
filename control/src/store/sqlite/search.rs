//! The search for calls as SQL: each condition of the filter is one clause.

use sqlx::{QueryBuilder, Sqlite};

use crate::phone;
use crate::store::{CallFilter, Cursor};

/// Fewest characters that the trigram index serves; a shorter term is looked for row by row.
const TRIGRAM: usize = 3;
/// Calls that [`Reach::Newest`] looks at.
const NEWEST: u32 = 2_000;

/// How far a search for text goes.
///
/// The index lists every call with a word before the first is shown, which for a common word (the site's own domain)
/// is most of the table: with 200,000 calls half a second, and growing. A common word fills a page from the newest
/// calls alone; a rare one has a short list. So the newest are read first, and the index is asked where they were
/// not enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// The newest 2,000 calls that the other conditions leave, reading their text.
    Newest,
    /// All calls, by the index.
    All,
}

/// Whether a search is for text, so that it is worth while to try [`Reach::Newest`] first.
pub(super) fn is_for_text(filter: &CallFilter) -> bool {
    filter.number.is_none() && (filter.party.is_some() || !filter.terms.is_empty())
}

/// The query for one page: `id`, `summary`, `audio` of each call, newest first.
pub(super) fn page(
    filter: &CallFilter,
    after: Option<Cursor>,
    limit: u32,
    reach: Reach,
) -> QueryBuilder<Sqlite> {
    let mut sql = QueryBuilder::new("SELECT id, summary, audio FROM calls WHERE true");
    if reach == Reach::Newest {
        sql.push(" AND number IN (SELECT number FROM calls WHERE true");
        push_fields(&mut sql, filter, after);
        sql.push(" ORDER BY started_at DESC, id DESC LIMIT ").push_bind(NEWEST).push(")");
    } else {
        push_fields(&mut sql, filter, after);
    }
    if let Some(party) = &filter.party {
        push_text(&mut sql, &["parties"], &[party.to_lowercase()], reach);
    }
    for term in &filter.terms {
        let term = term.to_lowercase();
        let plain = phone::plain(&term);
        // "030/123" is written differently where it is a number and where it is part of a URI.
        let forms = if plain.is_empty() || plain == term { vec![term] } else { vec![term, plain] };
        push_text(&mut sql, &["numbers", "parties", "identifiers"], &forms, reach);
    }
    sql.push(" ORDER BY started_at DESC, id DESC LIMIT ").push_bind(limit);
    sql
}

/// Every condition but those on text.
fn push_fields(sql: &mut QueryBuilder<Sqlite>, filter: &CallFilter, after: Option<Cursor>) {
    if let Some(from) = filter.from {
        sql.push(" AND started_at >= ").push_bind(from.0);
    }
    if let Some(to) = filter.to {
        sql.push(" AND started_at < ").push_bind(to.0);
    }
    if let Some(least) = filter.min_duration_ms {
        sql.push(" AND duration_ms >= ").push_bind(least);
    }
    if let Some(most) = filter.max_duration_ms {
        sql.push(" AND duration_ms <= ").push_bind(most);
    }
    if !filter.states.is_empty() {
        sql.push(" AND state IN (");
        let mut states = sql.separated(", ");
        for state in &filter.states {
            states.push_bind(state.clone());
        }
        sql.push(")");
    }
    if let Some(number) = &filter.number {
        push_number(sql, number);
    }
    if let Some(after) = after {
        sql.push(" AND (started_at, id) < (").push_bind(after.started_at.0);
        sql.push(", ").push_bind(after.id).push(")");
    }
}

fn push_number(sql: &mut QueryBuilder<Sqlite>, number: &str) {
    let plain = phone::plain(number);
    // `*123#` is a number of its own, not the end of another.
    let is_digits = plain.trim_start_matches('+').bytes().all(|byte| byte.is_ascii_digit());
    let suffix = phone::reversed_digits(number);
    sql.push(" AND number IN (SELECT call FROM call_numbers WHERE number = ").push_bind(plain);
    if is_digits && suffix.len() >= phone::SUFFIX_DIGITS {
        // ':' follows '9'.
        let end = format!("{suffix}:");
        sql.push(" UNION SELECT call FROM call_numbers WHERE reversed >= ").push_bind(suffix);
        sql.push(" AND reversed < ").push_bind(end);
    }
    sql.push(")");
}

/// One of the forms is a substring of one of the columns.
fn push_text(sql: &mut QueryBuilder<Sqlite>, columns: &[&str], forms: &[String], reach: Reach) {
    sql.push(" AND number IN (SELECT rowid FROM call_text WHERE ");
    if reach == Reach::All && forms.iter().all(|form| form.chars().count() >= TRIGRAM) {
        let phrases: Vec<_> = forms.iter().map(|form| format!("\"{}\"", form.replace('"', "\"\""))).collect();
        let query = format!("{{{}}} : ({})", columns.join(" "), phrases.join(" OR "));
        sql.push("call_text MATCH ").push_bind(query).push(")");
        return;
    }
    if reach == Reach::Newest {
        sql.push("rowid = calls.number AND ");
    }
    sql.push("(");
    let mut clauses = sql.separated(" OR ");
    for column in columns {
        for form in forms {
            // `instr` takes no wildcards, so that nothing needs escaping; both sides are lower case.
            clauses.push(format!("instr({column}, "));
            clauses.push_bind_unseparated(form.clone());
            clauses.push_unseparated(") > 0");
        }
    }
    sql.push("))");
}
