-- Times are microseconds since the epoch, UTC. Ids are the 16 bytes of a UUID.
CREATE TABLE accounts (
    id         INTEGER PRIMARY KEY,
    username   TEXT NOT NULL COLLATE NOCASE UNIQUE,
    role       TEXT NOT NULL,
    password   TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE sessions (
    token     BLOB NOT NULL PRIMARY KEY,           -- SHA-256 of the cookie
    account   INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    opened_at INTEGER NOT NULL,
    used_at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_by_account ON sessions (account);

CREATE TABLE sensors (
    name    TEXT NOT NULL PRIMARY KEY,
    seen_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE calls (
    number      INTEGER PRIMARY KEY,               -- what the search tables point to
    id          BLOB NOT NULL UNIQUE,
    sensor      TEXT NOT NULL,
    state       TEXT NOT NULL,
    started_at  INTEGER NOT NULL,
    duration_ms INTEGER,
    revision    INTEGER NOT NULL,                  -- with stage, event_at and event: what a report is weighed against
    stage       INTEGER NOT NULL,
    event_at    INTEGER NOT NULL,
    event       BLOB NOT NULL,
    summary     TEXT NOT NULL,                     -- JSON, as the list shows it
    audio       TEXT NOT NULL,                     -- JSON, ids of the row's audio recordings in order
    document    TEXT NOT NULL                      -- JSON, the row as the sensor wrote it
) STRICT;
-- Carries what a list is filtered by, so that rows that do not match are passed without being read.
CREATE INDEX calls_newest ON calls (started_at DESC, id DESC, state, duration_ms);
CREATE INDEX calls_by_state ON calls (state, started_at DESC, id DESC);
CREATE INDEX calls_active ON calls (started_at, id) WHERE state = 'active';

-- A list of millions is not counted row by row for a page's header.
CREATE TABLE totals (calls INTEGER NOT NULL) STRICT;
INSERT INTO totals VALUES (0);
CREATE TRIGGER calls_added AFTER INSERT ON calls BEGIN UPDATE totals SET calls = calls + 1; END;
CREATE TRIGGER calls_removed AFTER DELETE ON calls BEGIN UPDATE totals SET calls = calls - 1; END;

CREATE TABLE call_numbers (
    number   TEXT NOT NULL,                        -- separators left out
    call     INTEGER NOT NULL REFERENCES calls (number) ON DELETE CASCADE,
    reversed TEXT NOT NULL,                        -- its digits, last first: a suffix is a prefix here
    PRIMARY KEY (number, call)
) STRICT, WITHOUT ROWID;
CREATE INDEX call_numbers_by_suffix ON call_numbers (reversed, call);
CREATE INDEX call_numbers_by_call ON call_numbers (call);

CREATE VIRTUAL TABLE call_text USING fts5 (numbers, parties, identifiers, tokenize = 'trigram case_sensitive 1');

CREATE TABLE recordings (
    id           BLOB NOT NULL PRIMARY KEY,
    call         BLOB NOT NULL,                    -- no reference: a recording may come before its call's row
    sensor       TEXT NOT NULL,
    content_type TEXT NOT NULL,
    bytes        INTEGER NOT NULL,
    sha256       BLOB NOT NULL,
    path         TEXT NOT NULL,
    stored_at    INTEGER NOT NULL,
    peaks        TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX recordings_by_call ON recordings (call, stored_at);
CREATE INDEX recordings_without_peaks ON recordings (stored_at) WHERE peaks = 'pending';
