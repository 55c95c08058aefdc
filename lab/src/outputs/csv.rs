//! Tables as RFC 4180 writes them. A column's unit stands behind its name.

use crate::outcome::{Cell, Column, Plot, Series, Table};

pub(super) fn of_table(table: &Table) -> String {
    let heads = table.columns.iter().map(Column::words);
    let rows = table.rows.iter().map(|row| row.iter().map(Cell::exact).collect::<Vec<_>>());
    lines(std::iter::once(heads.collect()).chain(rows))
}

/// One line for each point; where seeds differ, with how far away the true value may be.
pub(super) fn of_plot(plot: &Plot) -> String {
    let is_spread = plot.series.iter().any(|series| !series.spread.is_empty());
    let point = |series: &Series, at: usize| {
        let (x, y) = series.points[at];
        let (across, up) = series.spread.get(at).copied().unwrap_or_default();
        let spread = is_spread.then(|| [across.to_string(), up.to_string()]);
        [series.name.clone(), x.to_string(), y.to_string()].into_iter().chain(spread.into_iter().flatten()).collect::<Vec<_>>()
    };
    let heads = [String::from("series"), plot.x.words(), plot.y.words()].into_iter();
    let heads = heads.chain(is_spread.then(|| ["± across", "± up"].map(String::from)).into_iter().flatten());
    let points = plot.series.iter().flat_map(|series| (0..series.points.len()).map(move |at| point(series, at)));
    lines(std::iter::once(heads.collect()).chain(points))
}

fn lines(rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut text = String::new();
    for row in rows {
        let fields: Vec<String> = row.into_iter().map(quoted).collect();
        text += &fields.join(",");
        text += "\r\n";
    }
    text
}

fn quoted(field: String) -> String {
    if field.contains([',', '"', '\n', '\r']) { format!("\"{}\"", field.replace('"', "\"\"")) } else { field }
}
