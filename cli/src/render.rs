//! How events look: one JSON line each, or a bar with one line for peers and rates on a terminal, or plain lines elsewhere.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use hexad_api::{Event, Problem, json_line};
use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::out::{self, tame};

/// How often a plain line says how it goes.
const PLAIN_PACE: Duration = Duration::from_secs(10);

/// Shows the events of one task.
pub struct Screen {
    json: bool,
    /// Whether a bar may be drawn: stderr is a terminal, and no log lines run through it.
    bars: bool,
    bar: Option<ProgressBar>,
    last_plain: Instant,
}

impl Screen {
    /// JSON lines on stdout when `json`; else for people on stderr. No bar is drawn when `logs` run over stderr.
    pub fn new(json: bool, logs: bool) -> Self {
        Self { json, bars: !json && !logs && std::io::stderr().is_terminal(), bar: None, last_plain: Instant::now() }
    }

    /// Shows one event.
    ///
    /// # Errors
    /// Nothing may be shown any more: stdout is closed.
    pub fn show(&mut self, event: &Event) -> Result<(), Problem> {
        if self.json {
            return out::line(&json_line(event)?);
        }
        self.show_to_a_person(event)
    }

    fn show_to_a_person(&mut self, event: &Event) -> Result<(), Problem> {
        match event {
            Event::Listening { address, purpose } => match purpose.as_str() {
                "tracker-http" => eprintln!("HTTP tracker at http://{address}/announce, statistics at http://{address}/"),
                "tracker-udp" => eprintln!("UDP tracker at udp://{address}"),
                _ => tracing::info!(%address, %purpose, "listening"),
            },
            Event::Looking { peers, peers_known } => {
                self.work_in_progress(&format!("asking what the link stands for: {peers} of {peers_known} known peers connected"));
            }
            Event::Started { name, files, wanted_bytes, .. } => {
                self.say(&format!("{}: {}, {}", tame(name), counted(*files, "file"), HumanBytes(*wanted_bytes)));
                self.open_bar(*wanted_bytes);
            }
            Event::Checking { checked_bytes, total_bytes } => {
                self.work_in_progress(&format!("checking: {} of {}", HumanBytes(*checked_bytes), HumanBytes(*total_bytes)));
            }
            Event::Renamed { from, to, reason } => self.say(&format!("renamed '{}' to '{}': it {}", tame(from), tame(to), tame(reason))),
            Event::Verified { verified_bytes, .. } => {
                if let Some(bar) = &self.bar {
                    bar.set_position(*verified_bytes);
                }
            }
            Event::Progress { verified_bytes, wanted_bytes, down_bytes_per_s, up_bytes_per_s, peers, seeds, peers_known, .. } => {
                let line = format!(
                    "{} ({seeds} complete, {peers_known} known)   down {}/s   up {}/s",
                    counted(*peers, "peer"),
                    HumanBytes(*down_bytes_per_s),
                    HumanBytes(*up_bytes_per_s)
                );
                if let Some(bar) = &self.bar {
                    bar.set_position(*verified_bytes);
                    bar.set_message(line);
                } else {
                    self.plainly(&format!("{} of {}   {line}", HumanBytes(*verified_bytes), HumanBytes(*wanted_bytes)));
                }
            }
            Event::Complete { name, path, bytes, seconds, .. } => {
                self.close_bar();
                eprintln!("{}: {} complete and verified in {seconds:.1} s", tame(name), HumanBytes(*bytes));
                return out::line(path);
            }
            Event::Seeding { name, magnet, torrent, bytes, .. } => {
                self.close_bar();
                eprintln!("seeding {} ({}); stop with Ctrl-C", tame(name), HumanBytes(*bytes));
                if let Some(torrent) = torrent {
                    eprintln!("described by {torrent}");
                }
                return out::line(magnet);
            }
            Event::Warning { message } => self.say(&format!("warning: {}", tame(message))),
            Event::Failed { .. } | Event::Stopped => self.close_bar(),
        }
        Ok(())
    }

    /// Something that takes a while before there is anything to count.
    fn work_in_progress(&mut self, line: &str) {
        if self.bars && self.bar.is_none() {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            bar.set_style(ProgressStyle::default_spinner());
            bar.enable_steady_tick(Duration::from_millis(200));
            self.bar = Some(bar);
        }
        match &self.bar {
            Some(bar) => bar.set_message(line.to_owned()),
            None => self.plainly(line),
        }
    }

    fn open_bar(&mut self, total: u64) {
        self.close_bar();
        if !self.bars {
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

    /// Says it now and then.
    fn plainly(&mut self, line: &str) {
        if self.last_plain.elapsed() > PLAIN_PACE {
            self.last_plain = Instant::now();
            eprintln!("{line}");
        }
    }
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
