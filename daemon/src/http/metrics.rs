//! Figures for Prometheus, in its text format (version 0.0.4).

use std::fmt::{Display, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use hexad_api::node::{NetworkState, Status};

use super::answer::{Answer, ask};
use super::{Here, LISTENERS_MAX};

/// Answers by the first digit of their status.
#[derive(Debug, Default)]
pub(super) struct Tally([AtomicU64; 6]);

impl Tally {
    pub(super) fn count(&self, status: StatusCode) {
        let class = usize::from(status.as_u16() / 100);
        if let Some(count) = self.0.get(class) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// All figures.
pub(super) async fn metrics(State(face): Here) -> Answer<impl IntoResponse> {
    let status = ask(&face, |daemon| daemon.status()).await?;
    let mut sheet = Sheet::default();
    write_status(&mut sheet, &status);
    sheet.family("hexad_http_answers_total", "counter", "Answers over HTTP by the first digit of their status.");
    for (class, count) in face.tally.0.iter().enumerate().skip(1) {
        sheet.sample("hexad_http_answers_total", &[("class", &format!("{class}xx"))], count.load(Ordering::Relaxed));
    }
    sheet.one("hexad_http_listeners", "gauge", "Who listens to events.", LISTENERS_MAX - face.listeners.available_permits());
    Ok(([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], sheet.0))
}

fn write_status(sheet: &mut Sheet, status: &Status) {
    let totals = &status.totals;
    sheet.family("hexad_build_info", "gauge", "The program; always 1.");
    sheet.sample("hexad_build_info", &[("version", &totals.version)], 1);
    sheet.one("hexad_uptime_seconds", "gauge", "Since the node's start.", totals.uptime_s);
    sheet.one("hexad_down_bytes_per_second", "gauge", "Received by downloads.", totals.down_bytes_per_s);
    sheet.one("hexad_up_bytes_per_second", "gauge", "Sent to others.", totals.up_bytes_per_s);
    sheet.one("hexad_memory_bytes", "gauge", "Memory that the process has.", totals.memory_bytes);
    sheet.family("hexad_downloads", "gauge", "Downloads by how they stand; total has them all.");
    let downloads = &totals.downloads;
    for (state, count) in [
        ("active", downloads.active),
        ("queued", downloads.queued),
        ("complete", downloads.complete),
        ("failed", downloads.failed),
        ("total", downloads.total),
    ] {
        sheet.sample("hexad_downloads", &[("state", state)], count);
    }
    sheet.one("hexad_library_shares", "gauge", "Files and folders that are offered.", totals.library.shares);
    sheet.one("hexad_library_bytes", "gauge", "All of their bytes.", totals.library.bytes);
    sheet.one("hexad_library_hashing", "gauge", "Of them, those that are being hashed.", totals.library.hashing);
    sheet.family("hexad_network_joined", "gauge", "Whether we are part of a network.");
    for network in &status.networks {
        sheet.sample("hexad_network_joined", &[("network", &network.name)], u8::from(network.state == NetworkState::Joined));
    }
    sheet.family("hexad_network_peers", "gauge", "Peers that are known.");
    for network in &status.networks {
        sheet.sample("hexad_network_peers", &[("network", &network.name)], network.peers);
    }
    sheet.family("hexad_network_figure", "gauge", "What else there is to count in a network, by name.");
    for network in &status.networks {
        for (name, figure) in &network.figures {
            sheet.sample("hexad_network_figure", &[("network", &network.name), ("figure", name)], figure);
        }
    }
}

/// What is being written.
#[derive(Default)]
struct Sheet(String);

impl Sheet {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], figure: impl Display) {
        let labels: Vec<String> = labels.iter().map(|(label, text)| format!("{label}=\"{}\"", escaped(text))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.0, "{name}{labels} {figure}");
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, figure: impl Display) {
        self.family(name, kind, help);
        self.sample(name, &[], figure);
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
