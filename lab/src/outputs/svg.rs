//! One plot as a picture. Written by hand: what a crate for plots would add are fonts to measure text with, and what we need beside
//! curves (a question on top, a caption that repeats the run, curves that differ by more than colour) it would not draw.

use std::fmt::Write as _;

use crate::outcome::{Axis, Plot, Series, Style};

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 560.0;
/// Without a caption.
const HEIGHT_BARE: f64 = 490.0;
const LEFT: f64 = 80.0;
const RIGHT: f64 = 650.0;
const TOP: f64 = 60.0;
const BOTTOM: f64 = 430.0;
/// Letters in a line of the caption, and lines of it.
const CAPTION_LETTERS: usize = 135;
const CAPTION_LINES: usize = 3;

/// Okabe and Ito's colours, which most eyes tell apart.
const COLOURS: [&str; 7] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000"];

/// The picture. `caption` says by which run it was made; without one, nothing is left free for it.
pub(super) fn draw(plot: &Plot, caption: &str) -> String {
    let fits = |axis: &Axis, value: f64| value.is_finite() && (!axis.logarithmic || value > 0.0);
    let fit = |&(x, y): &(f64, f64)| fits(&plot.x, x) && fits(&plot.y, y);
    let shown = |series: &Series| -> Vec<(f64, f64)> { series.points.iter().copied().filter(fit).collect() };
    let curves: Vec<(&Series, Vec<(f64, f64)>)> = plot.series.iter().map(|series| (series, shown(series))).collect();
    let has_bars = plot.series.iter().any(|series| series.style == Style::Bars);
    // Where seeds differ, the ends of what the true value may be belong to the picture.
    let ends = |series: &Series| -> Vec<[(f64, f64); 2]> {
        let end = |(&(x, y), &(across, up)): (&(f64, f64), &(f64, f64))| [(x - across, y - up), (x + across, y + up)];
        series.points.iter().zip(&series.spread).filter(|(_, away)| **away != (0.0, 0.0)).map(end).collect()
    };
    let spreads: Vec<_> = plot.series.iter().map(ends).collect();
    let within = |axis: &Axis, value: f64| if axis.unit == "share" { value.clamp(0.0, 1.0) } else { value };
    let outermost = || spreads.iter().flatten().flatten().map(|&(x, y)| (within(&plot.x, x), within(&plot.y, y))).filter(fit);
    let points = || curves.iter().flat_map(|(_, points)| points.iter().copied()).chain(outermost());
    let x = Scale::over(&plot.x, points().map(|(x, _)| x), LEFT, RIGHT, false);
    let y = Scale::over(&plot.y, points().map(|(_, y)| y), BOTTOM, TOP, has_bars);

    let height = if caption.is_empty() { HEIGHT_BARE } else { HEIGHT };
    let mut svg = String::new();
    let _ = writeln!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"system-ui, sans-serif\" font-size=\"13\" role=\"img\">"
    );
    let _ = writeln!(svg, "<title>{}</title>", safe(&plot.question));
    let _ = writeln!(svg, "<rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>");
    text(&mut svg, (LEFT, 32.0), "start", "font-size=\"18\" font-weight=\"600\"", &plot.question);
    for (value, words) in x.ticks() {
        let at = x.at(value);
        line(&mut svg, (at, TOP), (at, BOTTOM), "#e4e4e4");
        text(&mut svg, (at, BOTTOM + 18.0), "middle", "fill=\"#444444\"", &words);
    }
    for (value, words) in y.ticks() {
        let at = y.at(value);
        line(&mut svg, (LEFT, at), (RIGHT, at), "#e4e4e4");
        text(&mut svg, (LEFT - 8.0, at + 4.0), "end", "fill=\"#444444\"", &words);
    }
    line(&mut svg, (LEFT, BOTTOM), (RIGHT, BOTTOM), "#444444");
    line(&mut svg, (LEFT, TOP), (LEFT, BOTTOM), "#444444");
    let middle = f64::midpoint(LEFT, RIGHT);
    text(&mut svg, (middle, BOTTOM + 40.0), "middle", "", &plot.x.words());
    let (across, up) = (22.0, f64::midpoint(TOP, BOTTOM));
    text(&mut svg, (across, up), "middle", &format!("transform=\"rotate(-90 {across} {up})\""), &plot.y.words());
    let drawn: Vec<Vec<(f64, f64)>> =
        curves.iter().map(|(_, points)| points.iter().map(|&(px, py)| (x.at(px), y.at(py))).collect()).collect();
    for (number, (series, _)) in curves.iter().enumerate() {
        let points = &drawn[number];
        let above = drawn[number + 1..].iter().filter(|later| coincide(points, later)).count();
        #[expect(clippy::cast_precision_loss, reason = "a handful of curves")]
        let pen = Pen { colour: COLOURS[number % COLOURS.len()], shape: number, width: 2.0 + 1.8 * above.min(6) as f64 };
        for [least, most] in &spreads[number] {
            // What reaches below the picture, as zero does where powers are shown, ends at its edge.
            let [left, right] = [least.0, most.0].map(|value| x.inside(value));
            let [foot, head] = [least.1, most.1].map(|value| y.inside(value));
            whisker(&mut svg, (left, foot), (right, head), pen.colour);
        }
        pen.curve(&mut svg, series.style, points);
        let pen = Pen { width: 2.0, ..pen };
        #[expect(clippy::cast_precision_loss, reason = "a handful of curves")]
        let at = TOP + 12.0 + 22.0 * number as f64;
        pen.curve(&mut svg, series.style, &[(RIGHT + 16.0, at), (RIGHT + 44.0, at)]);
        text(&mut svg, (RIGHT + 52.0, at + 4.0), "start", "", &series.name);
    }
    let mut at = HEIGHT - 58.0;
    for words in wrapped(caption).into_iter().filter(|words| !words.is_empty()) {
        text(&mut svg, (LEFT - 60.0, at), "start", "font-size=\"11\" fill=\"#666666\" font-family=\"monospace\"", &words);
        at += 16.0;
    }
    svg += "</svg>\n";
    svg
}

/// Values of an axis, and where they are drawn.
struct Scale<'a> {
    names: &'a [String],
    logarithmic: bool,
    least: f64,
    most: f64,
    from: f64,
    to: f64,
}

impl<'a> Scale<'a> {
    fn over(axis: &'a Axis, values: impl Iterator<Item = f64>, from: f64, to: f64, from_zero: bool) -> Self {
        let (mut least, mut most) =
            values.fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), value| (least.min(value), most.max(value)));
        if least > most {
            (least, most) = (1.0, 10.0);
        }
        if !axis.names.is_empty() {
            #[expect(clippy::cast_precision_loss, reason = "a handful of names")]
            let last = axis.names.len() as f64;
            (least, most) = (0.5, last + 0.5);
        } else if axis.logarithmic {
            (least, most) = (least.log10(), most.log10());
        } else if axis.unit == "share" {
            // All of it, or small differences look like large ones.
            (least, most) = (least.min(0.0), most.max(1.0));
        } else if from_zero || (least > 0.0 && least < most / 2.0) {
            least = least.min(0.0);
        }
        if most - least < 1e-12 {
            (least, most) = (least - 0.5, most + 0.5);
        }
        Self { names: &axis.names, logarithmic: axis.logarithmic, least, most: most + (most - least) * 0.04, from, to }
    }

    fn at(&self, value: f64) -> f64 {
        let value = if self.logarithmic { value.log10() } else { value };
        self.from + (value - self.least) / (self.most - self.least) * (self.to - self.from)
    }

    /// The same of a value that may lie outside: then, at the edge.
    fn inside(&self, value: f64) -> f64 {
        let at = if self.logarithmic && value <= 0.0 { self.from } else { self.at(value) };
        at.clamp(self.from.min(self.to), self.from.max(self.to))
    }

    /// Round values, and how they are written.
    fn ticks(&self) -> Vec<(f64, String)> {
        if !self.names.is_empty() {
            return (1_u32..).zip(self.names).map(|(number, name)| (number.into(), name.clone())).collect();
        }
        if self.logarithmic && self.most - self.least >= 1.0 {
            let mut power = self.least.ceil();
            let step = ((self.most - self.least) / 8.0).ceil();
            let mut ticks = Vec::new();
            while power <= self.most {
                ticks.push((10_f64.powf(power), short(10_f64.powf(power))));
                power += step;
            }
            return ticks;
        }
        let (least, most) = if self.logarithmic { (10_f64.powf(self.least), 10_f64.powf(self.most)) } else { (self.least, self.most) };
        let step = round_step((most - least) / 6.0);
        let mut value = (least / step).ceil() * step;
        let mut ticks = Vec::new();
        while value <= most && ticks.len() < 20 {
            ticks.push((value, short(value)));
            value += step;
        }
        ticks
    }
}

/// 1, 2 or 5 times a power of ten, not below `rough`.
fn round_step(rough: f64) -> f64 {
    let power = 10_f64.powf(rough.log10().floor());
    [1.0, 2.0, 5.0].into_iter().map(|digit| digit * power).find(|&step| step >= rough).unwrap_or(10.0 * power)
}

/// A tick's words: 0.25, 40, 2k, 10M.
fn short(value: f64) -> String {
    let (scaled, letter) = match value.abs() {
        size if size >= 999_999_500.0 => (value / 1e9, "G"),
        size if size >= 999_999.5 => (value / 1e6, "M"),
        size if size >= 9999.5 => (value / 1e3, "k"),
        _ => (value, ""),
    };
    if scaled == 0.0 {
        return "0".into();
    }
    if scaled.abs() < 0.001 {
        return format!("{scaled:.0e}");
    }
    let digits = format!("{scaled:.3}");
    format!("{}{letter}", digits.trim_end_matches('0').trim_end_matches('.'))
}

/// How a curve differs from the others.
struct Pen {
    colour: &'static str,
    shape: usize,
    width: f64,
}

/// Whether two curves share a stretch, so that the later would hide the earlier.
fn coincide(one: &[(f64, f64)], other: &[(f64, f64)]) -> bool {
    let is_near = |&(x, y): &(f64, f64)| other.iter().any(|&(a, b)| (x - a).abs() < 1.5 && (y - b).abs() < 1.5);
    one.windows(2).any(|pair| pair.iter().all(is_near))
}

impl Pen {
    fn curve(&self, svg: &mut String, style: Style, points: &[(f64, f64)]) {
        let (colour, width) = (self.colour, self.width);
        match style {
            Style::Line | Style::Reference => {
                let list: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
                let dashes = if style == Style::Reference { " stroke-dasharray=\"6 4\"" } else { "" };
                let _ = writeln!(
                    svg,
                    "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width:.1}\"{dashes}/>",
                    list.join(" ")
                );
            }
            Style::Bars => {
                let width = points.windows(2).map(|pair| (pair[1].0 - pair[0].0).abs()).fold(24.0, f64::min) * 0.8;
                // A sample in the legend lies above the picture's floor and gets a short bar.
                for &(x, y) in points {
                    let foot = if x > RIGHT { y + 6.0 } else { BOTTOM };
                    let (left, height) = (x - width / 2.0, (foot - y).max(0.0));
                    let _ = writeln!(
                        svg,
                        "<rect x=\"{left:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{colour}\" fill-opacity=\"0.75\"/>"
                    );
                }
            }
            Style::Points => {}
        }
        if matches!(style, Style::Line | Style::Points) && points.len() <= 60 {
            for &(x, y) in points {
                self.mark(svg, x, y);
            }
        }
    }

    fn mark(&self, svg: &mut String, x: f64, y: f64) {
        let colour = self.colour;
        let open = format!("fill=\"#ffffff\" stroke=\"{colour}\" stroke-width=\"1.5\"");
        // Wider beneath what would hide it.
        let r = 2.5 + self.width / 2.0;
        let _ = match self.shape % 6 {
            0 => writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{r:.1}\" fill=\"{colour}\"/>"),
            1 => writeln!(
                svg,
                "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"{colour}\"/>",
                x - r,
                y - r,
                2.0 * r,
                2.0 * r
            ),
            2 => writeln!(svg, "<path d=\"M{x:.1} {:.1}l4.5 8h-9z\" fill=\"{colour}\"/>", y - 5.0),
            3 => writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" {open}/>"),
            4 => writeln!(svg, "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"6.4\" height=\"6.4\" {open}/>", x - 3.2, y - 3.2),
            _ => writeln!(svg, "<path d=\"M{x:.1} {:.1}l5 5l-5 5l-5 -5z\" {open}/>", y - 5.0),
        };
    }
}

fn line(svg: &mut String, from: (f64, f64), to: (f64, f64), colour: &str) {
    let _ = writeln!(svg, "<path d=\"M{:.1} {:.1}L{:.1} {:.1}\" stroke=\"{colour}\"/>", from.0, from.1, to.0, to.1);
}

/// From where to where the true value is, with 95 %: a thin line with feet.
fn whisker(svg: &mut String, from: (f64, f64), to: (f64, f64), colour: &str) {
    const FOOT: f64 = 3.0;
    let mut draw = |a: (f64, f64), b: (f64, f64)| line(svg, a, b, colour);
    if (from.0 - to.0).abs() < 0.05 && (from.1 - to.1).abs() >= 0.05 {
        draw(from, to);
        for y in [from.1, to.1] {
            draw((from.0 - FOOT, y), (from.0 + FOOT, y));
        }
    } else if (from.0 - to.0).abs() >= 0.05 {
        draw(from, to);
        for x in [from.0, to.0] {
            draw((x, from.1 - FOOT), (x, from.1 + FOOT));
        }
    }
}

fn text(svg: &mut String, at: (f64, f64), anchor: &str, more: &str, words: &str) {
    let _ = writeln!(svg, "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\" {more}>{}</text>", at.0, at.1, safe(words));
}

fn safe(words: &str) -> String {
    words.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn wrapped(words: &str) -> Vec<String> {
    let mut lines: Vec<String> = vec![String::new()];
    for word in words.split(' ') {
        let last = lines.len() - 1;
        if !lines[last].is_empty() && lines[last].len() + 1 + word.len() > CAPTION_LETTERS {
            lines.push(word.into());
        } else {
            if !lines[last].is_empty() {
                lines[last].push(' ');
            }
            lines[last] += word;
        }
    }
    // The seed and the digest stand at the ends, so the middle is what may be left out.
    if lines.len() > CAPTION_LINES {
        let end = lines.pop().unwrap_or_default();
        lines.truncate(CAPTION_LINES - 1);
        lines.push(format!("… {end}"));
    }
    lines
}
