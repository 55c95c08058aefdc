//! What the live view shows, and what keys do to it.

use std::collections::VecDeque;

use hexad_api::Problem;
use hexad_api::node::{Download, DownloadSort, Page, Status};
use ratatui::crossterm::event::KeyCode;
use ratatui::widgets::TableState;

/// Seconds of which rates are drawn.
const RATES_KEPT: usize = 300;

/// What was seen of a node at one time.
pub struct Seen {
    /// How it stands and its downloads, or why that is not known.
    pub status: Result<(Status, Page<Download>), Problem>,
    /// What the user should know of what he did.
    pub note: Option<String>,
}

/// What a key is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    Quit,
    Pause(u64),
    Resume(u64),
    Sort(DownloadSort),
}

/// What is shown.
pub struct Model {
    pub url: String,
    /// The last that is known.
    pub status: Option<Status>,
    pub downloads: Vec<Download>,
    pub total: usize,
    /// Why no more is known.
    pub problem: Option<Problem>,
    pub note: Option<String>,
    /// Received, bytes a second, one a second; the latest last.
    pub down: VecDeque<u64>,
    pub up: VecDeque<u64>,
    pub sort: DownloadSort,
    pub table: TableState,
}

impl Model {
    pub fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            status: None,
            downloads: Vec::new(),
            total: 0,
            problem: None,
            note: None,
            down: VecDeque::new(),
            up: VecDeque::new(),
            sort: DownloadSort::Rate,
            table: TableState::default(),
        }
    }

    /// Takes in what was seen. The download that is selected stays so, wherever it stands.
    pub fn take(&mut self, seen: Seen) {
        if seen.note.is_some() {
            self.note = seen.note;
        }
        match seen.status {
            Ok((status, page)) => {
                let selected = self.selected().map(|download| download.id);
                for (rates, rate) in [(&mut self.down, status.totals.down_bytes_per_s), (&mut self.up, status.totals.up_bytes_per_s)] {
                    rates.push_back(rate);
                    while rates.len() > RATES_KEPT {
                        rates.pop_front();
                    }
                }
                self.status = Some(status);
                self.total = page.total;
                self.downloads = page.items;
                let at = selected.and_then(|id| self.downloads.iter().position(|download| download.id == id));
                self.table.select(at.or(if self.downloads.is_empty() { None } else { Some(0) }));
                self.problem = None;
            }
            Err(problem) => self.problem = Some(problem),
        }
    }

    fn selected(&self) -> Option<&Download> {
        self.downloads.get(self.table.selected()?)
    }

    /// What a key is to do, where it is more than to change what is shown.
    pub fn press(&mut self, key: KeyCode) -> Option<Deed> {
        self.note = None;
        match key {
            KeyCode::Char('q') | KeyCode::Esc => return Some(Deed::Quit),
            KeyCode::Down | KeyCode::Char('j') => self.step(1),
            KeyCode::Up | KeyCode::Char('k') => self.step(-1),
            KeyCode::PageDown => self.step(10),
            KeyCode::PageUp => self.step(-10),
            KeyCode::Home => self.step(isize::MIN),
            KeyCode::End => self.step(isize::MAX),
            KeyCode::Char('p') => return self.selected().map(|download| Deed::Pause(download.id)),
            KeyCode::Char('r') => return self.selected().map(|download| Deed::Resume(download.id)),
            KeyCode::Char('s') => {
                self.sort = match self.sort {
                    DownloadSort::Rate => DownloadSort::Progress,
                    DownloadSort::Progress => DownloadSort::Name,
                    DownloadSort::Name => DownloadSort::Added,
                    DownloadSort::Added => DownloadSort::Queue,
                    DownloadSort::Queue => DownloadSort::Rate,
                };
                return Some(Deed::Sort(self.sort));
            }
            _ => {}
        }
        None
    }

    fn step(&mut self, by: isize) {
        let Some(last) = self.downloads.len().checked_sub(1) else { return };
        let at = self.table.selected().unwrap_or(0);
        self.table.select(Some(at.saturating_add_signed(by).min(last)));
    }
}
