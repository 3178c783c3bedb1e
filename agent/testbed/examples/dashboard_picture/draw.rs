//! Panels of a dashboard as SVG.
//!
//! In: panels as Grafana has them, and the lines of their queries.
//! Out: one picture; readable on light and dark ground.
//! Not here: every option of Grafana: only those that our dashboards use (stacking, a
//! logarithmic axis, bands, lines at thresholds, lanes of states).

use std::fmt::Write as _;

use serde_json::Value;

use crate::Line;
use crate::record::Recorded;

/// Pixels per column and row of Grafana's grid, and around a panel's plot.
const COLUMN: f64 = 50.0;
const ROW: f64 = 31.0;
const HEAD: f64 = 62.0;
const LEFT: f64 = 58.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 46.0;
/// How much more is left of lanes, for their names.
const LANE_NAMES: f64 = 140.0;

/// Told apart also by people who see red and green alike (Okabe and Ito).
const COLOURS: [&str; 7] =
    ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c564b"];

const STYLE: &str = "\
text { font: 12px system-ui, sans-serif; fill: #1f2933; }
.ground { fill: #f4f6f8; } .panel { fill: #ffffff; stroke: #d5dbe1; }
.board { font-size: 20px; font-weight: 600; } .title { font-size: 14px; font-weight: 600; }
.small { font-size: 11px; fill: #52606d; } .grid { stroke: #e4e8ec; } .zero { stroke: #9aa5b1; }
.line { fill: none; stroke-width: 1.6; stroke-linejoin: round; }
@media (prefers-color-scheme: dark) {
  text { fill: #e4e7eb; } .ground { fill: #0b0f14; } .panel { fill: #151b22; stroke: #323f4b; }
  .small { fill: #9aa5b1; } .grid { stroke: #27313b; } .zero { stroke: #52606d; }
}
";

/// Unix seconds, and from where to where it is filled: from 0, or from what is stacked below.
type Point = (f64, f64, f64);

/// Where one panel's plot is, and what its axes mean.
struct Plot {
    x: f64,
    y: f64,
    width: f64,
    height: f64,
    from: f64,
    until: f64,
    low: f64,
    high: f64,
    is_log: bool,
}

impl Plot {
    fn at(&self, seconds: f64) -> f64 {
        self.x + self.width * (seconds - self.from) / (self.until - self.from)
    }

    fn level(&self, value: f64) -> f64 {
        let scaled = |it: f64| if self.is_log { it.max(self.low).log10() } else { it };
        let (low, high) = (scaled(self.low), scaled(self.high));
        self.y + self.height * (1.0 - ((scaled(value) - low) / (high - low)).clamp(0.0, 1.0))
    }
}

pub(crate) fn draw(title: &str, recorded: &Recorded, panels: &[(&Value, Vec<Line>)]) -> String {
    let cell = |panel: &Value, name: &str| panel["gridPos"][name].as_f64().expect("a place");
    let rows = panels.iter().map(|(it, _)| cell(it, "y") + cell(it, "h")).fold(0.0, f64::max);
    let (width, height) = (24.0 * COLUMN + 8.0, HEAD + rows * ROW + 8.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         role=\"img\" aria-label=\"{0}\">\n<style>\n{STYLE}</style>\n\
         <rect class=\"ground\" width=\"{width}\" height=\"{height}\"/>\n\
         <text class=\"board\" x=\"14\" y=\"28\">{0}</text>\n",
        escaped(title)
    );
    let _ = writeln!(
        svg,
        "<text class=\"small\" x=\"14\" y=\"48\">{}</text>",
        escaped(&recorded.source)
    );
    for (panel, lines) in panels {
        let (x, y) = (8.0 + cell(panel, "x") * COLUMN, HEAD + cell(panel, "y") * ROW);
        let (w, h) = (cell(panel, "w") * COLUMN - 8.0, cell(panel, "h") * ROW - 8.0);
        let _ = writeln!(
            svg,
            "<rect class=\"panel\" x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" rx=\"4\"/>\n\
             <text class=\"title\" x=\"{}\" y=\"{}\">{}</text>",
            x + 12.0,
            y + 21.0,
            escaped(panel["title"].as_str().unwrap_or_default())
        );
        let mut plot = Plot {
            x: x + LEFT,
            y: y + TOP,
            width: w - LEFT - RIGHT,
            height: h - TOP - BOTTOM,
            from: recorded.from as f64,
            until: recorded.until as f64,
            low: 0.0,
            high: 1.0,
            is_log: false,
        };
        let is_lanes = panel["type"] == "state-timeline";
        if is_lanes {
            (plot.x, plot.width) = (plot.x + LANE_NAMES, plot.width - LANE_NAMES);
        }
        days(&mut svg, &plot);
        if lines.iter().all(|it| it.points.is_empty()) {
            let _ = writeln!(
                svg,
                "<text class=\"small\" x=\"{}\" y=\"{}\">no data</text>",
                plot.x + 8.0,
                plot.y + 20.0
            );
        } else if is_lanes {
            lanes(&mut svg, &plot, x, lines);
        } else {
            series(&mut svg, &mut plot, panel, lines);
        }
    }
    svg.push_str("</svg>\n");
    svg
}

fn days(svg: &mut String, plot: &Plot) {
    let mut at = plot.from;
    while at <= plot.until {
        let x = plot.at(at);
        let anchor = if at < plot.until { "middle" } else { "end" };
        let _ =
            writeln!(svg, "<path class=\"grid\" d=\"M{x:.1} {:.1}v{:.1}\"/>", plot.y, plot.height);
        let date =
            jiff::Timestamp::from_second(at as i64).map(|it| it.strftime("%-d %b").to_string());
        let _ = writeln!(
            svg,
            "<text class=\"small\" text-anchor=\"{anchor}\" x=\"{x:.1}\" y=\"{:.1}\">{}</text>",
            plot.y + plot.height + 15.0,
            date.unwrap_or_default()
        );
        at += 2.0 * 86_400.0;
    }
}

/// A lane per state: filled while it is 1.
fn lanes(svg: &mut String, plot: &Plot, x: f64, lines: &[Line]) {
    let lane = (plot.height / lines.len() as f64).min(34.0);
    for (nth, line) in lines.iter().enumerate() {
        let y = plot.y + lane * nth as f64;
        let _ = writeln!(
            svg,
            "<text class=\"small\" x=\"{}\" y=\"{:.1}\">{}</text>",
            x + 12.0,
            y + lane * 0.6,
            escaped(&line.name)
        );
        let _ = writeln!(
            svg,
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"#009e73\" fill-opacity=\"0.12\"/>",
            plot.x,
            y + 3.0,
            plot.width,
            lane - 6.0
        );
        for pair in line.points.windows(2).filter(|it| 1.0 <= it[0].1) {
            let (from, until) = (plot.at(pair[0].0), plot.at(pair[1].0));
            let _ = writeln!(
                svg,
                "<rect x=\"{from:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"#d62728\"/>",
                y + 3.0,
                (until - from).max(1.0),
                lane - 6.0
            );
        }
    }
}

fn series(svg: &mut String, plot: &mut Plot, panel: &Value, lines: &[Line]) {
    let defaults = &panel["fieldConfig"]["defaults"];
    let unit = defaults["unit"].as_str().unwrap_or("none");
    let is_stacked = defaults["custom"]["stacking"]["mode"] == "normal";
    plot.is_log = defaults["custom"]["scaleDistribution"]["type"] == "log";
    let mut lines: Vec<(String, Vec<Point>)> = lines
        .iter()
        .map(|it| {
            (it.name.clone(), it.points.iter().map(|(at, value)| (*at, 0.0, *value)).collect())
        })
        .collect();
    if is_stacked {
        let mut sums = std::collections::BTreeMap::<i64, f64>::new();
        for (at, base, top) in lines.iter_mut().flat_map(|it| &mut it.1) {
            let sum = sums.entry(*at as i64).or_default();
            (*base, *top) = (*sum, *sum + *top);
            *sum = *top;
        }
    }
    let values = || lines.iter().flat_map(|it| &it.1).map(|it| it.2);
    let (least, most) =
        (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
    let bound = |name: &str| defaults[name].as_f64();
    if plot.is_log {
        (plot.low, plot.high) = (0.1, 10_f64.powf(most.max(1.0).log10().ceil()));
    } else {
        plot.low = bound("min").unwrap_or(least.min(0.0)).min(least);
        plot.high = bound("max").unwrap_or(most * 1.08).max(most);
        // Nothing at all is a line at 0 of some axis.
        if plot.high - plot.low < 1e-9 {
            plot.high = plot.low + 1.0;
        }
    }
    for tick in ticks(plot, unit) {
        let y = plot.level(tick);
        let _ = writeln!(
            svg,
            "<path class=\"{}\" d=\"M{:.1} {y:.1}h{:.1}\"/>\n\
             <text class=\"small\" text-anchor=\"end\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            if tick.abs() < 1e-12 { "zero" } else { "grid" },
            plot.x,
            plot.width,
            plot.x - 6.0,
            y + 4.0,
            shown(tick, unit)
        );
    }
    for step in defaults["thresholds"]["steps"].as_array().into_iter().flatten() {
        let Some(value) = step["value"].as_f64().filter(|it| plot.low < *it && *it <= plot.high)
        else {
            continue;
        };
        let colour = match step["color"].as_str() {
            Some("yellow") => "#e6b800",
            Some("orange") => "#f08c00",
            Some(_) | None => "#d62728",
        };
        let y = plot.level(value);
        let _ = writeln!(
            svg,
            "<path d=\"M{:.1} {y:.1}h{:.1}\" stroke=\"{colour}\" stroke-dasharray=\"5 4\"/>",
            plot.x, plot.width
        );
    }
    // Lines of one name but for their quantile have one colour; between 10% and 90% is a band.
    let stem = |name: &str| {
        name.trim_end_matches(" 10%").trim_end_matches(" 50%").trim_end_matches(" 90%").to_owned()
    };
    let has_band = lines.iter().any(|it| it.0.ends_with(" 50%"));
    let mut stems: Vec<String> = Vec::new();
    for (name, _) in &lines {
        let stem = if has_band { stem(name) } else { name.clone() };
        if !stems.contains(&stem) {
            stems.push(stem);
        }
    }
    for (nth, of) in stems.iter().enumerate() {
        let colour = COLOURS[nth % COLOURS.len()];
        let find = |suffix: &str| {
            lines.iter().find(|it| it.0 == format!("{of}{suffix}")).map(|it| &it.1[..])
        };
        if has_band {
            let (low, high) = (find(" 10%").unwrap_or(&[]), find(" 90%").unwrap_or(&[]));
            band(svg, plot, colour, low, high);
        }
        let points = find(if has_band { " 50%" } else { "" }).unwrap_or(&[]);
        if is_stacked {
            for run in runs(points) {
                let top: Vec<_> = run.iter().map(|it| (it.0, it.2)).collect();
                let base: Vec<_> = run.iter().rev().map(|it| (it.0, it.1)).collect();
                let outline = path(plot, top.iter().chain(&base).copied());
                let _ = writeln!(
                    svg,
                    "<path d=\"{outline}Z\" fill=\"{colour}\" fill-opacity=\"0.45\"/>"
                );
            }
        }
        for run in runs(points) {
            let _ = writeln!(
                svg,
                "<path class=\"line\" stroke=\"{colour}\" d=\"{}\"/>",
                path(plot, run.iter().map(|it| (it.0, it.2)))
            );
        }
    }
    let mut x = plot.x;
    for (nth, name) in stems.iter().enumerate() {
        let y = plot.y + plot.height + 33.0;
        let suffix = if has_band { " (50%, band 10% to 90%)" } else { "" };
        let _ = writeln!(
            svg,
            "<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"14\" height=\"4\" fill=\"{}\"/>\n<text class=\"small\" x=\"{:.1}\" y=\"{y:.1}\">{}{suffix}</text>",
            y - 6.0,
            COLOURS[nth % COLOURS.len()],
            x + 19.0,
            escaped(name)
        );
        x += 34.0 + 6.3 * (name.len() + suffix.len()) as f64;
    }
}

/// Where it is not known how late, the band goes on to the top.
fn band(svg: &mut String, plot: &Plot, colour: &str, low: &[Point], high: &[Point]) {
    for run in runs(low) {
        let upper = |at: f64| {
            high.iter().find(|it| it.0.total_cmp(&at).is_eq()).map_or(plot.high, |it| it.2)
        };
        let there = run.iter().map(|it| (it.0, it.2));
        let back = run.iter().rev().map(|it| (it.0, upper(it.0)));
        let _ = writeln!(
            svg,
            "<path d=\"{}Z\" fill=\"{colour}\" fill-opacity=\"0.18\"/>",
            path(plot, there.chain(back))
        );
    }
}

/// Parts without gaps of more than two steps.
fn runs(points: &[Point]) -> Vec<&[Point]> {
    points.chunk_by(|a, b| b.0 - a.0 < 4_000.0).collect()
}

/// Points between equal ones are left out.
fn path(plot: &Plot, points: impl Iterator<Item = (f64, f64)>) -> String {
    let points: Vec<_> = points
        .map(|(at, value)| (format!("{:.1}", plot.at(at)), format!("{:.1}", plot.level(value))))
        .collect();
    let mut path = String::new();
    for (nth, (x, y)) in points.iter().enumerate() {
        let is_flat = |other: Option<&(String, String)>| other.is_some_and(|it| it.1 == *y);
        let before = nth.checked_sub(1).and_then(|it| points.get(it));
        if !(is_flat(before) && is_flat(points.get(nth + 1))) {
            let _ = write!(path, "{}{x} {y}", if nth == 0 { 'M' } else { 'L' });
        }
    }
    path
}

fn ticks(plot: &Plot, unit: &str) -> Vec<f64> {
    if plot.is_log {
        let decades = plot.low.log10().round() as i32..=plot.high.log10().round() as i32;
        return decades.map(|it| 10_f64.powi(it)).collect();
    }
    let rough = (plot.high - plot.low) / 4.0;
    let step = if unit == "s" {
        let days = [0.25, 0.5, 1.0, 2.0, 5.0, 7.0, 14.0].map(|it| it * 86_400.0);
        days.into_iter().find(|it| rough <= *it).unwrap_or(rough)
    } else {
        let decade = 10_f64.powf(rough.log10().floor());
        [1.0, 2.0, 2.5, 5.0, 10.0]
            .map(|it| it * decade)
            .into_iter()
            .find(|it| rough <= *it)
            .unwrap_or(rough)
    };
    let first = (plot.low / step).ceil() as i64;
    (first..first + 12).map(|it| it as f64 * step).filter(|it| *it <= plot.high * 1.0001).collect()
}

fn shown(value: f64, unit: &str) -> String {
    let plain = |value: f64| {
        let text = format!("{value:.4}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    match unit {
        "percentunit" => format!("{}%", plain((value * 1000.0).round() / 10.0)),
        "s" => format!("{} d", plain(value / 86_400.0)),
        _ => plain(value),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
