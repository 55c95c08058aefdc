//! How a task is to be carried out: limits, order, goals.

use clap::Args;
use hexad_api::{How, Limits};

/// Limits of all networks together.
#[derive(Debug, Args)]
pub struct LimitArgs {
    /// Receive no more than so many bytes a second (500k, 2MiB), on all networks together
    #[arg(long, value_name = "RATE", value_parser = parse_rate)]
    pub max_down: Option<u64>,
    /// Send no more than so many bytes a second, on all networks together
    #[arg(long, value_name = "RATE", value_parser = parse_rate)]
    pub max_up: Option<u64>,
}

impl LimitArgs {
    /// The limits of a session.
    pub fn limits(&self) -> Limits {
        let mut limits = Limits::default();
        self.lay(&mut limits);
        limits
    }

    /// Lays what was given over `limits`.
    pub fn lay(&self, limits: &mut Limits) {
        limits.down_bytes_per_s = self.max_down.unwrap_or(limits.down_bytes_per_s);
        limits.up_bytes_per_s = self.max_up.unwrap_or(limits.up_bytes_per_s);
    }
}

/// In which order files come.
#[derive(Clone, Debug, Args)]
pub struct OrderArgs {
    /// Fetch from the front to the end where the network has a choice (BitTorrent), in place of the rarest first
    #[arg(long)]
    pub sequential: bool,
    /// Fetch these files before the others: as for --select; may be repeated
    #[arg(long, value_name = "FILES")]
    pub first: Vec<String>,
    /// Fetch these files after the others: as for --select; may be repeated
    #[arg(long, value_name = "FILES")]
    pub last: Vec<String>,
}

/// When there is an end to seeding.
#[derive(Debug, Args)]
pub struct GoalArgs {
    /// Seed until so much was given: 1 is as much as there is, 1.5 half as much again
    #[arg(long, value_name = "RATIO", value_parser = parse_ratio)]
    pub seed_ratio: Option<u64>,
    /// Seed for so long (90s, 30m, 2h, 1d)
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub seed_time: Option<u64>,
}

impl GoalArgs {
    /// Whether any goal was named.
    pub fn is_given(&self) -> bool {
        self.seed_ratio.is_some() || self.seed_time.is_some()
    }

    /// The same in the words of a session.
    pub fn how(&self) -> How {
        How { ratio_percent: self.seed_ratio, seed_s: self.seed_time, ..How::default() }
    }
}

/// A number with one of these units; `1.5` where it may be.
fn with_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let unit = unit.trim().to_ascii_lowercase();
    let factor = units.iter().find(|(name, _)| *name == unit)?.1;
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let whole = whole.parse::<u64>().ok()?.checked_mul(factor)?;
    if part.is_empty() {
        return (!number.ends_with('.')).then_some(whole);
    }
    let digits = u32::try_from(part.len()).ok().filter(|digits| *digits <= 9)?;
    let part = part.parse::<u64>().ok()?;
    whole.checked_add(u64::try_from(u128::from(part) * u128::from(factor) / 10_u128.pow(digits)).ok()?)
}

const BYTES: [(&str, u64); 8] =
    [("", 1), ("b", 1), ("k", 1 << 10), ("kib", 1 << 10), ("m", 1 << 20), ("mib", 1 << 20), ("g", 1 << 30), ("gib", 1 << 30)];

/// A number of bytes, for arguments.
///
/// # Errors
/// What was expected.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    with_unit(text, &BYTES).ok_or_else(|| format!("expected a number of bytes such as 262144, 256KiB or 1MiB, came '{text}'"))
}

/// Bytes a second, with a unit.
///
/// # Errors
/// What was expected.
pub fn parse_rate(text: &str) -> Result<u64, String> {
    let rate = with_unit(text.trim_end_matches("/s"), &BYTES).filter(|rate| *rate > 0);
    rate.ok_or_else(|| format!("expected bytes a second such as 800000, 500k or 2.5MiB, came '{text}'"))
}

fn parse_ratio(text: &str) -> Result<u64, String> {
    let percent = with_unit(text, &[("", 100), ("%", 1)]);
    percent.ok_or_else(|| format!("expected a ratio such as 1, 1.5 or 200%, came '{text}'"))
}

/// Seconds, with a unit.
///
/// # Errors
/// What was expected.
pub fn parse_time(text: &str) -> Result<u64, String> {
    let seconds = with_unit(text, &[("", 1), ("s", 1), ("m", 60), ("h", 3600), ("d", 86_400)]);
    seconds.ok_or_else(|| format!("expected a time such as 90s, 30m, 2h or 1d, came '{text}'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_ratios_and_times_are_read_with_their_units() {
        for (text, expected) in [("1", 1), ("500k", 512_000), ("2.5MiB", 2_621_440), ("1g", 1 << 30), ("100kib/s", 102_400)] {
            assert_eq!(parse_rate(text), Ok(expected), "{text}");
        }
        for (text, expected) in [("1", 100), ("1.5", 150), ("0.25", 25), ("200%", 200)] {
            assert_eq!(parse_ratio(text), Ok(expected), "{text}");
        }
        for (text, expected) in [("90", 90), ("90s", 90), ("1.5h", 5_400), ("2d", 172_800)] {
            assert_eq!(parse_time(text), Ok(expected), "{text}");
        }
        for text in ["", "0", "k", "1x", "-1", "1.", ".5", "1..2", "99999999999999999999"] {
            assert!(parse_rate(text).is_err(), "{text}");
        }
    }
}
