//! How events look: one JSON line each, or a bar with one line for peers and rates on a terminal, or plain lines elsewhere.

use std::collections::BTreeMap;
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
    /// Where others find us is what the command is for.
    announces: bool,
    /// Results of a search, by their numbers.
    found: BTreeMap<usize, Event>,
    /// The link that was printed last.
    link: String,
}

impl Screen {
    /// JSON lines on stdout when `json`; else for people on stderr. No bar is drawn when `logs` run over stderr.
    pub fn new(json: bool, logs: bool) -> Self {
        Self {
            json,
            bars: !json && !logs && std::io::stderr().is_terminal(),
            bar: None,
            last_plain: Instant::now(),
            announces: false,
            found: BTreeMap::new(),
            link: String::new(),
        }
    }

    /// The same for a command that says where others find us.
    pub fn announcing(self) -> Self {
        Self { announces: true, ..self }
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
            Event::Listening { address, purpose, .. } => match purpose.as_str() {
                "tracker-http" => eprintln!("HTTP tracker at http://{address}/announce, statistics at http://{address}/"),
                "tracker-udp" => eprintln!("UDP tracker at udp://{address}"),
                "gateway" => eprintln!("http://{address}/ shows what is under a key"),
                "fcp" => eprintln!("FCP at {address}; stop with Ctrl-C"),
                "clients" => eprintln!("Napster server at {address}; stop with Ctrl-C"),
                "stream" => return out::line(address),
                // Others join by this line.
                "ring" | "network" if self.announces => return out::line(address),
                _ => tracing::info!(%address, %purpose, "listening"),
            },
            Event::Reachable { address: Some(address), by, .. } => {
                tracing::info!(%address, by = by.as_deref().unwrap_or_default(), "the router lets others in");
            }
            Event::Reachable { network, .. } => self.say(&format!("warning: no router lets others in to {network}")),
            Event::Joined { network } if self.announces && network != "napster-server" => {
                self.say(&format!("joined {network}; stop with Ctrl-C"));
            }
            Event::Joined { network } => tracing::info!(%network, "joined"),
            Event::Standing { network, peers, figures } => {
                let figures: Vec<String> = figures.iter().map(|(name, figure)| format!("{} {figure}", name.replace('_', " "))).collect();
                self.work_in_progress(&format!("{network}: {}, {}", counted_u64(*peers, "peer"), figures.join(", ")));
            }
            Event::Found { result, .. } => {
                self.found.insert(*result, event.clone());
                self.work_in_progress(&counted(self.found.len(), "result"));
            }
            Event::User { name, here, facts, .. } => {
                out::line(&format!("{}{}", tame(name), if *here { "" } else { "   (not here)" }))?;
                for (fact, value) in facts {
                    out::line(&format!("    {fact}: {}", tame(value)))?;
                }
            }
            // What keeps a link alive is told every hour.
            Event::Stored { network, key, copies } if network == "bittorrent" => tracing::info!(key, copies, "stored in the DHT"),
            Event::Stored { key, copies, .. } => {
                eprintln!("stored in {}", if *copies == 1 { "1 copy".to_owned() } else { format!("{copies} copies") });
                return out::line(key);
            }
            Event::Inserted { key, .. } => return out::line(key),
            Event::Scraped { seeds, leechers, nodes, .. } => {
                eprintln!("about, as {} of the DHT told it:", counted(*nodes, "node"));
                return out::line(&format!("{}, {}", counted_u64(*seeds, "seed"), counted_u64(*leechers, "leecher")));
            }
            Event::Sampled { link, .. } => return out::line(link),
            Event::Newer(item) => {
                self.say(&format!("this link leads to version {}, and later to what is published in its place:", item.seq));
                return out::line(&tame(&item.link));
            }
            Event::Invitation(given) => return given.invitation.as_deref().map_or(Ok(()), |text| out::line(&tame(text))),
            Event::Friend(friend) => return out::line(&tame(&friend.at)),
            Event::Value { publisher, text, base64, .. } => {
                if let Some(publisher) = publisher {
                    eprintln!("by {publisher}:");
                }
                return match text {
                    // A file wants the bytes as they are, a terminal must not be steered by them.
                    Some(text) if std::io::stdout().is_terminal() => out::line(&tame(text)),
                    Some(text) => out::line(text),
                    None => out::bytes(&data_encoding::BASE64.decode(base64.as_bytes()).unwrap_or_default()),
                };
            }
            Event::Looking { peers, peers_known } => {
                self.work_in_progress(&format!("asking what the link stands for: {peers} of {peers_known} known peers connected"));
            }
            Event::Started { name, files, wanted_bytes, .. } => {
                // A node that runs elsewhere does not say of how many.
                let files = if *files == 0 { String::new() } else { format!("{}, ", counted(*files, "file")) };
                self.say(&format!("{}: {files}{}", tame(name), HumanBytes(*wanted_bytes)));
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
                let who = match (peers, seeds, peers_known) {
                    (Some(peers), Some(seeds), Some(known)) => format!("{} ({seeds} complete, {known} known)   ", counted(*peers, "peer")),
                    _ => String::new(),
                };
                let line = format!("{who}down {}/s   up {}/s", HumanBytes(*down_bytes_per_s), HumanBytes(*up_bytes_per_s));
                if let Some(bar) = &self.bar {
                    bar.set_position(*verified_bytes);
                    bar.set_message(line);
                } else {
                    self.plainly(&format!("{} of {}   {line}", HumanBytes(*verified_bytes), HumanBytes(*wanted_bytes)));
                }
            }
            Event::Complete { name, path, bytes, seconds, unproven, .. } => {
                self.close_bar();
                let how = if *unproven { "complete, unproven," } else { "complete and verified" };
                eprintln!("{}: {} {how} in {seconds:.1} s", tame(name), HumanBytes(*bytes));
                return out::line(path);
            }
            Event::Seeding { network, name, magnet, torrent, bytes, .. } => {
                self.close_bar();
                let place = if network == "bittorrent" { String::new() } else { format!(" on {network}") };
                eprintln!("seeding {} ({}){place}; stop with Ctrl-C", tame(name), HumanBytes(*bytes));
                if let Some(torrent) = torrent.as_ref().filter(|_| network == "bittorrent") {
                    eprintln!("described by {torrent}");
                }
                // Several networks have it under one link.
                if self.link != *magnet {
                    self.link.clone_from(magnet);
                    return out::line(magnet);
                }
            }
            Event::Warning { message } => self.say(&format!("warning: {}", tame(message))),
            Event::Done => {
                self.close_bar();
                for found in std::mem::take(&mut self.found).into_values() {
                    show_found(&found)?;
                }
            }
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

/// A result as two lines: what it is, and what fetches it.
fn show_found(found: &Event) -> Result<(), Problem> {
    let Event::Found { name, size_bytes, link, proven, networks, sources, .. } = found else { return Ok(()) };
    let size = size_bytes.map_or_else(|| "size unknown".to_owned(), |bytes| HumanBytes(bytes).to_string());
    let proof = if *proven { "proven" } else { "unproven" };
    out::line(&format!("{}   {size}   {}   {}   {proof}", tame(name), networks.join(", "), counted(*sources, "source")))?;
    out::line(&format!("    {link}"))
}

fn counted_u64(count: u64, what: &str) -> String {
    counted(usize::try_from(count).unwrap_or(usize::MAX), what)
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
