//! Draws a Grafana dashboard without Grafana, from recorded traffic.
//!
//! In: a folder of traces (CSV of `timestamp,value`), a dashboard, where the picture goes.
//! Out: an SVG; its panels are the dashboard's, their queries answered by a real Prometheus.
//! Not here: anything of the product: `make dashboard-picture` is for whoever changes the
//! dashboard.

#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "seconds of two weeks and pixels of a picture are far below 2^52"
)]

mod draw;
mod record;

use std::fs;

use evenkeel_testbed::prometheus::Options;
use serde_json::Value;

/// One line of a panel.
pub(crate) struct Line {
    /// As the legend names it.
    pub(crate) name: String,
    /// Unix seconds and values, oldest first; gaps are steps that are left out.
    pub(crate) points: Vec<(f64, f64)>,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [traces, board, out] = arguments.as_slice() else {
        panic!("usage: dashboard_picture TRACES DASHBOARD.json OUT.svg")
    };
    let board: Value = serde_json::from_str(&fs::read_to_string(board).expect("a dashboard"))
        .expect("the dashboard is JSON");
    let recorded = record::record(traces.as_ref());
    let prometheus = Options::new().backfill_openmetrics(&recorded.text).start();
    let panels: Vec<(&Value, Vec<Line>)> = board["panels"]
        .as_array()
        .expect("panels")
        .iter()
        .map(|panel| {
            let targets = panel["targets"].as_array().expect("queries");
            let lines = targets.iter().flat_map(|target| {
                let expr = target["expr"].as_str().expect("PromQL");
                let expr = ["$slo", "$budget"]
                    .iter()
                    .fold(expr.to_owned(), |it, name| it.replace(name, ".*"));
                let expr = expr.replace("$__rate_interval", "30m");
                let step = record::STEP_SECONDS * 2;
                let span = (recorded.from, recorded.until);
                let result = prometheus.query_range(&expr, span.0, span.1, step);
                let legend = target["legendFormat"].as_str().expect("a legend");
                result
                    .as_array()
                    .expect("series")
                    .iter()
                    .map(|it| line(it, legend))
                    .collect::<Vec<_>>()
            });
            (panel, lines.collect())
        })
        .collect();
    let svg = draw::draw(board["title"].as_str().expect("a title"), &recorded, &panels);
    fs::write(out, svg).unwrap_or_else(|error| panic!("cannot write `{out}`: {error}"));
}

fn line(series: &Value, legend: &str) -> Line {
    let mut name = legend.to_owned();
    for (label, value) in series["metric"].as_object().expect("labels") {
        name = name.replace(&format!("{{{{{label}}}}}"), value.as_str().unwrap_or_default());
    }
    let points = series["values"].as_array().expect("values").iter().filter_map(|it| {
        let value: f64 = it[1].as_str()?.parse().ok()?;
        value.is_finite().then_some((it[0].as_f64()?, value))
    });
    Line { name, points: points.collect() }
}
