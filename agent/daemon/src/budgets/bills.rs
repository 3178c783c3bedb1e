//! Bills in the form of FOCUS, as files in a folder.
//!
//! **In:** a folder that somebody puts `*.csv` files into.
//! **Out:** the rows of each that is new or was changed, to the loop.
//! **Not here:** what the columns mean (`evenkeel_core::spend::focus`), comparing.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use evenkeel_core::agent::Input;
use evenkeel_core::spend::focus::{self, FocusRow};
use jiff::SignedDuration;
use tokio::sync::mpsc;
use tracing::{info, warn};

use crate::clock::Clock;
use crate::metrics::Metrics;

/// From one look to the next. Why an hour: providers write bills a few times a day.
const PERIOD: SignedDuration = SignedDuration::from_hours(1);

/// Largest file. Why 64 MiB: 100,000 rows of all columns; a larger export is to be added up
/// by day before it is put here.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Most files that are looked at. Why 1,000: three years of days.
const FILES_MAX: usize = 1_000;

/// What tells that a file is not the one that was read.
type Stamp = (Option<SystemTime>, u64);

/// Looks into the folder again and again.
pub(crate) struct BillWatch {
    pub(crate) folder: PathBuf,
    pub(crate) clock: Clock,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) inputs: mpsc::Sender<Input>,
}

impl BillWatch {
    /// Runs until the loop takes no more inputs.
    pub(crate) async fn run(self) {
        let mut seen = BTreeMap::new();
        let mut folder_trouble = None;
        loop {
            let trouble = match self.look(&mut seen).await {
                Err(()) => return,
                Ok(trouble) => trouble,
            };
            // Once, and not every hour.
            if let Some(error) = trouble.as_ref()
                && trouble != folder_trouble
            {
                warn!(folder = %self.folder.display(), error, "bills cannot be looked for");
            }
            folder_trouble = trouble;
            tokio::time::sleep(self.clock.real(PERIOD)).await;
        }
    }

    /// Reads what is new. `Err` when nobody takes it; else what is wrong with the folder.
    async fn look(&self, seen: &mut BTreeMap<PathBuf, Stamp>) -> Result<Option<String>, ()> {
        let folder = self.folder.clone();
        let found = match blocking(move || bills_in(&folder)).await {
            Ok(found) => found,
            Err(error) => {
                self.metrics.count_bill_read(false);
                return Ok(Some(error));
            }
        };
        seen.retain(|file, _| found.contains_key(file));
        for (file, stamp) in found {
            if seen.get(&file) == Some(&stamp) {
                continue;
            }
            let path = file.clone();
            let read = blocking(move || read_bill(&path)).await;
            self.metrics.count_bill_read(read.is_ok());
            // A fault too: the same file has the same one.
            seen.insert(file.clone(), stamp);
            let source = name_of(&file);
            match read {
                Err(error) => warn!(bill = source, error, "a bill cannot be read"),
                Ok(rows) => {
                    info!(bill = source, n_rows = rows.len(), "bill read");
                    self.inputs.send(Input::BillRead { source, rows }).await.map_err(drop)?;
                }
            }
        }
        Ok(None)
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(error.to_string()))
}

fn name_of(file: &Path) -> String {
    file.file_name().map(|it| it.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Every `*.csv` of the folder, by path, and what tells one state of it from another.
fn bills_in(folder: &Path) -> Result<BTreeMap<PathBuf, Stamp>, String> {
    let mut bills = BTreeMap::new();
    for entry in std::fs::read_dir(folder).map_err(|error| error.to_string())? {
        let file = entry.map_err(|error| error.to_string())?.path();
        if file.extension().is_none_or(|it| it != "csv") {
            continue;
        }
        // One that has gone meanwhile is no fault; a folder of that name is no bill.
        let Ok(about) = std::fs::metadata(&file) else { continue };
        if about.is_file() {
            bills.insert(file, (about.modified().ok(), about.len()));
        }
        if FILES_MAX < bills.len() {
            return Err(format!("more than {FILES_MAX} bills; move the old ones away"));
        }
    }
    Ok(bills)
}

fn read_bill(file: &Path) -> Result<Vec<FocusRow>, String> {
    let opened = std::fs::File::open(file).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    let read = opened.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes);
    read.map_err(|error| error.to_string())?;
    if u64::try_from(bytes.len()).is_ok_and(|it| FILE_BYTES_MAX < it) {
        return Err(format!("it has more than {FILE_BYTES_MAX} bytes; add it up by day"));
    }
    let text = String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
    focus::parse(&text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    /// The names of what a look hands over.
    async fn look(
        watch: &BillWatch,
        seen: &mut BTreeMap<PathBuf, Stamp>,
        inputs: &mut mpsc::Receiver<Input>,
    ) -> Vec<String> {
        watch.look(seen).await.unwrap();
        let mut names = Vec::new();
        while let Ok(input) = inputs.try_recv() {
            if let Input::BillRead { source, .. } = input {
                names.push(source);
            }
        }
        names
    }

    /// Valid as FOCUS, or at least not in need of any row.
    const BILL: &str = "ServiceName,EffectiveCost,BillingCurrency,ChargePeriodStart,ChargePeriodEnd,ChargeCategory,Tags\n";

    #[tokio::test]
    async fn each_bill_is_read_once_and_again_when_it_changes() {
        let folder = tempfile::tempdir().unwrap();
        let (sender, mut inputs) = mpsc::channel(16);
        let watch = BillWatch {
            folder: folder.path().join("bills"),
            clock: Clock::starting_at(Timestamp::UNIX_EPOCH),
            metrics: Arc::new(Metrics::new("1.2.3")),
            inputs: sender,
        };
        let mut seen = BTreeMap::new();
        assert!(watch.look(&mut seen).await.unwrap().is_some(), "no folder");
        std::fs::create_dir(&watch.folder).unwrap();
        let write = |name: &str, text: &[u8]| {
            std::fs::write(folder.path().join("bills").join(name), text).unwrap();
        };
        let mut looked = async || look(&watch, &mut seen, &mut inputs).await;
        assert_eq!(looked().await, [""; 0]);
        write("b.csv", BILL.as_bytes());
        write("a.csv", BILL.as_bytes());
        write("notes.txt", b"x");
        write("broken.csv", b"\xff");
        assert_eq!(looked().await, ["a.csv", "b.csv"]);
        assert_eq!(looked().await, [""; 0]);
        write("b.csv", format!("{BILL}\n").as_bytes());
        assert_eq!(looked().await, ["b.csv"]);
        let text = watch.metrics.text().unwrap();
        let count = |outcome: &str| {
            let start = format!("evenkeel_bill_reads_total{{outcome=\"{outcome}\"}} ");
            text.lines().find_map(|it| it.strip_prefix(&start)).unwrap().to_owned()
        };
        assert_eq!((count("answered"), count("failed")), ("3".to_owned(), "2".to_owned()));
    }

    #[test]
    fn a_bill_beyond_the_bound_is_a_fault() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.csv");
        std::fs::File::create(&file).unwrap().set_len(FILE_BYTES_MAX + 1).unwrap();
        assert!(read_bill(&file).unwrap_err().contains("more than 67108864 bytes"));
    }
}
