//! Tables as RFC 4180 writes them. A column's unit stands behind its name.

use crate::outcome::{Cell, Column, Plot, Table};

pub(super) fn of_table(table: &Table) -> String {
    let heads = table.columns.iter().map(Column::words);
    let rows = table.rows.iter().map(|row| row.iter().map(written).collect::<Vec<_>>());
    lines(std::iter::once(heads.collect()).chain(rows))
}

/// One line for each point.
pub(super) fn of_plot(plot: &Plot) -> String {
    let points = plot
        .series
        .iter()
        .flat_map(|series| series.points.iter().map(|(x, y)| vec![series.name.clone(), x.to_string(), y.to_string()]).collect::<Vec<_>>());
    lines(std::iter::once(vec!["series".into(), plot.x.words(), plot.y.words()]).chain(points))
}

fn written(cell: &Cell) -> String {
    match cell {
        Cell::Count(count) => count.to_string(),
        Cell::Number(number) => number.to_string(),
        Cell::Text(text) => text.clone(),
        Cell::Empty => String::new(),
    }
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
