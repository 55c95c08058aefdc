//! How events look: one JSON line each, or a bar with one line for peers and rates on a terminal, or plain lines elsewhere.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use hexad_api::{Event, Problem};
use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Shows the events of one task.
pub struct Screen {
    json: bool,
    bar: Option<ProgressBar>,
    last_plain: Option<Instant>,
}

impl Screen {
    /// JSON lines on stdout when `json`; else for people on stderr.
    pub fn new(json: bool) -> Self {
        Self { json, bar: None, last_plain: None }
    }

    /// Shows one event.
    ///
    /// # Errors
    /// Nothing may be shown any more: stdout is closed.
    pub fn show(&mut self, event: &Event) -> Result<(), Problem> {
        if self.json {
            let line =
                serde_json::to_string(event).map_err(|wrong| Problem::new(format!("an event cannot be written as JSON: {wrong}")))?;
            let mut out = std::io::stdout().lock();
            return writeln!(out, "{line}").and_then(|()| out.flush()).map_err(|wrong| Problem::new(format!("stdout: {wrong}")));
        }
        self.show_to_a_person(event);
        Ok(())
    }

    fn show_to_a_person(&mut self, event: &Event) {
        match event {
            Event::Listening { address, purpose } => tracing::info!(%address, %purpose, "listening"),
            Event::Started { name, files, wanted_bytes, .. } => {
                self.say(&format!("{name}: {files} {}, {}", if *files == 1 { "file" } else { "files" }, HumanBytes(*wanted_bytes)));
                self.open_bar(*wanted_bytes);
            }
            Event::Checking { checked_bytes, total_bytes } => {
                if let Some(bar) = &self.bar {
                    bar.set_message(format!("checking what is there: {} of {}", HumanBytes(*checked_bytes), HumanBytes(*total_bytes)));
                }
            }
            Event::Renamed { from, to, reason } => self.say(&format!("renamed '{from}' to '{to}': {reason}")),
            Event::Verified { verified_bytes, .. } => {
                if let Some(bar) = &self.bar {
                    bar.set_position(*verified_bytes);
                }
            }
            Event::Progress { verified_bytes, wanted_bytes, down_bytes_per_s, up_bytes_per_s, peers, seeds, peers_known, .. } => {
                let line = format!(
                    "{peers} {} ({seeds} complete, {peers_known} known)   down {}/s   up {}/s",
                    if *peers == 1 { "peer" } else { "peers" },
                    HumanBytes(*down_bytes_per_s),
                    HumanBytes(*up_bytes_per_s)
                );
                if let Some(bar) = &self.bar {
                    bar.set_position(*verified_bytes);
                    bar.set_message(line);
                } else if self.last_plain.is_none_or(|last| last.elapsed() > Duration::from_secs(10)) {
                    self.last_plain = Some(Instant::now());
                    eprintln!("{} of {}   {line}", HumanBytes(*verified_bytes), HumanBytes(*wanted_bytes));
                }
            }
            Event::Complete { name, path, bytes, seconds, .. } => {
                self.close_bar();
                eprintln!("{name}: {} complete and verified in {seconds:.1} s", HumanBytes(*bytes));
                println!("{}", path.display());
            }
            Event::Seeding { name, magnet, torrent, bytes, .. } => {
                self.close_bar();
                eprintln!("seeding {name} ({}); stop with Ctrl-C", HumanBytes(*bytes));
                if let Some(torrent) = torrent {
                    eprintln!("wrote {}", torrent.display());
                }
                println!("{magnet}");
            }
            Event::Warning { message } => self.say(&format!("warning: {message}")),
            Event::Failed { .. } | Event::Stopped => self.close_bar(),
        }
    }

    fn open_bar(&mut self, total: u64) {
        if !std::io::stderr().is_terminal() {
            return;
        }
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template("{wide_bar} {bytes}/{total_bytes} {percent}% eta {eta}\n{msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(500));
        self.bar = Some(bar);
    }

    fn close_bar(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.println(line),
            None => eprintln!("{line}"),
        }
    }
}
