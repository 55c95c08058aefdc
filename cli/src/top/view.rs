//! How the live view looks. Nothing is said by colour alone.

use hexad_api::node::{Download, DownloadSort, NetworkStatus};
use indicatif::{HumanBytes, HumanDuration};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Cell, Paragraph, Row, Sparkline, Table};

use super::model::Model;
use crate::downloads;
use crate::out::tame;
use crate::status;

/// Rows of the curves of rates.
const CURVE_ROWS: u16 = 5;
const BAR_LETTERS: usize = 12;
const KEYS: &str = "↑↓ select   p pause   r resume   s sort   q quit";

/// Draws all of it.
pub fn draw(frame: &mut Frame<'_>, model: &mut Model) {
    let networks = model.status.as_ref().map_or(0, |status| status.networks.len());
    let networks_rows = u16::try_from(networks).unwrap_or(6).min(12) + 3;
    let [head, curves, above, below, foot] = Layout::vertical([
        Constraint::Length(2),
        Constraint::Length(CURVE_ROWS),
        Constraint::Length(networks_rows),
        Constraint::Min(4),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    draw_head(frame, model, head);
    draw_curves(frame, model, curves);
    draw_networks(frame, model, above);
    draw_downloads(frame, model, below);
    let said = match (&model.problem, &model.note) {
        (Some(problem), _) => format!("! {}", tame(&problem.message)),
        (None, Some(note)) => format!("! {}", tame(note)),
        (None, None) => KEYS.to_owned(),
    };
    frame.render_widget(Paragraph::new(said).style(Style::new().add_modifier(Modifier::DIM)), foot);
}

fn draw_head(frame: &mut Frame<'_>, model: &Model, area: Rect) {
    let Some(status) = &model.status else { return };
    let totals = &status.totals;
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let up_for = HumanDuration(std::time::Duration::from_secs(totals.uptime_s));
    let first = Line::from(vec![
        Span::styled(format!("Hexad {}", tame(&totals.version)), bold),
        Span::raw(format!(" at {}, up {up_for}, {} of memory", model.url, HumanBytes(totals.memory_bytes))),
    ]);
    let (downloads, library) = (&totals.downloads, &totals.library);
    let hashing = if library.hashing == 0 { String::new() } else { format!(" ({} being hashed)", library.hashing) };
    let second = Line::from(format!("{}   {} shares of {}{hashing}", status::counts(downloads), library.shares, HumanBytes(library.bytes)));
    frame.render_widget(Paragraph::new(vec![first, second]), area);
}

fn draw_curves(frame: &mut Frame<'_>, model: &Model, area: Rect) {
    let [left, right] = Layout::horizontal([Constraint::Percentage(50), Constraint::Percentage(50)]).areas(area);
    let limits = model.status.as_ref().map(|status| status.totals.limits).unwrap_or_default();
    for (area, name, rates, limit) in
        [(left, "down", &model.down, limits.down_bytes_per_s), (right, "up", &model.up, limits.up_bytes_per_s)]
    {
        let at_present = rates.back().copied().unwrap_or(0);
        let block = Block::bordered().title(format!(" {name} {} ", downloads::rate(at_present, limit)));
        let width = usize::from(block.inner(area).width);
        let latest: Vec<u64> = rates.iter().skip(rates.len().saturating_sub(width)).copied().collect();
        frame.render_widget(Sparkline::default().block(block).data(&latest), area);
    }
}

fn draw_networks(frame: &mut Frame<'_>, model: &Model, area: Rect) {
    let row = |network: &NetworkStatus| {
        let said = match &network.problem {
            Some(problem) => tame(&problem.message),
            None => {
                let figures = network.figures.iter().map(|(name, figure)| format!("{} {figure}", tame(&name.replace('_', " "))));
                figures.collect::<Vec<_>>().join("   ")
            }
        };
        Row::new([tame(&network.name), status::state(network.state).to_owned(), network.peers.to_string(), said])
    };
    let rows: Vec<Row<'_>> = model.status.iter().flat_map(|status| &status.networks).map(row).collect();
    let widths = [Constraint::Length(12), Constraint::Length(8), Constraint::Length(7), Constraint::Min(10)];
    let table = Table::new(rows, widths)
        .header(Row::new(["network", "state", "peers", ""]).style(Style::new().add_modifier(Modifier::DIM)))
        .block(Block::bordered().title(" networks "));
    frame.render_widget(table, area);
}

fn draw_downloads(frame: &mut Frame<'_>, model: &mut Model, area: Rect) {
    let row = |download: &Download| {
        Row::new([
            Cell::from(download.id.to_string()),
            Cell::from(downloads::state(download.state)),
            Cell::from(bar(download)),
            Cell::from(HumanBytes(download.wanted_bytes).to_string()),
            Cell::from(downloads::rate(download.down_bytes_per_s, download.limits.down_bytes_per_s)),
            Cell::from(downloads::rate(download.up_bytes_per_s, download.limits.up_bytes_per_s)),
            Cell::from(download.peers.map(|peers| peers.to_string()).unwrap_or_default()),
            Cell::from(tame(&download.name)),
        ])
    };
    let rows: Vec<Row<'_>> = model.downloads.iter().map(row).collect();
    let shown =
        if model.total > model.downloads.len() { format!("{} of {}", model.downloads.len(), model.total) } else { model.total.to_string() };
    let by = match model.sort {
        DownloadSort::Added => "the latest first",
        DownloadSort::Name => "by name",
        DownloadSort::Progress => "the least complete first",
        DownloadSort::Rate => "the fastest first",
        DownloadSort::Queue => "as they follow in the queue",
    };
    // A limit stands beside the rate, and wants its room only where there is one.
    let room = |limit: fn(&Download) -> u64| Constraint::Length(if model.downloads.iter().any(|one| limit(one) > 0) { 25 } else { 14 });
    let widths = [
        Constraint::Length(5),
        Constraint::Length(9),
        Constraint::Length(18),
        Constraint::Length(11),
        room(|download| download.limits.down_bytes_per_s),
        room(|download| download.limits.up_bytes_per_s),
        Constraint::Length(6),
        Constraint::Min(10),
    ];
    let table = Table::new(rows, widths)
        .header(Row::new(["id", "state", "done", "size", "down", "up", "peers", "name"]).style(Style::new().add_modifier(Modifier::DIM)))
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED))
        .highlight_symbol("▸")
        .block(Block::bordered().title(format!(" downloads: {shown}, {by} ")));
    frame.render_stateful_widget(table, area, &mut model.table);
}

/// How much of it is there: a bar and a figure.
fn bar(download: &Download) -> String {
    let full = match download.wanted_bytes {
        0 => 0,
        wanted => usize::try_from(u128::from(download.verified_bytes) * BAR_LETTERS as u128 / u128::from(wanted)).unwrap_or(0),
    };
    let full = full.min(BAR_LETTERS);
    format!("{}{} {}", "█".repeat(full), "░".repeat(BAR_LETTERS - full), downloads::done(download))
}

#[cfg(test)]
mod tests {
    use hexad_api::node::{DownloadState, NetworkState, Page, Status, Totals};
    use hexad_api::{Limits, Problem};
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use ratatui::crossterm::event::KeyCode;

    use super::super::model::{Deed, Seen};
    use super::*;

    fn download(id: u64, verified_bytes: u64) -> Download {
        Download {
            id,
            name: format!("film {id}\u{1b}[2J.mkv"),
            state: DownloadState::Fetching,
            source: String::new(),
            on: Vec::new(),
            into: String::new(),
            wanted_bytes: 1000,
            verified_bytes,
            down_bytes_per_s: 10,
            up_bytes_per_s: 0,
            limits: Limits { down_bytes_per_s: 4096, up_bytes_per_s: 0 },
            downloaded_bytes: 0,
            uploaded_bytes: 0,
            peers: Some(3),
            seeds: None,
            moving_to: None,
            eta_s: None,
            place: 1,
            added_s: 0,
            completed_s: None,
            path: None,
            seq: None,
            newer: None,
            unproven: false,
            problem: None,
        }
    }

    fn seen(downloads: Vec<Download>) -> Seen {
        let network = |name: &str, state, problem: Option<&str>| NetworkStatus {
            name: name.into(),
            state,
            peers: 12,
            figures: [("dht_nodes".to_owned(), 400)].into(),
            doors: Vec::new(),
            problem: problem.map(Problem::new),
            abilities: hexad_api::node::AbilitiesOf::default(),
            overlay: None,
        };
        let limits = Limits { down_bytes_per_s: 1 << 20, up_bytes_per_s: 0 };
        let totals = Totals { version: "1.2.3".into(), uptime_s: 61, down_bytes_per_s: 2048, limits, ..Totals::default() };
        let networks =
            vec![network("bittorrent", NetworkState::Joined, None), network("kazaa", NetworkState::Failed, Some("nobody answers"))];
        let page = Page { total: downloads.len(), offset: 0, items: downloads };
        Seen { status: Ok((Status { totals, networks }, page)), note: None }
    }

    fn shown(model: &mut Model) -> String {
        let mut terminal = Terminal::new(TestBackend::new(110, 22)).expect("a terminal");
        terminal.draw(|frame| draw(frame, model)).expect("drawn");
        terminal.backend().to_string()
    }

    #[test]
    fn a_node_is_shown_with_its_networks_and_downloads() {
        let mut model = Model::new("http://127.0.0.1:4080/");
        model.take(seen(vec![download(1, 250), download(2, 1000)]));
        let picture = shown(&mut model);
        for part in [
            "Hexad 1.2.3 at http://127.0.0.1:4080/",
            "down 2.00 KiB/s of 1.00 MiB/s",
            "10 B/s of 4.00 KiB/s",
            "dht nodes 400",
            "nobody answers",
            "███░░░░░░░░░ 25 %",
            "▸1",
            KEYS,
        ] {
            assert!(picture.contains(part), "{part} is missing in\n{picture}");
        }
        assert!(!picture.contains('\u{1b}'), "a name cannot steer the terminal");
    }

    #[test]
    fn a_node_that_no_longer_answers_is_shown_as_it_was_last_with_the_reason() {
        let mut model = Model::new("http://127.0.0.1:4080/");
        model.take(seen(vec![download(1, 250)]));
        model.take(Seen { status: Err(Problem::new("no node answers")), note: None });
        let picture = shown(&mut model);
        assert!(picture.contains("! no node answers") && picture.contains("25 %"), "{picture}");
    }

    #[test]
    fn what_is_selected_stays_so_wherever_it_stands() {
        let mut model = Model::new("");
        model.take(seen(vec![download(1, 0), download(2, 0), download(3, 0)]));
        assert_eq!(model.press(KeyCode::Down), None);
        assert_eq!(model.press(KeyCode::Char('p')), Some(Deed::Pause(2)));
        model.take(seen(vec![download(2, 0), download(3, 0), download(1, 0)]));
        assert_eq!(model.press(KeyCode::Char('r')), Some(Deed::Resume(2)));
        assert_eq!(model.press(KeyCode::End), None);
        assert_eq!(model.press(KeyCode::Char('p')), Some(Deed::Pause(1)));
        model.take(seen(Vec::new()));
        assert_eq!(model.press(KeyCode::Char('p')), None);
        assert_eq!(model.press(KeyCode::Char('q')), Some(Deed::Quit));
    }
}
