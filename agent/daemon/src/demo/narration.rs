//! What the demo says in the terminal.
//!
//! **In:** explanations as they fall, and the region's incidents.
//! **Out:** a few lines a minute: what changed, why, and what was refused.
//! **Not here:** the log (`--demo` writes warnings only), `evenkeel` itself.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use evenkeel_core::explain::{Conclusion, Explanation};
use evenkeel_core::ids::TargetId;
use evenkeel_sim::Region;

use crate::event_loop::Narrator;

/// Speaks to the person who started the demo.
#[derive(Clone, Debug)]
pub(crate) struct Narration {
    region: Arc<Mutex<Region>>,
    socket: PathBuf,
    break_glass_file: PathBuf,
}

impl Narration {
    pub(crate) fn new(
        region: Arc<Mutex<Region>>,
        socket: PathBuf,
        break_glass_file: PathBuf,
    ) -> Narration {
        Narration { region, socket, break_glass_file }
    }

    /// Says what is going on and how to stop it.
    pub(crate) fn greet(&self) {
        let socket = self.socket.display();
        let evenkeel = beside_this_program();
        say(&format!(
            "Evenkeel demo: five services, two weeks of history, a clock 60 times as fast.\n\
             The loads of three are forecast, so that capacity is there before them.\n\
             An exporter starts to lie after 35 s, a flash crowd comes after 70 s.\n\
             \n\
             In another terminal:\n  \
               export EVENKEEL_SOCKET={socket}\n  \
               {evenkeel} status\n  \
               {evenkeel} explain checkout-api\n  \
               {evenkeel} freeze all --for 30m --reason 'trying it out'\n  \
               {evenkeel} expire all\n\
             \n\
             Without the API: touch {glass}\n\
             Ctrl-C ends it and leaves nothing behind.\n",
            glass = self.break_glass_file.display(),
        ));
    }

    /// Says what it came to.
    pub(crate) fn farewell(&self) {
        let region = self.region.lock().unwrap_or_else(PoisonError::into_inner);
        let mut lines = format!("\nUntil {:.0} (simulated):\n", region.now());
        for service in region.services() {
            let Some(truth) = region.truth(&service.name) else { continue };
            let good = truth.slo_good_ratio.map_or_else(String::new, |it| {
                format!(", {:.2} % within the latency objective", it * 100.0)
            });
            lines.push_str(&format!(
                "  {:<14} {:>3} units, ${:.2}{good}\n",
                service.name, truth.current, truth.cost_usd
            ));
        }
        say(&lines);
    }

    /// Tells of every change of mind, once.
    pub(crate) fn narrator(&self) -> Narrator {
        let region = Arc::clone(&self.region);
        let mut told: BTreeMap<TargetId, (&'static str, bool)> = BTreeMap::new();
        let mut n_incidents = 0;
        Box::new(move |explanation: &Explanation| {
            {
                let region = region.lock().unwrap_or_else(PoisonError::into_inner);
                for incident in region.incidents().iter().skip(n_incidents) {
                    let time = incident.at.strftime("%H:%M:%S");
                    say(&format!("{time}  !!  {}\n", incident.what));
                }
                n_incidents = region.incidents().len();
            }
            let name = explanation.conclusion.name();
            let tale = (name, is_held_on_quality(explanation));
            let is_news = told.insert(explanation.target.clone(), tale) != Some(tale);
            let is_told = match explanation.conclusion {
                Conclusion::Planned { .. } => true,
                // Cooling down and waiting for an effect follow every change.
                Conclusion::Refused { .. } => {
                    is_news && !["cooling_down", "in_flight"].contains(&name)
                }
                Conclusion::NoChange => is_news && tale.1,
                Conclusion::CapacityUnknown { .. }
                | Conclusion::ReadBack { .. }
                | Conclusion::ChangedOutside { .. } => is_news,
            };
            if is_told {
                let time = explanation.at.strftime("%H:%M:%S");
                let target = explanation.target.as_str();
                say(&format!("{time}      {target:<14} {}\n", explanation.sentence()));
            }
        })
    }
}

fn is_held_on_quality(explanation: &Explanation) -> bool {
    use evenkeel_core::decide::Reason;
    matches!(explanation.reason, Some(Reason::HeldOnQuality { .. } | Reason::NoUsableSignal))
}

/// `evenkeel` beside `evenkeeld`, as a person would type it.
fn beside_this_program() -> String {
    let program = std::env::current_exe().ok().map(|it| it.with_file_name("evenkeel"));
    let folder = std::env::current_dir().ok();
    match (program, folder) {
        (Some(program), Some(folder)) if program.exists() => {
            let short = program.strip_prefix(&folder).unwrap_or(&program);
            short.display().to_string()
        }
        _ => "evenkeel".to_owned(),
    }
}

fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    // A closed pipe is no reason to stop an agent.
    let _ = out.write_all(text.as_bytes());
    if std::io::stdout().is_terminal() {
        let _ = out.flush();
    }
}
