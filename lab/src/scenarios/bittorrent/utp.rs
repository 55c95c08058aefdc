//! uTP on a line with a bottleneck: alone, beside a TCP download, and several streams together (UT1 to UT4).
//!
//! The state machine is the one that the driver runs (`transport/utp`), and the line is that of its tests.

use hexad_core::Span;
use hexad_utp::Config;
use hexad_utp::line::{Lap, Line, Manner, Race};

use crate::dice::mix;
use crate::gauge::Gauge;
use crate::outcome::{Axis, Cell, Expected, Outcome, Plot, Style, Table};
use crate::scenario::{Claim, Parameter, Params, Scenario};
use crate::value::Preset;

/// What an unmeasured while at the start of each part takes, as part of it: LEDBAT needs a few round trips to find its queue.
const SETTLING: u32 = 2;
/// Points of a curve for each part.
const POINTS: u32 = 20;
/// Of 1,500 bytes on the line, 48 are headers of IP, UDP and uTP; what a stream carries is less by so much.
const HEADERS: f64 = 1_452.0 / 1_500.0;

/// The scenario `bittorrent/utp`.
pub static UTP: Scenario = Scenario {
    name: "bittorrent/utp",
    about: "uTP on a line with a bottleneck: alone, beside a TCP download, after it, and several streams together",
    nodes: 2,
    parameters: &[
        Parameter { name: "rate", default: Preset::Count(2_000_000), help: "the bottleneck, bytes a second" },
        Parameter { name: "delay", default: Preset::Seconds(0.02), help: "of the line, one way" },
        Parameter {
            name: "queue",
            default: Preset::Count(1_000_000),
            help: "bytes that wait at the bottleneck; what finds no room is lost",
        },
        Parameter { name: "loss", default: Preset::Count(0), help: "one packet of so many is lost by itself; 0 none" },
        Parameter { name: "downloads", default: Preset::Count(1), help: "TCP downloads (Reno) in the second part" },
        Parameter { name: "part", default: Preset::Seconds(60.0), help: "how long each part takes" },
    ],
    claims: &[
        Claim { id: "UT1", says: "alone, uTP fills the line and keeps the queue at its target", source: "RFC 6817; BEP 29" },
        Claim { id: "UT2", says: "uTP gives way to a TCP download and comes back after it", source: "RFC 6817; BEP 29" },
        Claim { id: "UT3", says: "streams of uTP share a line, and go on to keep its queue short", source: "RFC 6817" },
        Claim { id: "UT4", says: "over 100 ms without loss uTP reaches more than half of TCP's rate", source: "ours" },
    ],
    small: &[("part", "20s")],
    full: &[("part", "120s")],
    seeds: (1, 5),
    run,
};

/// A line with nobody on it.
fn race(params: &Params, manner: Manner) -> Race {
    Race::new(Line::new(manner, &Config::default(), params.seed()))
}

fn manner(params: &Params) -> Manner {
    Manner {
        rate: params.count("rate").max(1),
        delay: params.span("delay"),
        queue_bytes: params.count("queue"),
        loss: params.count("loss"),
        disorder: 0,
    }
}

/// A part of the run, of which the beginning is not measured.
struct Part {
    name: &'static str,
    laps: Vec<Lap>,
    seconds: f64,
}

impl Part {
    fn run(name: &'static str, race: &mut Race, span: Span, gauge: &mut Gauge<'_>) -> Self {
        gauge.phase(name);
        let before = race.line.packets();
        race.run(span / SETTLING);
        let laps = (1..=POINTS).map(|point| {
            let lap = race.run(span / POINTS);
            gauge.step(f64::from(point) / f64::from(POINTS), race.line.packets() - before);
            lap
        });
        let laps = laps.collect();
        gauge.end();
        Self { name, laps, seconds: span.as_secs_f64() }
    }

    /// Bytes a second of each of `of`.
    #[expect(clippy::cast_precision_loss, reason = "rates for people")]
    fn rates(&self, of: impl Fn(&Lap) -> &[u64]) -> Vec<f64> {
        let count = self.laps.first().map_or(0, |lap| of(lap).len());
        (0..count).map(|one| self.laps.iter().map(|lap| of(lap)[one] as f64).sum::<f64>() / self.seconds).collect()
    }

    /// What streams take of the line, headers included.
    fn streams(&self) -> f64 {
        self.rates(|lap| &lap.streams).iter().fold(0.0, |all, one| all + one) / HEADERS
    }

    fn downloads(&self) -> f64 {
        self.rates(|lap| &lap.downloads).iter().fold(0.0, |all, one| all + one)
    }

    fn queue_ms(&self) -> (f64, f64) {
        let ms = |span: Span| span.as_secs_f64() * 1000.0;
        let longest = self.laps.iter().map(|lap| ms(lap.queue_longest)).fold(0.0, f64::max);
        (self.laps.iter().map(|lap| ms(lap.queue_mean)).sum::<f64>() / f64::from(POINTS), longest)
    }
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn run(params: &Params, gauge: &mut Gauge<'_>) -> Result<Outcome, String> {
    let (span, rate) = (params.span("part"), params.count("rate").max(1) as f64);
    let blocked = || "the line lets nothing through".to_owned();
    let mut outcome = Outcome::default();

    let mut one = race(params, manner(params));
    one.add_stream().then_some(()).ok_or_else(blocked)?;
    let alone = Part::run("alone", &mut one, span, gauge);
    (0..params.count("downloads")).for_each(|_| one.add_download());
    let beside = Part::run("beside", &mut one, span, gauge);
    one.end_downloads();
    let after = Part::run("after", &mut one, span, gauge);

    let mut several = race(params, manner(params));
    for _ in 0..params.nodes() {
        several.add_stream().then_some(()).ok_or_else(blocked)?;
        several.run(Span::from_secs(1));
    }
    let together = Part::run("together", &mut several, span, gauge);

    // Rate where there is no bottleneck: nothing but windows and the way there and back.
    let far = Manner { rate: 25_000_000, delay: Span::from_millis(50), queue_bytes: 4 << 20, ..Manner::default() };
    let mut by_utp = race(params, far);
    by_utp.add_stream().then_some(()).ok_or_else(blocked)?;
    let by_utp_part = Part::run("far, uTP", &mut by_utp, span / 4, gauge);
    let mut by_tcp = race(params, far);
    by_tcp.add_download();
    let by_tcp_part = Part::run("far, TCP", &mut by_tcp, span / 4, gauge);

    let parts = [&alone, &beside, &after, &together, &by_utp_part, &by_tcp_part];
    for race in [&one, &several, &by_utp, &by_tcp] {
        let digest = parts.iter().flat_map(|part| &part.laps).fold(mix(race.line.packets()), |digest, lap| {
            let carried = lap.streams.iter().chain(&lap.downloads).sum::<u64>();
            mix(digest ^ carried ^ lap.lost << 48)
        });
        outcome.absorb_counts(params.nodes(), race.line.packets(), race.line.elapsed(), digest);
    }

    let mut table = Table::new(
        "rates",
        "Who gets what of the line, headers included",
        &[("part", ""), ("uTP", "KiB/s"), ("TCP", "KiB/s"), ("queue, mean", "ms"), ("queue, longest", "ms"), ("lost", "packets")],
    );
    for part in parts {
        let (mean, longest) = part.queue_ms();
        let kib = |rate: f64| Cell::from(rate / 1024.0);
        let lost: u64 = part.laps.iter().map(|lap| lap.lost).sum();
        table.row([part.name.into(), kib(part.streams()), kib(part.downloads()), mean.into(), longest.into(), lost.into()]);
    }
    outcome.tables.push(table);
    outcome.plots.push(plot(&[&alone, &beside, &after]));

    let target_ms = Config::default().target_delay.as_secs_f64() * 1000.0;
    outcome.find("UT1", "use of the line alone, share", Expected::AtLeast(0.9), alone.streams() / rate);
    outcome.find("UT1", "queue alone, mean, ms", Expected::AtMost(target_ms * 1.1), alone.queue_ms().0);
    let tcp_share = beside.downloads() / (beside.downloads() + beside.streams());
    outcome.find("UT2", "TCP's share of what both get", Expected::AtLeast(0.8), tcp_share);
    outcome.find("UT2", "use of the line by both, share", Expected::AtLeast(0.9), (beside.downloads() + beside.streams()) / rate);
    outcome.find("UT2", "use of the line after it, share", Expected::AtLeast(0.85), after.streams() / rate);
    let each = together.rates(|lap| &lap.streams);
    let (least, most) = (each.iter().copied().fold(f64::INFINITY, f64::min), each.iter().copied().fold(0.0, f64::max));
    outcome.find("UT3", "use of the line by all, share", Expected::AtLeast(0.9), together.streams() / rate);
    outcome.find("UT3", "queue of all, mean, ms", Expected::AtMost(target_ms * 2.0), together.queue_ms().0);
    outcome.find("UT3", "who gets least over who gets most", Expected::AtLeast(0.25), least / most.max(1.0));
    outcome.find("UT4", "uTP's rate over TCP's, 100 ms", Expected::AtLeast(0.5), by_utp_part.streams() / by_tcp_part.downloads().max(1.0));
    outcome.remarks = vec![
        "The TCP download is a Reno of the textbook, whose acknowledgements never queue. The first half of each part's length goes by before it is \
         measured."
            .into(),
        "UT3: who comes later takes the queue that he finds for the line's delay, and waits for more of it (RFC 6817, section 5). The bounds say that \
         nobody starves and that the queue does not grow without end; they promise no equal shares."
            .into(),
    ];
    Ok(outcome)
}

/// Rates over time.
#[expect(clippy::cast_precision_loss, reason = "points of a curve")]
fn plot(parts: &[&Part]) -> Plot {
    let (mut streams, mut downloads) = (Vec::new(), Vec::new());
    let mut at = 0.0;
    for part in parts {
        let step = part.seconds / f64::from(POINTS);
        at += part.seconds / f64::from(SETTLING);
        for lap in &part.laps {
            at += step;
            let kib = |bytes: &[u64]| bytes.iter().sum::<u64>() as f64 / step / 1024.0;
            streams.push((at, kib(&lap.streams) / HEADERS));
            downloads.push((at, kib(&lap.downloads)));
        }
    }
    let mut plot = Plot::new("rates", "Does uTP give way to TCP and come back?", Axis::linear("time", "s"), Axis::linear("rate", "KiB/s"));
    plot.add("uTP", Style::Line, streams);
    plot.add("TCP", Style::Line, downloads);
    plot
}
