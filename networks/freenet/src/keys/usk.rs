//! Sites with editions: each edition is an SSK of its own, and hints by date say which one was the newest then.

/// The SSK document of one edition of a site.
#[must_use]
pub fn edition_name(site: &str, edition: u64) -> String {
    format!("{site}-{edition}")
}

/// One of the hints of a day, each written over by nobody: who is first on that day, in that week, month or year has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DateHint {
    /// SSK document.
    pub name: String,
}

/// The hints of the day that holds `unix_s`, the widest span first: year, month, week, day. Months count from 0, as Hyphanet's do.
#[must_use]
pub fn date_hints(site: &str, unix_s: u64) -> [DateHint; 4] {
    let (year, month, day, ordinal, weekday) = calendar(unix_s);
    // Weeks as in the United States: they begin on Sunday, and week 1 holds the first of January.
    let first_weekday = (weekday + 371 - ordinal % 7) % 7;
    let week = (ordinal + first_weekday) / 7 + 1;
    let name = |rest: String| DateHint { name: format!("{site}-DATEHINT-{year}{rest}") };
    [name(String::new()), name(format!("-{}", month - 1)), name(format!("-WEEK-{week}")), name(format!("-{}-{day}", month - 1))]
}

/// What a hint says.
#[must_use]
pub fn hint_text(edition: u64, unix_s: u64) -> String {
    let (year, month, day, ..) = calendar(unix_s);
    format!("HINT\n{edition}\n{year}-{}-{day}\n", month - 1)
}

/// The edition that a hint names.
#[must_use]
pub fn hint_of(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    let mut lines = text.lines();
    (lines.next()? == "HINT").then_some(())?;
    lines.next()?.parse().ok()
}

/// Year, month (1–12), day, day of the year (from 0), weekday (Sunday 0), by Howard Hinnant's `civil_from_days`.
fn calendar(unix_s: u64) -> (u64, u64, u64, u64, u64) {
    let days = unix_s / 86_400;
    let weekday = (days + 4) % 7;
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let of_era = shifted % 146_097;
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let leap = (year.is_multiple_of(4) && !year.is_multiple_of(100)) || year.is_multiple_of(400);
    let before: u64 = (1..month)
        .map(|month| match month {
            2 => 28 + u64::from(leap),
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        })
        .sum();
    (year, month, day, before + day - 1, weekday)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_name_year_month_week_and_day() {
        // Thursday, 26 November 2026.
        let names = date_hints("site", 1_795_651_200).map(|hint| hint.name);
        assert_eq!(names, ["site-DATEHINT-2026", "site-DATEHINT-2026-10", "site-DATEHINT-2026-WEEK-48", "site-DATEHINT-2026-10-26"]);
        // Sunday, 1 January 2023, and Saturday, 31 December 2022.
        assert_eq!(date_hints("s", 1_672_531_200)[2].name, "s-DATEHINT-2023-WEEK-1");
        assert_eq!(date_hints("s", 1_672_531_199)[3].name, "s-DATEHINT-2022-11-31");
        assert_eq!(hint_of(hint_text(17, 1_795_651_200).as_bytes()), Some(17));
        assert_eq!(hint_of(b"HINT\nx\n"), None);
    }
}
