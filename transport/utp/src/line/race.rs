//! Streams of uTP and TCP downloads that share a line, all of which always have something to send.

use hexad_core::{Set, Span, Time};

use super::{Line, Queue, Reno};
use crate::Key;

/// What a stream is given to send at a time.
static CHUNK: [u8; 1 << 16] = [0x5A; 1 << 16];

/// Who shares a line.
#[derive(Debug)]
pub struct Race {
    /// The line.
    pub line: Line,
    streams: Vec<(Key, Key)>,
    downloads: Vec<Reno>,
    /// Acknowledgements of downloads on their way back; they never queue.
    acks: Set<(Time, u64)>,
}

/// What came of a while of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lap {
    /// Bytes that each stream of uTP has carried, headers not included.
    pub streams: Vec<u64>,
    /// Bytes that each TCP download has carried, headers included.
    pub downloads: Vec<u64>,
    /// What packets waited at the line in the mean.
    pub queue_mean: Span,
    /// What they waited at most.
    pub queue_longest: Span,
    /// Packets that were lost.
    pub lost: u64,
}

impl Race {
    /// Nobody shares the line yet.
    #[must_use]
    pub const fn new(line: Line) -> Self {
        Self { line, streams: Vec::new(), downloads: Vec::new(), acks: Set::new() }
    }

    /// One more stream of uTP; false where the line lets nothing through.
    pub fn add_stream(&mut self) -> bool {
        let opened = self.line.open();
        self.streams.extend(opened);
        opened.is_some()
    }

    /// One more TCP download.
    pub fn add_download(&mut self) {
        self.downloads.push(Reno::new(self.downloads.len() as u64));
    }

    /// The downloads end. What of them is under way still arrives.
    pub fn end_downloads(&mut self) {
        self.downloads.clear();
        self.acks.clear();
    }

    /// Lets them run for so long.
    pub fn run(&mut self, span: Span) -> Lap {
        let until = self.line.after(span);
        let (lost_before, before) = (self.line.lost, self.downloads.iter().map(Reno::delivered_bytes).collect::<Vec<_>>());
        self.line.queue = Queue::default();
        let mut streams = vec![0; self.streams.len()];
        let mut came = Vec::new();
        while self.line.now < until {
            for (from, _) in &self.streams {
                while self.line.hubs[0].write(*from, &CHUNK) == CHUNK.len() {}
            }
            while let Some(&(at, number)) = self.acks.first()
                && at <= self.line.now
            {
                self.acks.remove(&(at, number));
                if let Some(download) = self.downloads.get_mut(usize::try_from(Reno::flow_of(number)).unwrap_or(usize::MAX)) {
                    download.acked(number, at);
                }
            }
            for download in &mut self.downloads {
                download.send(&mut self.line);
            }
            let next_ack = self.acks.first().map_or(until, |(at, _)| *at);
            self.line.step(until.min(next_ack));
            let back = self.line.after(self.line.manner.delay);
            let heard = std::mem::take(&mut self.line.others);
            if !self.downloads.is_empty() {
                self.acks.extend(heard.into_iter().map(|(_, number)| (back, number)));
            }
            for ((_, to), total) in self.streams.iter().zip(&mut streams) {
                came.clear();
                self.line.drain(1, *to, &mut came);
                *total += came.len() as u64;
            }
        }
        Lap {
            streams,
            downloads: self.downloads.iter().zip(before).map(|(download, before)| download.delivered_bytes() - before).collect(),
            queue_mean: self.line.queue.mean(),
            queue_longest: self.line.queue.longest,
            lost: self.line.lost - lost_before,
        }
    }
}
