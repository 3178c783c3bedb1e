//! The labelled series of the Numenta Anomaly Benchmark that this machine has.
//!
//! **In:** the folder `nab` of the shared data: `CATEGORY/NAME.csv`, `windows.json`.
//! **Out:** [`Labelled`] series. **Not here:** detectors, scores.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// One series and where people saw anomalies in it.
pub(crate) struct Labelled {
    /// `CATEGORY/NAME.csv`, as the benchmark names it.
    pub(crate) name: String,
    /// Rows in the order of the file.
    pub(crate) rows: Vec<(Timestamp, f64)>,
    /// First and last row of each anomaly window, in order; windows do not overlap.
    pub(crate) windows: Vec<(usize, usize)>,
}

impl Labelled {
    /// `CATEGORY` of the name.
    pub(crate) fn category(&self) -> &str {
        self.name.split('/').next().unwrap_or_default()
    }
}

/// `EVENKEEL_DATA/nab` or `../shared/data/nab` beside the repository; `None` where there is none.
pub(crate) fn folder() -> Option<PathBuf> {
    let data = std::env::var_os("EVENKEEL_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    Some(data.join("nab")).filter(|nab| nab.join("windows.json").is_file())
}

/// Every series that `windows.json` names, by name.
pub(crate) fn load(folder: &Path) -> Vec<Labelled> {
    let labels = std::fs::read_to_string(folder.join("windows.json")).expect("readable");
    let labels: BTreeMap<String, Vec<(String, String)>> =
        serde_json::from_str(&labels).expect("windows by series");
    let one = |(name, windows): (String, Vec<(String, String)>)| {
        let file = std::fs::read_to_string(folder.join(&name)).expect("readable");
        let rows: Vec<(Timestamp, f64)> = file.lines().skip(1).map(row).collect();
        let find = |at: &str| {
            let at = time(at);
            rows.iter().position(|row| row.0 == at).expect("a window ends at rows")
        };
        let windows = windows.iter().map(|(from, to)| (find(from), find(to))).collect();
        Labelled { name, rows, windows }
    };
    labels.into_iter().map(one).collect()
}

fn row(line: &str) -> (Timestamp, f64) {
    let (at, value) = line.split_once(',').expect("two columns");
    (time(at), value.trim().parse().expect("a number"))
}

/// The benchmark's times have no zone; UTC keeps their order and distances.
fn time(text: &str) -> Timestamp {
    let local: DateTime = text.parse().expect("a civil time");
    local.to_zoned(TimeZone::UTC).expect("in range").timestamp()
}
