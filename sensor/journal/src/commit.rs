//! The segment writer: stages sealed blocks, writes them in large aligned pieces, and makes them
//! durable with one `fdatasync` per commit interval.
//!
//! A block stays in memory until a commit has succeeded behind it. When a write or a sync fails,
//! its segment is abandoned as it is, and what was not committed is written again to a new one:
//! after a failed sync the kernel has forgotten which pages were dirty, so a second sync of the
//! same file would lie.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::block::{BLOCK_BYTES, HEADER_BYTES};
use crate::disk::{Disk, DiskFile, PAGE, PageBuffer};
use crate::journal::JournalConfig;
use crate::lane::Sealed;
use crate::reclaim::{ClosedSegment, Contents};
use crate::segment::{
    ClockPair, SEGMENT_HEADER_BYTES, SegmentHeader, SegmentPosition, list_segments, segment_path,
};
use crate::status::{JournalState, Status, add};

/// From one commit to the next.
pub const COMMIT_INTERVAL: Duration = Duration::from_millis(250);

/// How long a sealed block waits for company before it is written. With [`crate::SEAL_AFTER`] it
/// bounds what a killed process has not yet written.
pub const FLUSH_AFTER: Duration = Duration::from_millis(50);

/// Bytes that are written in one piece.
const STAGE_BYTES: usize = 1 << 20;

/// The segment that takes blocks.
struct OpenSegment {
    /// Its file.
    file: Box<dyn DiskFile>,
    /// Its number.
    number: u32,
    /// Bytes written.
    offset: u32,
    /// What lies in it, staged blocks included.
    contents: Contents,
}

/// See the module.
pub(crate) struct Committer {
    /// Where files come from.
    disk: Box<dyn Disk>,
    /// The limits.
    config: JournalConfig,
    /// What others see.
    status: Arc<Status>,
    /// Uncommitted blocks that may be held: more ask for an early commit, or are given up.
    hold_limit: usize,
    /// Blocks that are not committed, in the order of their seals.
    pending: VecDeque<Sealed>,
    /// Of `pending`, how many are in the stage or behind it.
    staged: usize,
    /// Of `pending`, how many are written.
    flushed: usize,
    /// What is written next, in one piece.
    stage: PageBuffer,
    /// Where in the stage its last block begins.
    last_staged: usize,
    /// When the stage is written at the latest.
    flush_at: Option<Instant>,
    /// When the next commit is due.
    commit_at: Instant,
    /// The segment that takes blocks; `None` before the first and after a failure.
    segment: Option<OpenSegment>,
    /// Segments of this run that take no more.
    closed: Vec<ClosedSegment>,
    /// Segments of earlier runs, with their sizes.
    recovered: Vec<(u32, u64)>,
    /// The first segment of this run.
    run: u32,
    /// The next segment.
    next_number: u32,
}

impl Committer {
    /// A writer behind the segments that `config.directory` holds already. `pool` is the number
    /// of blocks that exist.
    pub fn new(
        disk: Box<dyn Disk>,
        config: JournalConfig,
        pool: usize,
        status: Arc<Status>,
        now: Instant,
    ) -> io::Result<Committer> {
        let mut recovered = Vec::new();
        for number in list_segments(&config.directory)? {
            recovered.push((number, std::fs::metadata(segment_path(&config.directory, number))?.len()));
        }
        let run = recovered.last().map_or(0, |(number, _)| number + 1).max(config.first_segment);
        status.set_written(SegmentPosition::first(run));
        status.limit.store(config.limit_bytes, Ordering::Relaxed);
        let committer = Committer {
            disk,
            config,
            status,
            hold_limit: (pool / 2).max(1),
            // As many as there are blocks, so that it never grows.
            pending: VecDeque::with_capacity(pool + 1),
            staged: 0,
            flushed: 0,
            stage: PageBuffer::new(STAGE_BYTES + BLOCK_BYTES + PAGE),
            last_staged: 0,
            flush_at: None,
            commit_at: now + COMMIT_INTERVAL,
            segment: None,
            closed: Vec::new(),
            recovered,
            run,
            next_number: run,
        };
        committer.count_used();
        Ok(committer)
    }

    /// The first segment of this run, by which its blocks are told from earlier runs'.
    pub fn run(&self) -> u32 {
        self.run
    }

    /// When [`Committer::tick`] has something to do.
    pub fn deadline(&self) -> Instant {
        self.flush_at.map_or(self.commit_at, |at| at.min(self.commit_at))
    }

    /// Takes a sealed block.
    pub fn accept(&mut self, sealed: Sealed, now: Instant) {
        self.pending.push_back(sealed);
        // After a failure the next segment is tried at the next commit, not per block.
        if (self.segment.is_some() || self.status.state() == JournalState::Writing)
            && let Err(error) = self.write_pending(now)
        {
            self.abandon(&error);
            self.commit(now);
        }
        if self.pending.len() > self.hold_limit {
            self.make_room(now);
        }
    }

    /// Says how many blocks wait for their commit.
    pub fn count_uncommitted(&self) {
        self.status.uncommitted.store(self.pending.len() as u64, Ordering::Relaxed);
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Instant) {
        if self.flush_at.is_some_and(|at| at <= now)
            && let Err(error) = self.flush()
        {
            self.abandon(&error);
            self.commit(now);
        }
        if self.commit_at <= now {
            self.commit(now);
            self.reclaim();
        }
    }

    /// Commits what there is and gives back what the last segment has not used. What cannot be
    /// written by now is lost, and counted so.
    pub fn finish(mut self, now: Instant) {
        self.commit(now);
        self.reclaim();
        while !self.pending.is_empty() {
            self.give_up_oldest();
        }
        self.close_segment();
        self.count_used();
        self.count_uncommitted();
    }

    /// Makes every pending block durable, in a second segment when the first one fails.
    fn commit(&mut self, now: Instant) {
        self.commit_at = now + COMMIT_INTERVAL;
        for _ in 0..2 {
            if self.pending.is_empty() {
                return;
            }
            match self.write_pending(now).and_then(|()| self.flush()).and_then(|()| self.sync()) {
                Ok(()) => return self.release_committed(),
                Err(error) => self.abandon(&error),
            }
        }
    }

    /// One `fdatasync`.
    fn sync(&mut self) -> io::Result<()> {
        let Some(segment) = &mut self.segment else { return Ok(()) };
        add(&self.status.fdatasyncs, 1);
        let began = Instant::now();
        let outcome = segment.file.sync();
        self.status.count_sync(began.elapsed());
        outcome.inspect_err(|_| add(&self.status.sync_errors, 1))
    }

    /// After a successful sync: what was written needs its memory no more.
    fn release_committed(&mut self) {
        for sealed in self.pending.drain(..self.flushed) {
            sealed.lane.set_durable(sealed.header.id.sequence);
        }
        self.staged -= self.flushed;
        self.flushed = 0;
        add(&self.status.commits, 1);
        self.status.set_state(JournalState::Writing);
    }

    /// Stages every block that is not yet, and writes whenever the stage or the segment is full.
    fn write_pending(&mut self, now: Instant) -> io::Result<()> {
        while self.staged < self.pending.len() {
            self.stage_next(now)?;
        }
        Ok(())
    }

    /// Stages one block.
    fn stage_next(&mut self, now: Instant) -> io::Result<()> {
        let bytes = HEADER_BYTES + self.pending[self.staged].header.payload as usize;
        if let Some(segment) = &self.segment
            && segment.offset as usize + (self.stage.len() + bytes).next_multiple_of(PAGE)
                > self.config.segment_bytes as usize
        {
            self.roll(now)?;
        }
        if self.segment.is_none() {
            self.segment = Some(self.open_segment()?);
        }
        let sealed = &self.pending[self.staged];
        self.last_staged = self.stage.len();
        let room = self.stage.extend(bytes);
        sealed.block.copy(0, room);
        let mut header = sealed.header;
        header.crc = header.checksum(crc32c::crc32c(&room[HEADER_BYTES..]));
        room[..HEADER_BYTES].copy_from_slice(&header.bytes());
        if let Some(segment) = &mut self.segment {
            segment.contents.add(&sealed.lane, header.id.sequence);
        }
        self.staged += 1;
        self.flush_at.get_or_insert(now + FLUSH_AFTER);
        if self.stage.len() >= STAGE_BYTES { self.flush() } else { Ok(()) }
    }

    /// Writes the stage, padded to a page: its last block's stride takes the padding in.
    fn flush(&mut self) -> io::Result<()> {
        self.flush_at = None;
        let Some(segment) = &mut self.segment else { return Ok(()) };
        if self.stage.len() == 0 {
            return Ok(());
        }
        let padding = self.stage.pad();
        let mut header = self.pending[self.staged - 1].header;
        header.stride = (self.stage.len() - self.last_staged) as u32;
        let last = self.stage.bytes_mut(self.last_staged);
        header.crc = header.checksum(crc32c::crc32c(&last[HEADER_BYTES..][..header.payload as usize]));
        last[..HEADER_BYTES].copy_from_slice(&header.bytes());

        segment.file.write_at(self.stage.bytes(), u64::from(segment.offset))?;
        segment.offset += self.stage.len() as u32;
        add(&self.status.blocks, (self.staged - self.flushed) as u64);
        add(&self.status.bytes, self.stage.len() as u64);
        add(&self.status.padding, padding as u64);
        self.stage.clear();
        self.status.set_written(SegmentPosition { segment: segment.number, offset: segment.offset });
        for sealed in self.pending.range(self.flushed..self.staged) {
            sealed.lane.settle(sealed.header.id.sequence);
        }
        self.flushed = self.staged;
        Ok(())
    }

    /// Commits the full segment and closes it.
    fn roll(&mut self, now: Instant) -> io::Result<()> {
        self.flush()?;
        self.sync()?;
        self.release_committed();
        self.commit_at = now + COMMIT_INTERVAL;
        self.close_segment();
        Ok(())
    }

    /// Opens the next segment and writes its header.
    fn open_segment(&mut self) -> io::Result<OpenSegment> {
        if self.count_used() + u64::from(self.config.segment_bytes) > self.config.limit_bytes {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let number = self.next_number;
        let path = segment_path(&self.config.directory, number);
        let mut file = self.disk.create(&path, u64::from(self.config.segment_bytes))?;
        self.next_number += 1;
        add(&self.status.segments_created, 1);
        let (clocks, sensor) = (ClockPair::now(), self.config.sensor.clone());
        let header = SegmentHeader { number, run: self.run, clocks, key: 0, sensor };
        let mut page = PageBuffer::new(PAGE);
        page.extend(PAGE).copy_from_slice(&header.page());
        let written = file.write_at(page.bytes(), 0);
        let (offset, contents) = (SEGMENT_HEADER_BYTES, Contents::default());
        let segment = OpenSegment { file, number, offset, contents };
        if let Err(error) = written {
            self.segment = Some(segment);
            self.close_segment();
            return Err(error);
        }
        self.status.set_written(SegmentPosition::first(number));
        Ok(segment)
    }

    /// The open segment takes no more; what it has not used is given back.
    fn close_segment(&mut self) {
        let Some(mut segment) = self.segment.take() else { return };
        let mut bytes = u64::from(segment.offset);
        if segment.file.truncate(bytes).is_err() {
            bytes = u64::from(self.config.segment_bytes);
        }
        self.closed.push(ClosedSegment { number: segment.number, bytes, contents: segment.contents });
    }

    /// The open segment has failed: what is not committed will be written again, elsewhere.
    fn abandon(&mut self, error: &io::Error) {
        let full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        if !full || self.segment.is_some() {
            add(&self.status.write_errors, 1);
        }
        let state = JournalState::Failing(error.raw_os_error().unwrap_or(0));
        self.status.set_state(if full { JournalState::Full } else { state });
        self.close_segment();
        self.stage.clear();
        self.flush_at = None;
        (self.staged, self.flushed) = (0, 0);
    }

    /// Too many blocks are held: commit early, and give up the oldest when that fails.
    fn make_room(&mut self, now: Instant) {
        if self.segment.is_some() {
            add(&self.status.early_commits, 1);
            self.commit(now);
        }
        while self.pending.len() > self.hold_limit {
            self.give_up_oldest();
        }
    }

    /// A block that will be in no segment.
    fn give_up_oldest(&mut self) {
        let Some(sealed) = self.pending.pop_front() else { return };
        self.status.count_lost(&sealed.header);
        sealed.lane.settle(sealed.header.id.sequence);
        sealed.lane.set_durable(sealed.header.id.sequence);
    }

    /// Removes the segments that nobody needs.
    fn reclaim(&mut self) {
        let directory = &self.config.directory;
        let removed = |number| match std::fs::remove_file(segment_path(directory, number)) {
            Ok(()) => true,
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        };
        let before = self.closed.len() + self.recovered.len();
        self.closed.retain(|segment| !(segment.contents.is_dead() && removed(segment.number)));
        if self.status.forget_recovered.load(Ordering::Acquire) {
            self.recovered.retain(|(number, _)| !removed(*number));
        }
        add(&self.status.segments_removed, (before - self.closed.len() - self.recovered.len()) as u64);
        self.count_used();
    }

    /// Bytes of all segments, told to the others too.
    fn count_used(&self) -> u64 {
        let open = self.segment.as_ref().map_or(0, |_| u64::from(self.config.segment_bytes));
        let closed: u64 = self.closed.iter().map(|segment| segment.bytes).sum();
        let recovered: u64 = self.recovered.iter().map(|(_, bytes)| bytes).sum();
        self.status.used.store(open + closed + recovered, Ordering::Relaxed);
        open + closed + recovered
    }
}
