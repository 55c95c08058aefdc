use std::fs;

use super::{csv, svg, write};
use crate::{Axis, Cell, Plot, Scenario, Style, Table};

fn plot() -> Plot {
    let mut plot = Plot::new("hops", "How many hops?", Axis::logarithmic("nodes", ""), Axis::linear("time", "s"));
    plot.add("measured <&>", Style::Line, [(10.0, 1.5), (1000.0, 3.0), (0.0, 9.0)]);
    plot.add("theory", Style::Reference, [(10.0, 1.0), (1000.0, 3.0)]);
    plot.add("counts", Style::Bars, [(10.0, 1.0), (100.0, 2.0)]);
    plot
}

#[test]
fn a_table_is_written_with_units_and_quotes() {
    let mut table = Table::new("t", "A table", &[("who", ""), ("how long", "s")]);
    table.row(["a, \"b\"".into(), 1.5.into()]);
    table.row(["c".into(), Cell::Empty]);
    assert_eq!(csv::of_table(&table), "who,how long (s)\r\n\"a, \"\"b\"\"\",1.5\r\nc,\r\n");
}

#[test]
fn a_picture_has_its_question_its_axes_with_units_and_its_run() {
    let drawn = svg::draw(&plot(), "chord nodes=10 seed=7 #0000000000000001");
    for words in ["How many hops?", ">nodes<", "time (s)", "measured &lt;&amp;&gt;", "stroke-dasharray", "seed=7", "#0000000000000001"] {
        assert!(drawn.contains(words), "{words}");
    }
    assert!(!drawn.contains("NaN") && !drawn.contains("inf"));
    assert!(!svg::draw(&Plot { series: Vec::new(), ..plot() }, "").contains("NaN"), "no curves, no nonsense");
}

#[test]
fn where_seeds_differ_a_picture_shows_by_how_much() {
    let mut spread = Plot::new("s", "How sure is that?", Axis::of_names("network", ["ring", "flood"]), Axis::linear("answered", "share"));
    spread.add_spread("at once", Style::Points, [((1.0, 0.5), (0.0, 0.1)), ((2.0, 0.7), (0.0, 0.0))]);
    let drawn = svg::draw(&spread, "");
    assert!(drawn.contains(">ring<") && drawn.contains(">flood<"));
    let strokes = |drawn: &str| drawn.matches("stroke=\"#0072b2\"").count();
    assert_eq!(strokes(&drawn), 3, "one line and its two feet");
    assert_eq!(csv::of_plot(&spread), "series,network,answered (share),± across,± up\r\nat once,1,0.5,0,0.1\r\nat once,2,0.7,0,0\r\n");
    // Without any difference there is neither a line nor a column.
    spread.series.clear();
    spread.add_spread("at once", Style::Points, [((1.0, 0.5), (0.0, 0.0))]);
    assert_eq!(strokes(&svg::draw(&spread, "")), 0);
    assert!(!csv::of_plot(&spread).contains('±'));
    // What may be zero or less ends at the edge of a picture of powers.
    let mut powers = Plot::new("p", "?", Axis::logarithmic("users", ""), Axis::logarithmic("messages", ""));
    powers.add_spread("a", Style::Line, [((10.0, 5.0), (0.0, 9.0)), ((100.0, 50.0), (0.0, 1.0))]);
    let drawn = svg::draw(&powers, "");
    assert!(!drawn.contains("NaN") && !drawn.contains("inf"), "{drawn}");
}

#[test]
fn a_run_is_written_as_json_tables_and_pictures() {
    let scenario = Scenario {
        name: "test/write",
        run: |_, _| {
            let mut table = Table::new("t", "A table", &[("who", "")]);
            table.row(["a".into()]);
            let mut outcome = crate::Outcome { tables: vec![table], plots: vec![plot()], ..crate::Outcome::default() };
            outcome.find("T1", "a figure", crate::Expected::exactly(1.0), 2.0);
            Ok(outcome)
        },
        ..Scenario::PLAIN
    };
    let run = scenario.execute(&scenario.params([]).unwrap(), &mut crate::Silent).unwrap();
    let folder = std::env::temp_dir().join(format!("hexad-lab-{}", std::process::id()));
    let written = write(&folder, &run).unwrap();
    let names: Vec<_> = written.iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect();
    assert_eq!(names, ["test-write-1.jsonl", "test-write-1.t.csv", "test-write-1.hops.csv", "test-write-1.hops.svg"]);
    let json = fs::read_to_string(&written[0]).unwrap();
    let kinds: Vec<String> =
        json.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["kind"].as_str().unwrap().to_owned()).collect();
    assert_eq!(kinds, ["run", "table", "plot", "finding"]);
    fs::remove_dir_all(folder).unwrap();
}
